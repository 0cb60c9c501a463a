//! Key shares on disk: encrypted under a passphrase, one file for each epoch.
//!
//! A refresh makes a new epoch. Until every member is known to have stored it, both files stay: a crash
//! at any point leaves every member with an epoch that enough others have too. Shares of two epochs never
//! sign together, so that no mix can come of it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use capstan_kit::Secret;

use crate::protocol::{KeyShare, ShareError};

mod sealed;

use sealed::{Header, open, seal};

/// What stands in the clear in a share's file, and is authenticated by its seal.
pub use sealed::ShareInfo;

/// Folder of one member's shares of one key.
#[derive(Clone, Debug)]
pub struct Vault {
    folder: PathBuf,
}

/// Why a share is not to be had, or not stored.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file system refused.
    #[error("{path} cannot be accessed", path = path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No share of this epoch is stored.
    #[error("{path} does not exist: this member has no share of that epoch", path = path.display())]
    NoShare {
        /// Where it would be.
        path: PathBuf,
    },
    /// A share is never overwritten.
    #[error("{path} exists already, and a share is never overwritten", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Wrong passphrase, or the file was changed: the two cannot be told apart.
    #[error("{path} does not open: wrong passphrase, or the file was changed", path = path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
    },
    /// Not one of our files, or one with parameters that are refused.
    #[error("{path} is not a usable share file: {reason}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It opens, and holds no share.
    #[error("{path} holds no share", path = path.display())]
    Share {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ShareError,
    },
    /// The system gave no randomness.
    #[error("no randomness is to be had from the system")]
    Randomness,
}

const SUFFIX: &str = "share";
/// Larger files are none of ours: a member of ten has half of this.
const MAX_FILE: u64 = 1 << 20;

impl Vault {
    /// Of this folder, which is made when the first share is stored.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Stores a share under a new epoch: returns once it would survive a loss of power.
    ///
    /// # Errors
    /// [`VaultError::Exists`] for an epoch that is stored already; a failure leaves nothing behind.
    pub fn store(
        &self,
        share: &KeyShare,
        epoch: u64,
        passphrase: &Secret,
    ) -> Result<(), VaultError> {
        let path = self.path(epoch);
        if path.try_exists().map_err(|source| io(&path, source))? {
            return Err(VaultError::Exists { path });
        }
        let bytes =
            share.to_bytes().map_err(|source| VaultError::Share { path: path.clone(), source })?;
        let header = Header::fresh(ShareInfo::of(share, epoch))?;
        let sealed =
            seal(&header, passphrase, &bytes).map_err(|reason| malformed(&path, reason))?;

        fs::create_dir_all(&self.folder).map_err(|source| io(&self.folder, source))?;
        let unfinished = path.with_extension("unfinished");
        // Left by a crash, and never read.
        remove(&unfinished)?;
        write_new(&unfinished, &sealed).map_err(|source| io(&unfinished, source))?;
        // Unlike a rename, a link does not replace what somebody else stored meanwhile.
        let linked = fs::hard_link(&unfinished, &path);
        remove(&unfinished)?;
        linked.map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => VaultError::Exists { path: path.clone() },
            _ => io(&path, source),
        })?;
        self.sync()
    }

    /// The share of an epoch. Costs a tenth of a second and 32 MiB of Argon2id.
    ///
    /// # Errors
    /// [`VaultError::NoShare`], [`VaultError::Sealed`] and the others.
    pub fn load(&self, epoch: u64, passphrase: &Secret) -> Result<KeyShare, VaultError> {
        let path = self.path(epoch);
        let file = read(&path)?;
        let (header, sealed) = Header::read(&file).map_err(|reason| malformed(&path, reason))?;
        let bytes = open(&header, passphrase, sealed)
            .ok_or_else(|| VaultError::Sealed { path: path.clone() })?;
        let share = KeyShare::from_bytes(&bytes)
            .map_err(|source| VaultError::Share { path: path.clone(), source })?;
        if ShareInfo::of(&share, epoch) != header.info {
            return Err(malformed(&path, "it was stored under another name".to_owned()));
        }
        Ok(share)
    }

    /// What is stored, oldest epoch first; needs no passphrase, and so is not yet proven.
    ///
    /// # Errors
    /// [`VaultError::Malformed`] for a file that is none of ours.
    pub fn list(&self) -> Result<Vec<ShareInfo>, VaultError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io(&self.folder, source)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| io(&self.folder, source))?.path();
            if path.extension().is_none_or(|extension| extension != SUFFIX) {
                continue;
            }
            let file = read(&path)?;
            let (header, _) = Header::read(&file).map_err(|reason| malformed(&path, reason))?;
            found.push(header.info);
        }
        found.sort_by_key(|info| info.epoch);
        Ok(found)
    }

    /// Erases the shares of earlier epochs: only once every member has stored this one.
    ///
    /// What a disk keeps of an erased file is out of reach from here; it is encrypted there.
    ///
    /// # Errors
    /// [`VaultError::NoShare`], if this epoch is not stored here: nothing is erased then.
    pub fn erase_before(&self, epoch: u64) -> Result<(), VaultError> {
        let kept = self.path(epoch);
        if !kept.try_exists().map_err(|source| io(&kept, source))? {
            return Err(VaultError::NoShare { path: kept });
        }
        for info in self.list()?.into_iter().filter(|info| info.epoch < epoch) {
            remove(&self.path(info.epoch))?;
        }
        self.sync()
    }

    fn path(&self, epoch: u64) -> PathBuf {
        self.folder.join(format!("epoch-{epoch}.{SUFFIX}"))
    }

    /// The folder's own entry list, without which a new file's name may be lost.
    fn sync(&self) -> Result<(), VaultError> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| io(&self.folder, source))
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read(path: &Path) -> Result<Vec<u8>, VaultError> {
    let length = fs::metadata(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => VaultError::NoShare { path: path.to_path_buf() },
        _ => io(path, source),
    })?;
    if length.len() > MAX_FILE {
        return Err(malformed(path, "it is too large".to_owned()));
    }
    fs::read(path).map_err(|source| io(path, source))
}

/// What is not there counts as removed.
fn remove(path: &Path) -> Result<(), VaultError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io(path, error)),
        _ => Ok(()),
    }
}

fn io(path: &Path, source: std::io::Error) -> VaultError {
    VaultError::Io { path: path.to_path_buf(), source }
}

fn malformed(path: &Path, reason: String) -> VaultError {
    VaultError::Malformed { path: path.to_path_buf(), reason }
}
