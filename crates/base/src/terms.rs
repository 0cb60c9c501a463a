//! The terms of a session, whose hash is the session's id.

use alloy_primitives::{Address, B256, Uint, keccak256};
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::{ModelId, SessionId};
use crate::sol;
use crate::time::UnixSeconds;

/// What renter and host agreed on at opening. The contract stores only a slot under their hash;
/// the terms themselves travel with every call and are checked against the id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionTerms {
    /// Who serves and is paid.
    pub host: Address,
    /// Who paid in and gets the refund.
    pub renter: Address,
    /// Payment token; the zero address is the chain's native coin.
    pub token: Address,
    /// Deposit at opening.
    pub deposit: Amount,
    /// When the session stops serving.
    pub expiry: UnixSeconds,
    /// Signer of vouchers.
    pub voucher_key: Address,
    /// Model that is served.
    pub model: ModelId,
    /// Makes otherwise equal terms distinct.
    pub salt: B256,
}

impl SessionTerms {
    /// `keccak256(abi.encode(terms))`, as the marketplace computes it.
    pub fn id(&self) -> SessionId {
        let terms = sol::SessionTerms {
            host: self.host,
            renter: self.renter,
            token: self.token,
            deposit: self.deposit.into(),
            expiry: Uint::<40, 1>::from(self.expiry.get()),
            voucherKey: self.voucher_key,
            model: self.model.0,
            salt: self.salt,
        };
        SessionId(keccak256(terms.abi_encode()))
    }
}
