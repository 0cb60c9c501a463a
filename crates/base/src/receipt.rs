//! Receipts: the host's signature over what it says was used, evidence against it if it lies.

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::{ChainId, SessionId, SessionKey};
use crate::signature::{Signature65, SignatureError};
use crate::sol;
use crate::voucher::{Voucher, domain};

/// Cumulative statement by the host. EIP-712 type
/// `Receipt(bytes32 sessionId,uint96 amount,uint64 tokens,bytes32 transcriptRoot,bool last)`, under the
/// domain of vouchers.
///
/// Two that [contradict](Self::contradicts) each other, or a last one below what the host then claims,
/// cost the host a part of its stake. So a host signs only for what it has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Session it belongs to.
    pub session_id: SessionId,
    /// Owed so far, protocol fee included.
    pub amount: Amount,
    /// Tokens billed so far, input and output together: the place in the transcript.
    pub tokens: u64,
    /// Root of the transcript over those tokens.
    pub transcript_root: B256,
    /// Nothing further will be charged.
    pub last: bool,
}

impl Receipt {
    /// What a voucher states, said by the host while the session goes on.
    pub fn of(voucher: &Voucher) -> Self {
        let Voucher { session_id, amount, tokens, transcript_root } = *voucher;
        Self { session_id, amount, tokens, transcript_root, last: false }
    }

    /// EIP-712 digest that the host signs.
    pub fn digest(&self, chain_id: ChainId, marketplace: Address) -> B256 {
        let receipt = sol::Receipt {
            sessionId: self.session_id.0,
            amount: self.amount.into(),
            tokens: self.tokens,
            transcriptRoot: self.transcript_root,
            last: self.last,
        };
        receipt.eip712_signing_hash(&domain(chain_id, marketplace))
    }

    /// True if not both can be true: they state one place of one transcript and differ in amount or
    /// root. That one is the last and the other not is no contradiction.
    pub fn contradicts(&self, other: &Self) -> bool {
        self.session_id == other.session_id
            && self.tokens == other.tokens
            && (self.amount != other.amount || self.transcript_root != other.transcript_root)
    }

    /// True if it says as much as `other` or more.
    pub fn is_as_new_as(&self, other: &Self) -> bool {
        (self.tokens, self.last) >= (other.tokens, other.last)
    }
}

/// A receipt with its signature, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReceipt {
    /// What was signed.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// 65 bytes r, s, v in hex.
    pub signature: Signature65,
}

impl SignedReceipt {
    /// Succeeds if `host` signed it for this chain and marketplace. Which session it is for is the
    /// caller's to compare.
    pub fn verify(&self, key: &SessionKey, host: Address) -> Result<(), SignatureError> {
        self.signature.verify(self.receipt.digest(key.chain_id, key.marketplace), host)
    }
}
