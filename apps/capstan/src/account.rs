//! One process at a time sends from an account of this machine: two would give out the same nonces.
//!
//! The lock lies in the home folder, whatever `--data` says, and whoever holds it may keep a desk
//! beside it where other commands hand in what they want sent.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use capstan_base::Address;

/// Longest note that is read back from a lock file.
const MAX_NOTE: u64 = 256;

/// Where the locks and desks of this machine's accounts lie.
#[derive(Clone, Debug)]
pub struct Accounts {
    folder: PathBuf,
}

/// Held while this process sends from the account; the system frees it when the process dies.
#[derive(Debug)]
pub struct AccountLock {
    _file: File,
}

/// What became of asking for an account.
#[derive(Debug)]
pub enum Taken {
    /// It is this process's.
    Free(AccountLock),
    /// Another process has it: what it says of itself.
    Held(String),
}

impl Accounts {
    /// The home folder's; in `data` where there is no home that can be written.
    pub fn of_machine(data: &Path) -> Result<Self> {
        let home = std::env::home_dir().map(|home| home.join(".capstan"));
        let mut tried = None;
        for root in home.into_iter().chain([data.to_path_buf()]) {
            let folder = root.join("accounts");
            match std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder) {
                Ok(()) => return Ok(Self { folder }),
                Err(error) => tried = Some((folder, error)),
            }
        }
        let (folder, error) = tried.context("no folder for locks")?;
        Err(error).with_context(|| format!("cannot make the folder {}", folder.display()))
    }

    /// Takes the account for `purpose`, or says who has it.
    pub fn take(&self, account: Address, purpose: &str) -> Result<Taken> {
        let path = self.folder.join(format!("{}.lock", name(account)));
        let failed = || format!("cannot lock {}", path.display());
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let mut file = options.open(&path).with_context(failed)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).with_context(failed)?;
                let note = format!("process {} (capstan {purpose})", std::process::id());
                file.write_all(note.as_bytes()).with_context(failed)?;
                Ok(Taken::Free(AccountLock { _file: file }))
            }
            Err(TryLockError::WouldBlock) => {
                let mut note = String::new();
                let read = file
                    .rewind()
                    .and_then(|()| (&mut file).take(MAX_NOTE).read_to_string(&mut note));
                let known = read.is_ok() && !note.is_empty();
                Ok(Taken::Held(if known { note } else { "another process".to_owned() }))
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(failed),
        }
    }

    /// The socket of the account's desk.
    pub fn desk(&self, account: Address) -> PathBuf {
        self.folder.join(format!("{}.sock", name(account)))
    }
}

/// In lower case, so that no file system takes two spellings for two accounts.
fn name(account: Address) -> String {
    format!("{account:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_taken_once_and_says_by_whom() {
        let data = tempfile::tempdir().unwrap();
        let accounts = Accounts { folder: data.path().to_path_buf() };
        let (one, other) = (Address::repeat_byte(0xAB), Address::repeat_byte(2));
        let Taken::Free(held) = accounts.take(one, "host").unwrap() else { panic!("free") };
        let Taken::Held(by) = accounts.take(one, "settle").unwrap() else { panic!("held") };
        assert_eq!(by, format!("process {} (capstan host)", std::process::id()));
        assert!(matches!(accounts.take(other, "rent").unwrap(), Taken::Free(_)));
        drop(held);
        assert!(matches!(accounts.take(one, "settle").unwrap(), Taken::Free(_)));
    }
}
