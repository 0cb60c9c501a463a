//! Keys come into being, sign, are refreshed, repaired and derived, with honest members.

use alloy_consensus::TxEnvelope;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_eips::eip2718::Decodable2718;
use capstan_signer::protocol::{
    Blame, ChildPath, Committee, KeyShare, MemberIndex, Signing, SigningError, assemble,
    repair_term,
};
use proptest::prelude::*;

use crate::cluster::{
    Letter, all, committee, generation, member, refresh, signing, transaction, two_of_three,
};

/// The signers with these numbers sign, and every one of them has the same valid raw transaction.
fn sign(shares: &[KeyShare], numbers: &[u8], id: u8) {
    let chosen: Vec<_> = numbers.iter().map(|number| share(shares, *number)).collect();
    let transaction = transaction(u64::from(id));
    let signatures = all(signing(&chosen, id, &transaction).run_plainly());
    assert_eq!(signatures.len(), numbers.len());
    let address = shares[0].address();
    for signature in &signatures {
        assert_eq!(signature, &signatures[0]);
        let signed = transaction.finalize(signature, address).unwrap();
        let decoded = TxEnvelope::decode_2718_exact(&signed.raw).unwrap();
        assert_eq!(decoded.recover_signer().unwrap(), address);
    }
}

fn share(shares: &[KeyShare], number: u8) -> KeyShare {
    shares.iter().find(|share| share.member() == member(number)).unwrap().clone()
}

#[test]
fn every_two_of_three_sign() {
    let shares = &all(generation(committee(2, 3), 1).run_plainly())[..];
    assert_eq!(shares.len(), 3);
    for share in shares {
        assert_eq!(share.public_key(), shares[0].public_key());
        assert_eq!(share.chain_code(), shares[0].chain_code());
        assert_eq!(share.epoch(), shares[0].epoch());
    }
    for (id, signers) in (1..).zip([[1, 2], [1, 3], [2, 3], [3, 1]]) {
        sign(shares, &signers, id);
    }
}

#[test]
fn three_of_five_sign() {
    let shares = all(generation(committee(3, 5), 2).run_plainly());
    sign(&shares, &[1, 3, 5], 1);
    sign(&shares, &[2, 3, 4], 2);
}

#[test]
fn signers_are_as_many_as_it_takes_and_members() {
    let own = &two_of_three()[0];
    let transaction = transaction(1);
    let begin = |signers: &[u8]| {
        let signers: Vec<_> = signers.iter().map(|number| member(*number)).collect();
        Signing::begin([9; 32], own.clone(), &signers, &transaction).map(drop)
    };
    for wrong in [&[1_u8][..], &[1, 1], &[1, 2, 3], &[1, 4], &[]] {
        assert!(
            matches!(begin(wrong), Err(SigningError::WrongSigners { threshold: 2, .. })),
            "{wrong:?}"
        );
    }
    assert_eq!(begin(&[2, 3]), Err(SigningError::NotASigner(member(1))));
    for (threshold, members) in [(1, 1), (1, 3), (4, 3), (2, 4), (2, 5), (5, 10), (0, 0)] {
        assert!(Committee::new(threshold, members).is_err(), "{threshold} of {members}");
    }
    for (threshold, members) in [(2, 2), (2, 3), (3, 4), (3, 5), (6, 10), (255, 255)] {
        assert!(Committee::new(threshold, members).is_ok(), "{threshold} of {members}");
    }
    assert!(MemberIndex::try_from(0).is_err());
}

#[test]
fn a_child_key_is_the_one_that_bip_32_says() {
    let shares = two_of_three();
    let path = ChildPath::new([44, 60, 0, 7]);
    let children: Vec<_> = shares.iter().map(|share| share.child(&path).unwrap()).collect();
    sign(&children, &[1, 3], 3);
    assert_eq!(children[0].public_key(), bip32(&shares[0], &[44, 60, 0, 7]));
    assert_ne!(children[0].address(), shares[0].address());
    assert!(shares[0].child(&ChildPath::new([1 << 31])).is_err());
}

/// The same by the definition, with other code: k256 0.13 and HMAC written out.
fn bip32(share: &KeyShare, path: &[u32]) -> capstan_signer::protocol::PublicKey {
    use k256::elliptic_curve::sec1::ToEncodedPoint;
    use k256::{ProjectivePoint, PublicKey, Scalar, elliptic_curve::PrimeField};
    let mut key = PublicKey::from_sec1_bytes(&share.public_key().to_bytes()).unwrap();
    let mut chain_code = share.chain_code().to_vec();
    for child in path {
        let mut data = key.to_encoded_point(true).as_bytes().to_vec();
        data.extend(child.to_be_bytes());
        let out = hmac_sha512(&chain_code, &data);
        let tweak = Scalar::from_repr(k256::FieldBytes::clone_from_slice(&out[..32])).unwrap();
        let point = ProjectivePoint::GENERATOR * tweak + key.to_projective();
        key = PublicKey::from_affine(point.to_affine()).unwrap();
        chain_code = out[32..].to_vec();
    }
    let bytes = key.to_encoded_point(true).as_bytes().to_vec();
    let json = serde_json::to_string(&bytes).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn hmac_sha512(key: &[u8], data: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha512};
    let pad =
        |byte: u8| (0..128).map(|i| key.get(i).copied().unwrap_or(0) ^ byte).collect::<Vec<u8>>();
    let inner = Sha512::new().chain_update(pad(0x36)).chain_update(data).finalize();
    Sha512::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

#[test]
fn a_refresh_keeps_the_key_and_makes_the_old_shares_worthless() {
    let old = two_of_three();
    let new = all(refresh(old, 4).run_plainly());
    assert_eq!(new[0].public_key(), old[0].public_key());
    assert_eq!(new[0].chain_code(), old[0].chain_code());
    assert_ne!(new[0].epoch(), old[0].epoch());
    sign(&new, &[1, 2], 5);
    sign(&new, &[2, 3], 6);

    let mixed = [share(old, 1), share(&new, 2)];
    let outcomes = signing(&mixed, 7, &transaction(7)).run_plainly();
    assert!(!outcomes.is_empty());
    for outcome in outcomes.into_values() {
        // Nobody is banned for having missed a refresh.
        assert!(!matches!(outcome.unwrap_err().blame, Blame::Ban(_)));
    }
}

#[test]
fn a_lost_share_is_repaired_and_signs_after_a_refresh() {
    let shares = two_of_three();
    let (helpers, lost, id) = ([member(1), member(3)], member(2), [8; 32]);
    let terms: Vec<_> = helpers
        .iter()
        .map(|helper| {
            (*helper, repair_term(&share(shares, helper.get()), &helpers, lost, &id).unwrap())
        })
        .collect();
    let repaired = assemble(lost, &terms).unwrap();
    assert_eq!(repaired.public_key(), shares[0].public_key());

    // Its state for signing is gone with the share.
    let begun = Signing::begin([9; 32], repaired.clone(), &[member(1), lost], &transaction(9));
    let Err(SigningError::Fault(fault)) = begun else { panic!("a hollow share signs") };
    assert_eq!(fault.blame, Blame::Ourselves);

    let whole = [share(shares, 1), repaired, share(shares, 3)];
    let new = all(refresh(&whole, 10).run_plainly());
    assert_eq!(new[0].public_key(), shares[0].public_key());
    sign(&new, &[1, 2], 11);

    let mut wrong = terms.clone();
    wrong.swap(0, 1);
    let (first, second) = (wrong[0].0, wrong[1].0);
    (wrong[0].0, wrong[1].0) = (second, first);
    assert!(assemble(lost, &wrong).is_err());
    assert!(assemble(member(1), &terms).is_err());
    assert!(assemble(lost, &terms[..1]).is_err());
}

#[test]
fn a_share_is_stored_and_read_back() {
    let own = &two_of_three()[0];
    let bytes = own.to_bytes().unwrap();
    let read = KeyShare::from_bytes(&bytes).unwrap();
    assert_eq!((read.address(), read.epoch()), (own.address(), own.epoch()));
    sign(&[read, share(two_of_three(), 2)], &[1, 2], 12);
    let shown = format!("{own:?}");
    assert!(shown.len() < 200, "{shown}");
    for length in [0, 1, 2, 100, bytes.len() - 1] {
        assert!(KeyShare::from_bytes(&bytes[..length]).is_err());
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(KeyShare::from_bytes(&longer).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Letters may come in any order, and any of them twice: the same signature comes of it.
    #[test]
    fn order_and_repetition_change_nothing(picks in proptest::collection::vec((any::<usize>(), any::<bool>()), 1..40)) {
        let shares = [share(two_of_three(), 2), share(two_of_three(), 3)];
        let transaction = transaction(13);
        let mut cluster = signing(&shares, 13, &transaction);
        let mut picks = picks.into_iter().cycle();
        cluster.run(|letters: &mut Vec<Letter>| {
            let (pick, twice) = picks.next().unwrap();
            let letter = letters.remove(pick % letters.len());
            if twice { vec![letter.clone(), letter] } else { vec![letter] }
        });
        // One that has its signature is gone; what is repeated to it changes nothing.
        let signatures = all(cluster.outcomes);
        prop_assert_eq!(signatures.len(), 2);
        prop_assert_eq!(signatures[0], signatures[1]);
        prop_assert!(transaction.finalize(&signatures[0], shares[0].address()).is_ok());
    }
}
