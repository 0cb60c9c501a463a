//! One digest of what everybody broadcast in a round.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::member::MemberIndex;

/// SHA-256 over every member's broadcast of one round of one ceremony.
pub(super) type Echo = [u8; 32];

pub(super) fn echo_of(
    ceremony: &[u8; 32],
    round: u8,
    broadcasts: &BTreeMap<MemberIndex, Vec<u8>>,
) -> Echo {
    let mut hash = Sha256::new();
    hash.update(b"capstan signer echo v1");
    hash.update(ceremony);
    hash.update([round]);
    for (member, broadcast) in broadcasts {
        hash.update([member.get()]);
        // Each as its own digest, so that nothing can move from one into the next.
        hash.update(Sha256::digest(broadcast));
    }
    hash.finalize().into()
}
