//! Transcript: the growing tree is the defined tree, and its proofs prove nothing else.

use capstan_base::transcript::leaf_hash;
use capstan_base::{B256, Frontier, InclusionProof, Transcript};
use proptest::collection::vec;
use proptest::prelude::*;

pub type Tokens = Vec<(u32, Vec<u8>)>;

pub fn tokens(most: usize) -> impl Strategy<Value = Tokens> {
    vec((any::<u32>(), vec(any::<u8>(), 0..8)), 0..most)
}

/// RFC 6962, section 2.1, written down again without looking at the crate.
fn defined(leaves: &[B256]) -> B256 {
    if leaves.len() < 2 {
        return leaves.first().copied().unwrap_or_default();
    }
    let mut split = 1;
    while split * 2 < leaves.len() {
        split *= 2;
    }
    let (left, right) = (defined(&leaves[..split]), defined(&leaves[split..]));
    alloy_primitives::keccak256([&[1][..], left.as_slice(), right.as_slice()].concat())
}

fn build(tokens: &Tokens) -> (Transcript, Vec<B256>) {
    let mut transcript = Transcript::new();
    let leaves = tokens.iter().map(|(id, text)| transcript.push(*id, text)).collect();
    (transcript, leaves)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_growing_root_is_the_defined_root(tokens in tokens(200)) {
        let (transcript, leaves) = build(&tokens);
        prop_assert_eq!(transcript.root(), defined(&leaves));
        prop_assert_eq!(transcript.size(), u64::try_from(tokens.len()).unwrap());
        let peaks = transcript.frontier().peaks.len();
        prop_assert_eq!(peaks, tokens.len().count_ones() as usize);
    }

    #[test]
    fn stopping_anywhere_changes_nothing(tokens in tokens(100), at: prop::sample::Index) {
        let (whole, _) = build(&tokens);
        let at = if tokens.is_empty() { 0 } else { at.index(tokens.len()) };
        let (first, _) = build(&tokens[..at].to_vec());
        let json = serde_json::to_string(first.frontier()).unwrap();
        let mut rest = Transcript::resume(serde_json::from_str(&json).unwrap()).unwrap();
        for (id, text) in &tokens[at..] {
            rest.push(*id, text);
        }
        prop_assert_eq!(rest, whole);
    }

    #[test]
    fn a_proof_proves_its_leaf_and_no_other(tokens in tokens(70), at: prop::sample::Index, bit in 0_usize..256) {
        prop_assume!(!tokens.is_empty());
        let (transcript, leaves) = build(&tokens);
        let at = at.index(tokens.len());
        let proof = InclusionProof::new(&leaves, u64::try_from(at).unwrap()).unwrap();
        let root = transcript.root();
        prop_assert!(proof.verify(leaves[at], root));
        let mut other = leaves[at];
        other.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!proof.verify(other, root));
        for (position, leaf) in leaves.iter().enumerate() {
            prop_assert_eq!(proof.verify(*leaf, root), leaf == &leaves[at], "{}", position);
        }
        let mut longer = proof.clone();
        longer.path.push(B256::repeat_byte(1));
        prop_assert!(!longer.verify(leaves[at], root));
        let mut shorter = proof.clone();
        if shorter.path.pop().is_some() {
            prop_assert!(!shorter.verify(leaves[at], root));
        }
        let larger = InclusionProof { size: proof.size * 2 + 1, ..proof };
        prop_assert!(!larger.verify(leaves[at], root));
    }

    #[test]
    fn no_foreign_proof_or_frontier_panics(
        index: u64, size: u64, path in vec(any::<[u8; 32]>(), 0..70), peaks in 0_usize..70,
    ) {
        let path = path.into_iter().map(B256::from).collect();
        let root = B256::repeat_byte(3);
        InclusionProof { index, size, path }.verify(B256::ZERO, root);
        if let Ok(mut resumed) = Transcript::resume(Frontier { size, peaks: vec![root; peaks] }) {
            prop_assert_eq!(size.count_ones() as usize, peaks);
            resumed.push(1, b"x");
        }
    }

    #[test]
    fn a_leaf_states_its_place_token_and_text(index: u64, token: u32, text in vec(any::<u8>(), 0..9)) {
        let leaf = leaf_hash(index, token, &text);
        prop_assert_ne!(leaf, leaf_hash(index ^ 1, token, &text));
        prop_assert_ne!(leaf, leaf_hash(index, token ^ 1, &text));
        let mut longer = text.clone();
        longer.push(0);
        prop_assert_ne!(leaf, leaf_hash(index, token, &longer));
    }
}

#[test]
fn the_last_token_that_can_be_counted_does_not_wrap() {
    let full = Frontier { size: u64::MAX, peaks: vec![B256::ZERO; 64] };
    let mut transcript = Transcript::resume(full).unwrap();
    transcript.push(1, b"x");
    assert_eq!(transcript.size(), u64::MAX);
}
