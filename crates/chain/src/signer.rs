//! Keys of this machine: where they come from, and what they sign.

mod keystore;
mod transaction;

use core::fmt;
use std::path::PathBuf;

use alloy_primitives::Signature;
use capstan_base::{Address, B256, Signature65};
use capstan_kit::Secret;
use k256::ecdsa::SigningKey;
use zeroize::Zeroizing;

use crate::error::SignerError;

pub use keystore::create_keystore;
pub use transaction::{TxFields, TxTarget};

/// Where a key is had from. There is no variant for a key on a command line: arguments are visible
/// to every process of the machine.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A version 3 keystore file and the password that opens it.
    Keystore {
        /// The file.
        path: PathBuf,
        /// Read by the caller from a file, a variable or a prompt.
        password: Secret,
    },
    /// An environment variable that holds 32 bytes in hex, with or without 0x.
    Environment {
        /// Its name.
        name: String,
    },
    /// The key itself, 32 bytes in hex; `origin` says in errors where it came from.
    Hex {
        /// A name for errors.
        origin: String,
        /// The key.
        key: Secret,
    },
}

/// One secp256k1 key. Erased when dropped; prints its address only.
#[derive(Clone)]
pub struct LocalSigner {
    key: SigningKey,
    address: Address,
}

impl LocalSigner {
    /// Loads the key. A keystore costs about a tenth of a second of scrypt: call it from a blocking
    /// thread where that matters.
    pub fn load(source: &KeySource) -> Result<Self, SignerError> {
        match source {
            KeySource::Keystore { path, password } => keystore::open(path, password),
            KeySource::Environment { name } => {
                let text = std::env::var(name)
                    .map_err(|_| SignerError::MissingEnvironment { name: name.clone() })?;
                Self::from_hex(name, &Secret::new(text))
            }
            KeySource::Hex { origin, key } => Self::from_hex(origin, key),
        }
    }

    /// A fresh key from the system's randomness; for voucher keys and tests.
    pub fn random() -> Self {
        Self::from_key(SigningKey::random(&mut k256::elliptic_curve::rand_core::OsRng))
    }

    /// 32 bytes, as stored by whoever keeps a voucher key.
    pub fn from_bytes(origin: &str, bytes: &[u8]) -> Result<Self, SignerError> {
        SigningKey::from_slice(bytes)
            .map(Self::from_key)
            .map_err(|_| SignerError::BadKey { origin: origin.to_owned() })
    }

    /// The key itself, for the one who has to store it encrypted.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    /// Account of this key.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a digest, deterministically (RFC 6979) and with low s (EIP-2).
    pub fn sign_digest(&self, digest: B256) -> Result<Signature, SignerError> {
        let (signature, recovery) =
            self.key.sign_prehash_recoverable(digest.as_slice()).map_err(|_| SignerError::Sign)?;
        Ok(Signature::from((signature, recovery)))
    }

    /// The same in the 65-byte form that vouchers carry.
    pub fn sign_digest_65(&self, digest: B256) -> Result<Signature65, SignerError> {
        self.sign_digest(digest).map(Signature65::from)
    }

    fn from_hex(origin: &str, key: &Secret) -> Result<Self, SignerError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        alloy_primitives::hex::decode_to_slice(key.expose().trim(), bytes.as_mut_slice())
            .map_err(|_| SignerError::BadKey { origin: origin.to_owned() })?;
        Self::from_bytes(origin, bytes.as_slice())
    }

    fn from_key(key: SigningKey) -> Self {
        let address = Address::from_public_key(key.verifying_key());
        Self { key, address }
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalSigner").field(&self.address).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    /// First account of anvil's well-known mnemonic.
    const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    fn hex(text: &str) -> Result<LocalSigner, SignerError> {
        let key = Secret::new(text.to_owned());
        LocalSigner::load(&KeySource::Hex { origin: "TEST_KEY".to_owned(), key })
    }

    #[test]
    fn a_key_is_read_and_never_printed() {
        let signer = hex(KEY).unwrap();
        assert_eq!(signer.address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert!(!format!("{signer:?}").to_lowercase().contains(KEY.get(2..20).unwrap()));
    }

    #[test]
    fn a_bad_key_is_refused_without_repeating_it() {
        for text in ["", "0x12", &"0".repeat(64), &"f".repeat(64), &"g".repeat(64)] {
            let error = hex(text).unwrap_err().to_string();
            assert_eq!(error, "TEST_KEY does not hold a private key: expected 32 bytes in hex");
        }
    }

    #[test]
    fn a_digest_signature_recovers_to_the_signer() {
        let signer = LocalSigner::random();
        let digest = alloy_primitives::keccak256("voucher");
        let signature = signer.sign_digest_65(digest).unwrap();
        assert_eq!(signature.verify(digest, signer.address()), Ok(()));
    }
}
