//! Shares on disk.

use std::fs;

use capstan_kit::Secret;
use capstan_signer::vault::{Vault, VaultError};
use proptest::prelude::*;

use crate::cluster::two_of_three;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[test]
fn a_share_comes_back_with_its_passphrase_alone() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::at(folder.path().join("vault"));
    let share = &two_of_three()[0];
    assert_eq!(vault.list().unwrap(), []);
    vault.store(share, 1, &secret("right")).unwrap();

    let loaded = vault.load(1, &secret("right")).unwrap();
    assert_eq!(*loaded.to_bytes().unwrap(), *share.to_bytes().unwrap());
    assert!(matches!(vault.load(1, &secret("wrong")), Err(VaultError::Sealed { .. })));
    assert!(matches!(vault.load(2, &secret("right")), Err(VaultError::NoShare { .. })));
    let info = vault.list().unwrap()[0];
    assert_eq!((info.epoch, info.member, info.address), (1, share.member(), share.address()));
}

#[test]
fn nothing_of_a_share_is_in_its_file_and_nobody_else_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::at(folder.path());
    let share = &two_of_three()[0];
    vault.store(share, 1, &secret("passphrase")).unwrap();
    let path = folder.path().join("epoch-1.share");
    let (file, clear) = (fs::read(&path).unwrap(), share.to_bytes().unwrap());
    assert!(!clear.windows(32).any(|part| file.windows(32).any(|other| other == part)));
    assert!(!file.windows(10).any(|part| part == b"passphrase"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["epoch-1.share"]);
}

#[test]
fn no_share_is_overwritten_and_old_ones_go_when_they_are_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let (vault, passphrase) = (Vault::at(folder.path()), secret("p"));
    let share = &two_of_three()[0];
    for epoch in [1, 2] {
        vault.store(share, epoch, &passphrase).unwrap();
    }
    assert!(matches!(vault.store(share, 2, &passphrase), Err(VaultError::Exists { .. })));
    assert!(matches!(vault.erase_before(3), Err(VaultError::NoShare { .. })));
    assert_eq!(vault.list().unwrap().len(), 2);
    vault.erase_before(2).unwrap();
    let left: Vec<_> = vault.list().unwrap().iter().map(|info| info.epoch).collect();
    assert_eq!(left, [2]);
    vault.load(2, &passphrase).unwrap();
}

#[test]
fn a_file_that_a_crash_left_behind_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::at(folder.path());
    fs::write(folder.path().join("epoch-1.unfinished"), b"half a sha").unwrap();
    assert_eq!(vault.list().unwrap(), []);
    vault.store(&two_of_three()[0], 1, &secret("p")).unwrap();
    vault.load(1, &secret("p")).unwrap();
}

#[test]
fn a_file_under_another_epochs_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::at(folder.path());
    vault.store(&two_of_three()[0], 1, &secret("p")).unwrap();
    fs::copy(folder.path().join("epoch-1.share"), folder.path().join("epoch-2.share")).unwrap();
    assert!(matches!(vault.load(2, &secret("p")), Err(VaultError::Malformed { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_file_never_opens(place: usize, bit in 0..8_u32) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::at(folder.path());
        vault.store(&two_of_three()[0], 1, &secret("p")).unwrap();
        let path = folder.path().join("epoch-1.share");
        let mut file = fs::read(&path).unwrap();
        // The header is a hundred bytes; most places would be in the sealed part otherwise.
        let place = place % if bit < 4 { 100 } else { file.len() };
        file[place] ^= 1 << bit;
        fs::write(&path, file).unwrap();
        prop_assert!(vault.load(1, &secret("p")).is_err());
    }

    #[test]
    fn foreign_files_never_panic(file: Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::at(folder.path());
        for file in [file.clone(), [b"CAPSHR\0\x01".to_vec(), file].concat()] {
            fs::write(folder.path().join("epoch-1.share"), file).unwrap();
            prop_assert!(vault.load(1, &secret("p")).is_err());
            let _ = vault.list();
        }
    }
}
