//! Signatures: only the canonical 65 bytes of the right key over the right digest count.

use alloy_primitives::{Address, B256, U256};
use capstan_base::{ChainId, SessionKey, Signature65, SignatureError};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::vectors::{KEY, SIGNER, signed};

/// Order of secp256k1.
const ORDER: U256 = U256::from_limbs([
    0xbfd2_5e8c_d036_4141,
    0xbaae_dce6_af48_a03b,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
]);

fn digest() -> B256 {
    signed().voucher.digest(KEY.chain_id, KEY.marketplace)
}

fn with_last(v: u8) -> Signature65 {
    let mut bytes = signed().signature.0.to_vec();
    bytes[64] = v;
    Signature65(bytes.into())
}

#[test]
fn the_malleable_twin_is_refused() {
    let bytes = signed().signature.0.to_vec();
    let s = U256::from_be_slice(&bytes[32..64]);
    let twin = [&bytes[..32], &(ORDER - s).to_be_bytes::<32>(), &[55 - bytes[64]]].concat();
    let twin = Signature65(twin.into());
    assert_eq!(twin.verify(digest(), SIGNER), Err(SignatureError::HighS));
}

#[test]
fn v_is_27_or_28() {
    for v in 0..=255 {
        let verified = with_last(v).verify(digest(), SIGNER);
        match v {
            27 => assert_eq!(verified, Ok(())),
            28 => assert!(matches!(verified, Err(SignatureError::WrongSigner { .. }))),
            _ => assert_eq!(verified, Err(SignatureError::Malformed), "{v}"),
        }
    }
}

#[test]
fn a_voucher_counts_for_its_session_chain_contract_and_key_alone() {
    let signed = signed();
    let others = [
        SessionKey { chain_id: ChainId(5611), ..KEY },
        SessionKey { marketplace: Address::repeat_byte(1), ..KEY },
    ];
    for other in others {
        assert!(matches!(signed.verify(&other, SIGNER), Err(SignatureError::WrongSigner { .. })));
    }
    let stranger = Address::repeat_byte(7);
    let refused = signed.verify(&KEY, stranger);
    assert_eq!(refused, Err(SignatureError::WrongSigner { expected: stranger, found: SIGNER }));
    let mut higher = signed;
    higher.voucher.amount = capstan_base::Amount::MAX;
    assert!(higher.verify(&KEY, SIGNER).is_err());
}

#[test]
fn zero_r_or_s_recovers_to_nobody() {
    for range in [0..32, 32..64] {
        let mut bytes = signed().signature.0.to_vec();
        bytes[range].fill(0);
        let refused = Signature65(bytes.into()).verify(digest(), Address::ZERO);
        assert_eq!(refused, Err(SignatureError::Unrecoverable));
    }
}

proptest! {
    #[test]
    fn other_lengths_are_malformed(bytes in vec(any::<u8>(), 0..140)) {
        let signature = Signature65(bytes.clone().into());
        if bytes.len() == 65 {
            prop_assert!(signature.verify(digest(), SIGNER).is_err());
        } else {
            prop_assert_eq!(signature.parse().err(), Some(SignatureError::Malformed));
        }
    }

    #[test]
    fn a_flipped_bit_is_never_the_same_signer(bit in 0_usize..520) {
        let mut bytes = signed().signature.0.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Signature65(bytes.into()).verify(digest(), SIGNER).is_err());
    }
}
