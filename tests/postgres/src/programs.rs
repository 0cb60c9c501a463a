//! Where the server's programs are, and whom they run as.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::WITHOUT;

/// Where Debian, Fedora and Homebrew keep them; Debian has a folder for each major version.
const FOLDERS: [&str; 4] =
    ["/usr/lib/postgresql", "/usr/pgsql", "/usr/local/opt", "/opt/homebrew/opt"];

/// Accounts to run the server as when this process is the superuser, whom it refuses.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

#[derive(Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
    account: Option<(u32, u32)>,
}

impl Programs {
    pub(crate) fn find() -> Result<Self, String> {
        let folder = in_path().or_else(beside_versions).ok_or_else(|| {
            format!(
                "the tests need PostgreSQL: `initdb` and `postgres` are neither in PATH nor below \
                 {}. Install it (Debian, Ubuntu: `apt-get install postgresql`; macOS: `brew install \
                 postgresql`), or set {WITHOUT}=1 to skip what needs it",
                FOLDERS.join(", ")
            )
        })?;
        Ok(Self { folder, account: account() })
    }

    /// A program of the server, as the account it may run as.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        // Not where this process stands: the account may not be allowed to look there.
        command.current_dir("/").env("LC_ALL", "C");
        command
    }

    /// Gives a folder to the account the server runs as.
    pub(crate) fn give(&self, folder: &Path) {
        if let Some((user, group)) = self.account {
            std::os::unix::fs::chown(folder, Some(user), Some(group)).expect("chown");
        }
    }
}

fn has_programs(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).find(|folder| has_programs(folder))?;
    // A link's server looks for its files beside the link's target.
    found.join("initdb").canonicalize().ok()?.parent().map(Path::to_path_buf)
}

/// The newest version's folder.
fn beside_versions() -> Option<PathBuf> {
    let versions = FOLDERS.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let mut found: Vec<_> = versions
        .flatten()
        .filter(|entry| has_programs(&entry.path().join("bin")))
        .map(|entry| (version(&entry.file_name()), entry.path().join("bin")))
        .collect();
    found.sort();
    found.pop().map(|(_, folder)| folder)
}

fn version(name: &OsStr) -> u32 {
    let digits: String = name.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// User and group to run as, if this process is the superuser.
fn account() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").map_or(1, |own| own.uid()) != 0 {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").expect("the accounts");
    let of = |name: &str| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(|id| id.parse().ok());
        Some((ids.next()??, ids.next()??))
    };
    let found = ACCOUNTS.iter().find_map(|name| of(name));
    Some(found.expect("PostgreSQL refuses to run as root, and there is no other account for it"))
}
