//! A member's share of a key, and the public half that everybody knows.

use alloy_primitives::{Address, keccak256};
use capstan_base::B256;
use core::fmt;
use dkls23::protocols::{Party, PublicKeyPackage};
use k256_0_14::elliptic_curve::sec1::ToSec1Point;
use k256_0_14::{AffinePoint, Secp256k1};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::member::{Committee, MemberIndex};

/// Written before every stored share: a later form has another number.
const FORM: u8 = 1;
/// A share of a committee of ten takes half of this.
const ROOM: usize = 1 << 20;

/// A public key, SEC 1 compressed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublicKey(#[serde(with = "bytes33")] [u8; 33]);

/// One member's secret: with `threshold` of these the committee signs, and with fewer nobody does.
/// Erased when dropped; prints its public half only.
#[derive(Clone)]
pub struct KeyShare {
    pub(super) party: Party<Secp256k1>,
    pub(super) package: PublicKeyPackage<Secp256k1>,
}

/// Place of an agent's key below its committee's: children by number, none of them hardened (BIP-32),
/// as nobody has the private key that hardening needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChildPath(Vec<u32>);

/// Why bytes are no share, or a share has no such child.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// Stored by a later version of this program, or something else altogether.
    #[error("key share is of an unknown form")]
    UnknownForm,
    /// Damaged.
    #[error("key share cannot be read")]
    Malformed,
    /// A number from 2^31, or one of the 2^-127 that BIP-32 leaves out.
    #[error("key has no child {child}: {reason}")]
    NoSuchChild {
        /// Its number.
        child: u32,
        /// Why not.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Stored {
    party: Party<Secp256k1>,
    package: PublicKeyPackage<Secp256k1>,
}

impl PublicKey {
    pub(super) fn of(point: &AffinePoint) -> Self {
        let mut bytes = [0; 33];
        let encoded = point.to_sec1_point(true);
        // A key is never the point at infinity, whose encoding alone is shorter.
        if let Some(whole) = encoded.as_bytes().get(..33) {
            bytes.copy_from_slice(whole);
        }
        Self(bytes)
    }

    /// 33 bytes: 02 or 03, and x.
    pub fn to_bytes(self) -> [u8; 33] {
        self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl KeyShare {
    /// Whose it is.
    pub fn member(&self) -> MemberIndex {
        self.party.party_index.into()
    }

    /// Signers required, and members in all.
    pub fn committee(&self) -> Committee {
        let parameters = &self.party.parameters;
        Committee::unchecked(parameters.threshold, parameters.share_count)
    }

    /// The key that signatures are checked with.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::of(&self.party.pk)
    }

    /// Account of the key, the same on every EVM chain.
    pub fn address(&self) -> Address {
        address_of(&self.party.pk)
    }

    /// The session that signs with this share and its siblings, and with shares from before a refresh
    /// never: 32 bytes that every member computes alike.
    pub fn epoch(&self) -> B256 {
        B256::from_slice(&Sha256::digest(&self.party.session_id))
    }

    /// BIP-32's chain code: with the public key it gives every child's public key.
    pub fn chain_code(&self) -> [u8; 32] {
        *self.party.chain_code()
    }

    /// The share of a child key. Costs no message.
    ///
    /// # Errors
    /// [`ShareError::NoSuchChild`].
    pub fn child(&self, path: &ChildPath) -> Result<Self, ShareError> {
        let (mut party, mut package) = (self.party.clone(), self.package.clone());
        for child in path.0.iter().copied() {
            let no_such = |error: dkls23::protocols::derivation::ErrorDeriv| {
                ShareError::NoSuchChild { child, reason: error.description }
            };
            package = package.derive_child(party.chain_code(), child).map_err(no_such)?;
            party = party.derive_child(child, |_| String::new()).map_err(no_such)?;
        }
        Ok(Self { party, package })
    }

    /// All of it in clear, for the one who encrypts it.
    ///
    /// # Errors
    /// [`ShareError::Malformed`], if it cannot be written.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, ShareError> {
        let stored = Stored { party: self.party.clone(), package: self.package.clone() };
        // Room for all of it at once: a buffer that grows leaves copies of itself behind.
        let mut bytes = Vec::with_capacity(ROOM);
        bytes.push(FORM);
        postcard::to_extend(&stored, bytes).map(Zeroizing::new).map_err(|_| ShareError::Malformed)
    }

    /// The inverse of [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`ShareError::UnknownForm`], [`ShareError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShareError> {
        let (form, rest) = bytes.split_first().ok_or(ShareError::Malformed)?;
        if *form != FORM {
            return Err(ShareError::UnknownForm);
        }
        match postcard::take_from_bytes::<Stored>(rest) {
            Ok((Stored { party, package }, [])) => Ok(Self { party, package }),
            _ => Err(ShareError::Malformed),
        }
    }
}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (member, key) = (self.member(), self.public_key());
        f.debug_struct("KeyShare")
            .field("member", &member)
            .field("key", &key)
            .finish_non_exhaustive()
    }
}

impl ChildPath {
    /// Children by number, from the committee's key down.
    pub fn new(children: impl Into<Vec<u32>>) -> Self {
        Self(children.into())
    }

    /// The numbers.
    pub fn children(&self) -> &[u32] {
        &self.0
    }
}

fn address_of(point: &AffinePoint) -> Address {
    let uncompressed = point.to_sec1_point(false);
    // Keccak of x and y, without the leading 04 (yellow paper, appendix F).
    let coordinates = uncompressed.as_bytes().get(1..).unwrap_or_default();
    Address::from_word(keccak256(coordinates))
}

mod bytes33 {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 33], to: S) -> Result<S::Ok, S::Error> {
        bytes.as_slice().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 33], D::Error> {
        let bytes = Vec::<u8>::deserialize(from)?;
        bytes.try_into().map_err(|_| serde::de::Error::custom("a public key has 33 bytes"))
    }
}
