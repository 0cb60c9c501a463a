//! The transcript: an append-only Merkle tree over every token a session billed.
//!
//! Both sides build it, the root goes into each voucher, and any token can be proven against a
//! settled root later. The tree has the shape of RFC 6962 (section 2.1) with keccak-256, which a
//! contract can check cheaply:
//!
//! ```text
//! leaf = keccak256(0x00 || index: u64 BE || token id: u32 BE || text bytes)
//! node = keccak256(0x01 || left || right)
//! ```
//!
//! An empty transcript has the zero root.

use alloy_primitives::{B256, Keccak256};
use serde::{Deserialize, Serialize};

/// Hash of one token's leaf.
pub fn leaf_hash(index: u64, token: u32, text: &[u8]) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update([0x00]);
    hasher.update(index.to_be_bytes());
    hasher.update(token.to_be_bytes());
    hasher.update(text);
    hasher.finalize()
}

fn node_hash(left: B256, right: B256) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update([0x01]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize()
}

/// Everything needed to go on appending: the roots of the perfect subtrees, largest first, one for
/// each set bit of the size. At most 64 hashes, whatever the length of the session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    /// Tokens in the tree.
    pub size: u64,
    /// Subtree roots, largest first.
    pub peaks: Vec<B256>,
}

/// A frontier whose parts do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transcript frontier of size {size} needs {expected} peaks, has {found}")]
pub struct FrontierError {
    size: u64,
    expected: u32,
    found: usize,
}

/// The growing tree. Keeps only its [`Frontier`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    frontier: Frontier,
}

impl Transcript {
    /// An empty transcript.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from a stored frontier.
    pub fn resume(frontier: Frontier) -> Result<Self, FrontierError> {
        let expected = frontier.size.count_ones();
        let found = frontier.peaks.len();
        if u32::try_from(found) == Ok(expected) {
            Ok(Self { frontier })
        } else {
            Err(FrontierError { size: frontier.size, expected, found })
        }
    }

    /// Appends one token and returns its leaf hash. The index is the size before the call.
    pub fn push(&mut self, token: u32, text: &[u8]) -> B256 {
        let leaf = leaf_hash(self.frontier.size, token, text);
        let mut root = leaf;
        // Each trailing one bit of the size is a perfect subtree as large as the one just made.
        for _ in 0..self.frontier.size.trailing_ones() {
            if let Some(left) = self.frontier.peaks.pop() {
                root = node_hash(left, root);
            }
        }
        self.frontier.peaks.push(root);
        // 2^64 tokens cannot be counted in the life of the universe; the tree stops growing there.
        self.frontier.size = self.frontier.size.saturating_add(1);
        leaf
    }

    /// Tokens so far.
    pub fn size(&self) -> u64 {
        self.frontier.size
    }

    /// Root over all tokens so far; zero when empty.
    pub fn root(&self) -> B256 {
        let mut peaks = self.frontier.peaks.iter().rev();
        let Some(smallest) = peaks.next() else { return B256::ZERO };
        peaks.fold(*smallest, |right, left| node_hash(*left, right))
    }

    /// State to store.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}

/// Proof that a leaf stands at `index` in a tree of `size` leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// Position of the leaf.
    pub index: u64,
    /// Leaves in the tree.
    pub size: u64,
    /// Sibling hashes from the leaf upwards.
    pub path: Vec<B256>,
}

impl InclusionProof {
    /// Proves leaf `index` of `leaves`; `None` if it is not there.
    pub fn new(leaves: &[B256], index: u64) -> Option<Self> {
        let position = usize::try_from(index).ok().filter(|position| *position < leaves.len())?;
        let size = u64::try_from(leaves.len()).ok()?;
        let mut path = Vec::new();
        collect_path(leaves, position, &mut path);
        Some(Self { index, size, path })
    }

    /// True if `leaf` stands at the proof's index under `root` (RFC 9162, section 2.1.3.2).
    pub fn verify(&self, leaf: B256, root: B256) -> bool {
        if self.index >= self.size {
            return false;
        }
        let mut index = self.index;
        let mut last = self.size.saturating_sub(1);
        let mut hash = leaf;
        for sibling in &self.path {
            if last == 0 {
                return false;
            }
            if index & 1 == 1 || index == last {
                hash = node_hash(*sibling, hash);
                while index & 1 == 0 && index != 0 {
                    index >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(hash, *sibling);
            }
            index >>= 1;
            last >>= 1;
        }
        last == 0 && hash == root
    }
}

/// Root of `leaves` by the definition of RFC 6962: the reference for the incremental tree.
fn tree_root(leaves: &[B256]) -> B256 {
    match leaves {
        [] => B256::ZERO,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(left_size(leaves.len()));
            node_hash(tree_root(left), tree_root(right))
        }
    }
}

fn collect_path(leaves: &[B256], position: usize, path: &mut Vec<B256>) {
    if leaves.len() < 2 {
        return;
    }
    let split = left_size(leaves.len());
    let (left, right) = leaves.split_at(split);
    if let Some(position) = position.checked_sub(split) {
        collect_path(right, position, path);
        path.push(tree_root(left));
    } else {
        collect_path(left, position, path);
        path.push(tree_root(right));
    }
}

/// Largest power of two below `len`, for `len` of at least 2.
fn left_size(len: usize) -> usize {
    len.next_power_of_two() >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u64) -> (Transcript, Vec<B256>) {
        let mut transcript = Transcript::new();
        let leaves =
            (0..count).map(|i| transcript.push(u32::try_from(i).unwrap(), &[7; 3])).collect();
        (transcript, leaves)
    }

    #[test]
    fn incremental_root_is_the_defined_root() {
        for count in 0..130 {
            let (transcript, leaves) = leaves(count);
            assert_eq!(transcript.root(), tree_root(&leaves), "{count} leaves");
        }
    }

    #[test]
    fn every_leaf_is_provable_and_no_other() {
        for count in 1..40 {
            let (transcript, leaves) = leaves(count);
            for index in 0..count {
                let proof = InclusionProof::new(&leaves, index).unwrap();
                assert!(proof.verify(leaves[usize::try_from(index).unwrap()], transcript.root()));
                assert!(!proof.verify(B256::repeat_byte(1), transcript.root()));
                let moved = InclusionProof { index: index + 1, ..proof };
                assert!(!moved.verify(leaves[usize::try_from(index).unwrap()], transcript.root()));
            }
            assert_eq!(InclusionProof::new(&leaves, count), None);
        }
    }

    #[test]
    fn resuming_goes_on_as_if_never_stopped() {
        let (mut whole, _) = leaves(77);
        let mut resumed = Transcript::resume(whole.frontier().clone()).unwrap();
        whole.push(5, b"x");
        resumed.push(5, b"x");
        assert_eq!(whole, resumed);
        let torn = Frontier { size: 77, peaks: vec![B256::ZERO] };
        assert!(Transcript::resume(torn).is_err());
    }

    #[test]
    fn leaf_encoding_is_pinned() {
        // Recomputed by hand: keccak256(00 | 0000000000000001 | 00000002 | "hi").
        let mut bytes = vec![0u8; 9];
        bytes[8] = 1;
        bytes.extend([0, 0, 0, 2]);
        bytes.extend(b"hi");
        assert_eq!(leaf_hash(1, 2, b"hi"), alloy_primitives::keccak256(bytes));
    }
}
