//! What lies on this machine: the key, the data folder, the database.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use capstan_base::Address;
use capstan_store::Store;

use super::Checks;
use crate::cli::Global;
use crate::context::data_folder;

/// Free bytes below which a busy host may fill the disk within days: a session takes some kilobytes.
const LITTLE: u64 = 1 << 30;

/// Free bytes below which a write may fail any moment.
const NOTHING: u64 = 64 << 20;

/// The key can be read, and by nobody else.
pub(super) async fn key(checks: &mut Checks<'_>, global: &Global) -> Option<Address> {
    for path in [&global.key.keystore, &global.key.password_file].into_iter().flatten() {
        private(checks, path);
    }
    match crate::key::load(&global.key).await {
        Ok(signer) => {
            checks.ok("key", format!("account {}", signer.address()));
            Some(signer.address())
        }
        Err(error) => {
            let next = "name a keystore with --keystore, or make one with `capstan key new`";
            checks.fail("key", format!("{error:#}"), next);
            None
        }
    }
}

fn private(checks: &mut Checks<'_>, path: &Path) {
    let name = format!("permissions of {}", path.display());
    // A file that is not there is told when the key is loaded.
    let Ok(metadata) = std::fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        checks.ok(name, format!("{mode:03o}"));
    } else {
        let next = format!("chmod 600 {}", path.display());
        checks.fail(name, format!("{mode:03o}: others on this machine may read it"), next);
    }
}

/// The folder has room.
pub(super) fn disk(checks: &mut Checks<'_>, global: &Global) {
    let folder = match data_folder(global) {
        Ok(folder) => folder,
        Err(error) => return checks.fail("data", format!("{error:#}"), "name a place with --data"),
    };
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(&folder);
    match rustix::fs::statvfs(existing) {
        Ok(space) => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            let detail = format!("{} MiB free at {}", free >> 20, folder.display());
            match free {
                free if free < NOTHING => {
                    checks.fail(
                        "disk",
                        detail,
                        "make room: vouchers cannot be stored on a full disk",
                    );
                }
                free if free < LITTLE => checks.warn("disk", detail, "make room soon"),
                _ => checks.ok("disk", detail),
            }
        }
        Err(error) => checks.warn("disk", format!("unknown: {error}"), ""),
    }
}

/// This machine's own database is whole.
pub(super) async fn database(checks: &mut Checks<'_>, global: &Global, account: Option<Address>) {
    let (Some(account), Ok(folder)) = (account, data_folder(global)) else { return };
    let path = crate::context::database(&folder, account);
    if !path.exists() {
        return checks.ok("database", format!("none yet; it will be {}", path.display()));
    }
    let restore = "stop the host and restore the file from a backup; terms and openings can be had \
                   from the chain again, unsettled vouchers cannot";
    let checked = match Store::open_read_only(&path) {
        Ok(store) => store.quick_check().await,
        Err(error) => Err(error),
    };
    let name = format!("database {}", path.display());
    match checked {
        Ok(wrong) if wrong.is_empty() => checks.ok(name, "whole"),
        Ok(wrong) => checks.fail(name, wrong.join("; "), restore),
        Err(error) => checks.fail(name, capstan_kit::causes(&error), restore),
    }
}
