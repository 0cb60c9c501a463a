//! Vouchers: the renter's signature over what is owed.

use alloy_primitives::{Address, B256, Signature, U256};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain};
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::{ChainId, SessionId, SessionKey};
use crate::sol;

/// Half the order of secp256k1: signatures above it are the malleable twins (EIP-2).
const HALF_ORDER: U256 = U256::from_limbs([
    0xdfe9_2f46_681b_20a0,
    0x5d57_6e73_57a4_501d,
    0xffff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
]);

/// Cumulative statement of what a session owes. EIP-712 type
/// `Voucher(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    /// Session it belongs to.
    pub session_id: SessionId,
    /// Owed so far, protocol fee included.
    pub amount: Amount,
    /// Tokens billed so far, input and output together: the size of the transcript.
    pub tokens: u64,
    /// Root of the transcript over those tokens.
    pub transcript_root: B256,
}

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
}

/// Domain of every signature of a marketplace: chain and contract are part of what is signed.
pub fn domain(chain_id: ChainId, marketplace: Address) -> Eip712Domain {
    eip712_domain! {
        name: "Capstan",
        version: "1",
        chain_id: chain_id.0,
        verifying_contract: marketplace,
    }
}

impl Voucher {
    /// A voucher signed ahead of the work: an amount alone, with no transcript to state.
    pub fn ceiling(session_id: SessionId, amount: Amount) -> Self {
        Self { session_id, amount, tokens: 0, transcript_root: B256::ZERO }
    }

    /// True if it states an amount alone. Every other voucher has a transcript root.
    pub fn is_ceiling(&self) -> bool {
        self.tokens == 0 && self.transcript_root.is_zero()
    }

    /// EIP-712 digest that the voucher key signs.
    pub fn digest(&self, chain_id: ChainId, marketplace: Address) -> B256 {
        let voucher = sol::Voucher {
            sessionId: self.session_id.0,
            amount: self.amount.into(),
            tokens: self.tokens,
            transcriptRoot: self.transcript_root,
        };
        voucher.eip712_signing_hash(&domain(chain_id, marketplace))
    }
}

/// A voucher with its signature, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedVoucher {
    /// What was signed.
    #[serde(flatten)]
    pub voucher: Voucher,
    /// 65 bytes r, s, v in hex.
    pub signature: Signature65,
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

impl SignedVoucher {
    /// Succeeds if the voucher is for this session and `voucher_key` signed it.
    pub fn verify(&self, key: &SessionKey, voucher_key: Address) -> Result<(), SignatureError> {
        self.signature.verify(self.voucher.digest(key.chain_id, key.marketplace), voucher_key)
    }
}

#[cfg(test)]
mod tests {
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
}
