//! ECDSA signatures over secp256k1, in the one form that the chain takes.

use alloy_primitives::{Address, B256, Signature, U256, uint};
use serde::{Deserialize, Serialize};

/// Order of secp256k1 (SEC 2, section 2.4.1).
const ORDER: U256 =
    uint!(0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141_U256);

/// Half the order of secp256k1: signatures above it are the malleable twins (EIP-2).
const HALF_ORDER: U256 = U256::from_limbs([
    0xdfe9_2f46_681b_20a0,
    0x5d57_6e73_57a4_501d,
    0xffff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
]);

/// A signature that does not do what was claimed of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 65 bytes of r, s, v.
    #[error("signature is not 65 bytes of r, s, v")]
    Malformed,
    /// s in the upper half of the order.
    #[error("signature has a high s value, which the chain refuses (EIP-2)")]
    HighS,
    /// No public key recovers from it.
    #[error("signature does not recover to any key")]
    Unrecoverable,
    /// It is another key's.
    #[error("signed by {found}, expected {expected}")]
    WrongSigner {
        /// Who should have signed.
        expected: Address,
        /// Who did.
        found: Address,
    },
    /// r or s is zero or not below the order.
    #[error("signature has an r or s outside the order of secp256k1")]
    OutOfRange,
}

/// The signature `(r, s)` of `signer` over `digest` with low s (EIP-2) and its recovery id, for signers that do not say
/// which it is: the one of the two under which `signer` recovers.
///
/// # Errors
/// [`SignatureError::OutOfRange`] for numbers that no signature has; [`SignatureError::WrongSigner`] or
/// [`SignatureError::Unrecoverable`] if it is not `signer`'s.
pub fn recoverable(
    digest: B256,
    r: U256,
    s: U256,
    signer: Address,
) -> Result<Signature, SignatureError> {
    let in_range = |number: U256| !number.is_zero() && number < ORDER;
    if !in_range(r) || !in_range(s) {
        return Err(SignatureError::OutOfRange);
    }
    let low = if s > HALF_ORDER { ORDER.wrapping_sub(s) } else { s };
    let mut refusal = SignatureError::Unrecoverable;
    for parity in [false, true] {
        let signature = Signature::new(r, low, parity);
        match signature.recover_address_from_prehash(&digest) {
            Ok(found) if found == signer => return Ok(signature),
            Ok(found) => refusal = SignatureError::WrongSigner { expected: signer, found },
            Err(_) => {}
        }
    }
    Err(refusal)
}

/// 65 bytes r, s, v with v in {27, 28}, in hex on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature65(pub alloy_primitives::Bytes);

impl Signature65 {
    /// Checks form and low s, and gives the recoverable signature.
    pub fn parse(&self) -> Result<Signature, SignatureError> {
        let (rs, v) = self
            .0
            .split_at_checked(64)
            .and_then(|(rs, rest)| Some((rs, *rest.first()?)))
            .filter(|_| self.0.len() == 65)
            .ok_or(SignatureError::Malformed)?;
        // The chain takes 27 and 28 alone: a voucher in another form would never be paid.
        let parity = match v {
            27 => false,
            28 => true,
            _ => return Err(SignatureError::Malformed),
        };
        let signature = Signature::from_bytes_and_parity(rs, parity);
        if signature.s() > HALF_ORDER {
            return Err(SignatureError::HighS);
        }
        Ok(signature)
    }

    /// Succeeds if `expected` signed `digest`.
    pub fn verify(&self, digest: B256, expected: Address) -> Result<(), SignatureError> {
        let found = self
            .parse()?
            .recover_address_from_prehash(&digest)
            .map_err(|_| SignatureError::Unrecoverable)?;
        if found == expected {
            Ok(())
        } else {
            Err(SignatureError::WrongSigner { expected, found })
        }
    }
}

impl From<Signature> for Signature65 {
    fn from(signature: Signature) -> Self {
        Self(signature.as_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::SigningKey;
    use proptest::prelude::*;

    use super::*;

    /// Some key signed some digest this way: any r on the curve and any low s recover to one.
    fn with_v(v: u8) -> Signature65 {
        let r = U256::from_limbs([
            0x59f2_815b_16f8_1798,
            0x029b_fcdb_2dce_28d9,
            0x55a0_6295_ce87_0b07,
            0x79be_667e_f9dc_bbac,
        ]);
        let mut bytes = r.to_be_bytes_vec();
        bytes.extend(U256::from(1).to_be_bytes_vec());
        bytes.push(v);
        Signature65(bytes.into())
    }

    #[test]
    fn only_what_the_contract_takes_is_a_signature() {
        let digest = B256::repeat_byte(7);
        for (v, others) in [(27, [0, 35, 37, 255]), (28, [1, 36, 38, 2])] {
            let parsed = with_v(v).parse().unwrap();
            let signer = parsed.recover_address_from_prehash(&digest).unwrap();
            assert_eq!(with_v(v).verify(digest, signer), Ok(()));
            for other in others {
                // `ecrecover` knows 27 and 28 alone: the chain would not pay for these.
                let verified = with_v(other).verify(digest, signer);
                assert_eq!(verified, Err(SignatureError::Malformed), "v = {other}");
            }
        }
    }

    fn signer(seed: [u8; 32]) -> Option<(SigningKey, Address)> {
        let key = SigningKey::from_slice(&seed).ok()?;
        let address = Address::from_public_key(key.verifying_key());
        Some((key, address))
    }

    proptest! {
        #[test]
        fn the_recovery_id_is_found_and_s_made_low(seed: [u8; 32], digest: [u8; 32]) {
            let Some((key, address)) = signer(seed) else { return Ok(()) };
            let digest = B256::from(digest);
            let (signature, id) = key.sign_prehash_recoverable(digest.as_slice()).unwrap();
            let expected = Signature::from((signature, id));
            let (r, s) = (expected.r(), expected.s());
            prop_assert_eq!(recoverable(digest, r, s, address), Ok(expected));
            // The twin says the same and is brought into the form that the chain takes.
            prop_assert_eq!(recoverable(digest, r, ORDER.wrapping_sub(s), address), Ok(expected));
            let stranger = Address::repeat_byte(1);
            let refused = recoverable(digest, r, s, stranger);
            let wrong = matches!(refused, Err(SignatureError::WrongSigner { expected, .. }) if expected == stranger);
            prop_assert!(wrong);
        }
    }

    #[test]
    fn numbers_outside_the_order_are_no_signature() {
        let (digest, anyone) = (B256::repeat_byte(7), Address::repeat_byte(1));
        let one = U256::from(1);
        for (r, s) in [
            (U256::ZERO, one),
            (one, U256::ZERO),
            (ORDER, one),
            (one, ORDER),
            (U256::MAX, U256::MAX),
        ] {
            assert_eq!(recoverable(digest, r, s, anyone), Err(SignatureError::OutOfRange));
        }
    }
}
