//! Vouchers: the renter's signature over what is owed.

use alloy_primitives::{Address, B256};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain};
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::{ChainId, SessionId, SessionKey};
use crate::signature::{Signature65, SignatureError};
use crate::sol;

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

impl SignedVoucher {
    /// Succeeds if the voucher is for this session and `voucher_key` signed it.
    pub fn verify(&self, key: &SessionKey, voucher_key: Address) -> Result<(), SignatureError> {
        self.signature.verify(self.voucher.digest(key.chain_id, key.marketplace), voucher_key)
    }
}
