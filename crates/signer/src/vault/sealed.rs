//! One share's file: a header in the clear, and the share under XChaCha20-Poly1305, whose key Argon2id
//! (RFC 9106) makes of a passphrase. The seal covers the header.

use alloy_primitives::Address;
use argon2::{Algorithm, Argon2, Params, Version};
use capstan_kit::Secret;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::VaultError;
use crate::protocol::{Committee, KeyShare, MemberIndex};

/// First bytes of every file, the last of them the version of the form.
const MAGIC: [u8; 8] = *b"CAPSHR\0\x01";

/// 32 MiB, four passes, one lane: a tenth of a second, within the memory a member is to run in, and
/// above what OWASP asks of a server (19 MiB, two passes).
const MEMORY_KIB: u32 = 32 * 1024;
const PASSES: u32 = 4;
const LANES: u32 = 1;

/// Files that ask for more are refused before anything is computed for them.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 16;

/// Whose share it is, of what key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareInfo {
    /// Counted by the members: every refresh makes a new one.
    pub epoch: u64,
    /// The member.
    pub member: MemberIndex,
    /// Its committee.
    pub committee: Committee,
    /// Account of the whole key.
    pub address: Address,
}

impl ShareInfo {
    pub(super) fn of(share: &KeyShare, epoch: u64) -> Self {
        let (member, committee, address) = (share.member(), share.committee(), share.address());
        Self { epoch, member, committee, address }
    }
}

/// Everything in the clear.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; 16],
    nonce: [u8; 24],
    pub(super) info: ShareInfo,
}

impl Header {
    /// With a salt and a nonce that were never used before.
    pub(super) fn fresh(info: ShareInfo) -> Result<Self, VaultError> {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        getrandom::fill(&mut salt).map_err(|_| VaultError::Randomness)?;
        getrandom::fill(&mut nonce).map_err(|_| VaultError::Randomness)?;
        let (memory_kib, passes, lanes) = (MEMORY_KIB, PASSES, LANES);
        Ok(Self { memory_kib, passes, lanes, salt, nonce, info })
    }

    /// The header of a file, and what is sealed behind it.
    pub(super) fn read(file: &[u8]) -> Result<(Self, &[u8]), String> {
        let rest = file.strip_prefix(&MAGIC).ok_or("it does not begin as one")?;
        let (header, sealed) = postcard::take_from_bytes::<Self>(rest)
            .map_err(|_| "its header cannot be read".to_owned())?;
        let memory = Params::MIN_M_COST..=MOST_MEMORY_KIB;
        if !memory.contains(&header.memory_kib)
            || !(1..=MOST_PASSES).contains(&header.passes)
            || header.lanes != LANES
        {
            return Err("its Argon2id parameters are refused".to_owned());
        }
        Ok((header, sealed))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, String> {
        postcard::to_extend(self, MAGIC.to_vec()).map_err(|error| error.to_string())
    }

    fn cipher(&self, passphrase: &Secret) -> Result<XChaCha20Poly1305, String> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32));
        let params = params.map_err(|error| error.to_string())?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut key = Zeroizing::new([0_u8; 32]);
        argon
            .hash_password_into(passphrase.expose().as_bytes(), &self.salt, key.as_mut_slice())
            .map_err(|error| error.to_string())?;
        XChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(|error| error.to_string())
    }
}

/// The whole file.
pub(super) fn seal(header: &Header, passphrase: &Secret, share: &[u8]) -> Result<Vec<u8>, String> {
    let mut file = header.to_bytes()?;
    let payload = Payload { msg: share, aad: &file };
    let sealed = header
        .cipher(passphrase)?
        .encrypt(&XNonce::from(header.nonce), payload)
        .map_err(|_| "the share cannot be encrypted".to_owned())?;
    file.extend(sealed);
    Ok(file)
}

/// The share; `None` for a wrong passphrase or a changed file.
pub(super) fn open(
    header: &Header,
    passphrase: &Secret,
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let clear = header.to_bytes().ok()?;
    let payload = Payload { msg: sealed, aad: &clear };
    let opened = header.cipher(passphrase).ok()?.decrypt(&XNonce::from(header.nonce), payload);
    opened.ok().map(Zeroizing::new)
}
