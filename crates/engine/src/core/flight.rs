//! An intent bound to a nonce, and its attempts.

use alloy_primitives::Bytes;
use capstan_base::{B256, U256};
use capstan_chain::Fees;
use capstan_store::{Attempt, Inclusion, Intent};

/// One stored attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) hash: B256,
    pub(super) raw: Bytes,
    pub(super) fees: Fees,
    /// Head when it was signed; when it was read back, the first one seen after.
    pub(super) since: Option<u64>,
    /// Head when a node last took it.
    pub(super) accepted_at: Option<u64>,
}

/// First sign that another transaction used the nonce: the account's nonce is past it and no attempt
/// has a receipt. Never enough by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspicion {
    /// Head at the first look.
    pub(super) number: u64,
    /// Its hash: the nonce was past there, if that block stays.
    pub(super) hash: B256,
    /// Head at the newest look.
    pub(super) last: u64,
    /// Looks at distinct heads.
    pub(super) looks: u32,
}

/// An intent bound to a nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) intent: Intent,
    pub(super) gas_limit: u64,
    /// Wei a rollup may charge on top of gas, as estimated before the first attempt. Not kept
    /// over a restart: zero then.
    pub(super) l1_fee: U256,
    pub(super) attempts: Vec<Known>,
    /// An attempt is being signed and stored.
    pub(super) signing: bool,
    pub(super) included: Option<Inclusion>,
    /// Head at the newest look for receipts.
    pub(super) looked_at: Option<u64>,
    pub(super) suspicion: Option<Suspicion>,
    /// A node wants more than the newest attempt offers.
    pub(super) underpriced: bool,
    /// The history says already that the cap leaves no room above the newest attempt.
    pub(super) cap_told: bool,
    /// Most wei per gas that any attempt offers, one being signed included.
    pub(super) max_fee: u128,
}

impl Flight {
    /// A nonce being given its first attempt.
    pub(super) fn signing(intent: Intent, gas_limit: u64, l1_fee: U256, max_fee: u128) -> Self {
        Self {
            intent,
            gas_limit,
            l1_fee,
            attempts: Vec::new(),
            signing: true,
            included: None,
            looked_at: None,
            suspicion: None,
            underpriced: false,
            cap_told: false,
            max_fee,
        }
    }

    /// As the store has it. Nothing is known of the chain yet.
    pub(super) fn restored(intent: Intent, attempts: Vec<&Attempt>) -> Self {
        let gas_limit = attempts.iter().map(|attempt| attempt.signed.gas_limit).max().unwrap_or(0);
        let max_fee = attempts.iter().map(|attempt| attempt.signed.max_fee).max().unwrap_or(0);
        let included = intent.inclusion;
        let attempts = attempts
            .into_iter()
            .map(|attempt| Known {
                hash: attempt.signed.tx_hash,
                raw: attempt.signed.raw.clone(),
                fees: Fees::from_parts(attempt.signed.max_fee, attempt.signed.priority_fee),
                since: None,
                accepted_at: None,
            })
            .collect();
        Self {
            attempts,
            signing: false,
            included,
            ..Self::signing(intent, gas_limit, U256::ZERO, max_fee)
        }
    }

    /// True while it waits for a block.
    pub(super) fn is_pending(&self) -> bool {
        self.included.is_none()
    }

    /// Most wei it may still take from the account.
    pub(super) fn committed(&self) -> U256 {
        let gas_cost = U256::from(self.max_fee).saturating_mul(U256::from(self.gas_limit));
        self.intent.request.value.saturating_add(gas_cost).saturating_add(self.l1_fee)
    }
}
