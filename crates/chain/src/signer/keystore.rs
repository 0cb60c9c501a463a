//! Version 3 keystore files, as geth and every wallet write them.

use std::fs::OpenOptions;
use std::path::Path;

use capstan_kit::Secret;
use eth_keystore::KeystoreError;
use k256::elliptic_curve::rand_core::OsRng;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::SignerError;
use crate::signer::LocalSigner;

/// Larger files are no keystores.
const MAX_FILE: u64 = 1 << 20;

/// Makes a fresh key, encrypts it into a new file that only its owner may read, and gives the
/// signer. A file that exists is never overwritten.
pub fn create_keystore(path: &Path, password: &Secret) -> Result<LocalSigner, SignerError> {
    let file_error = |source| SignerError::KeystoreFile { path: path.to_path_buf(), source };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        SignerError::BadKeystore { path: path.to_path_buf(), reason: "has no file name".to_owned() }
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder).map_err(file_error)?;
    // Reserved with tight permissions before a byte of it is written.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => {
            SignerError::KeystoreExists { path: path.to_path_buf() }
        }
        _ => file_error(source),
    })?;
    let signer = LocalSigner::random();
    eth_keystore::encrypt_key(
        folder,
        &mut OsRng,
        signer.to_bytes().as_slice(),
        password.expose(),
        Some(name),
    )
    .map_err(|error| {
        // An empty or half-written file would only be in the way of the next try.
        let _ = std::fs::remove_file(path);
        translate(path, error)
    })?;
    file.sync_all().map_err(file_error)?;
    Ok(signer)
}

pub(crate) fn open(path: &Path, password: &Secret) -> Result<LocalSigner, SignerError> {
    check(path)?;
    let key = eth_keystore::decrypt_key(path, password.expose())
        .map(Zeroizing::new)
        .map_err(|error| translate(path, error))?;
    LocalSigner::from_bytes(&path.display().to_string(), &key)
}

/// The library indexes into these fields without looking, and would try any cost it is told.
fn check(path: &Path) -> Result<(), SignerError> {
    let file_error = |source| SignerError::KeystoreFile { path: path.to_path_buf(), source };
    let bad = |reason: &str| SignerError::BadKeystore {
        path: path.to_path_buf(),
        reason: reason.to_owned(),
    };
    if std::fs::metadata(path).map_err(file_error)?.len() > MAX_FILE {
        return Err(bad("it is too large"));
    }
    let text = std::fs::read(path).map_err(file_error)?;
    let file: Value = serde_json::from_slice(&text).map_err(|_| bad("it is not JSON"))?;
    if file.get("version").and_then(Value::as_u64) != Some(3) {
        return Err(bad("it is not version 3"));
    }
    let crypto =
        file.get("crypto").or_else(|| file.get("Crypto")).ok_or_else(|| bad("no crypto"))?;
    let parameter =
        |name: &str| crypto.pointer(&format!("/kdfparams/{name}")).and_then(Value::as_u64);
    if parameter("dklen").is_some_and(|length| length != 32) {
        return Err(bad("its derived key is not 32 bytes long"));
    }
    // 2^20 with r = 8 is 1 GiB and the most that any wallet writes.
    let (n, r, p) = (parameter("n"), parameter("r"), parameter("p"));
    let costly = n.unwrap_or(2).saturating_mul(r.unwrap_or(8)).saturating_mul(p.unwrap_or(1));
    if costly > 8 << 20 || n.is_some_and(|n| !n.is_power_of_two() || n < 2) {
        return Err(bad("its scrypt parameters are refused"));
    }
    let iv = crypto.pointer("/cipherparams/iv").and_then(Value::as_str).unwrap_or_default();
    if iv.len() != 32 {
        return Err(bad("its initialisation vector is not 16 bytes long"));
    }
    Ok(())
}

fn translate(path: &Path, error: KeystoreError) -> SignerError {
    let path = path.to_path_buf();
    match error {
        KeystoreError::MacMismatch => SignerError::WrongPassword { path },
        KeystoreError::StdIo(reason) => {
            SignerError::KeystoreFile { path, source: std::io::Error::other(reason) }
        }
        other => SignerError::BadKeystore { path, reason: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::KeySource;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_new_keystore_opens_with_its_password_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/host.json");
        let made = create_keystore(&path, &secret("right")).unwrap();
        let load = |password: &str| {
            LocalSigner::load(&KeySource::Keystore {
                path: path.clone(),
                password: secret(password),
            })
        };
        assert_eq!(load("right").unwrap().address(), made.address());
        assert!(matches!(load("wrong"), Err(SignerError::WrongPassword { .. })));
        assert!(matches!(
            create_keystore(&path, &secret("right")),
            Err(SignerError::KeystoreExists { .. })
        ));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "others may read the key");
        }
    }

    #[test]
    fn files_that_would_break_the_library_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.json");
        let good = r#"{"version":3,"crypto":{"cipherparams":{"iv":"00112233445566778899aabbccddeeff"},
            "kdfparams":{"n":8192,"r":8,"p":1,"dklen":32}}}"#;
        for (from, to) in [
            ("\"version\":3", "\"version\":1"),
            ("\"dklen\":32", "\"dklen\":16"),
            ("\"n\":8192", "\"n\":2147483648"),
            ("\"n\":8192", "\"n\":0"),
            ("00112233445566778899aabbccddeeff", "00"),
            ("{", "<"),
        ] {
            std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
            let loaded = open(&path, &secret("x"));
            assert!(matches!(loaded, Err(SignerError::BadKeystore { .. })), "{to}: {loaded:?}");
        }
    }
}
