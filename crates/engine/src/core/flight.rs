//! A nonce with the intents it carries, and its attempts.

use alloy_primitives::Bytes;
use capstan_base::{B256, U256};
use capstan_chain::{Call, Fees};
use capstan_store::{FlightId, Inclusion, Intent, OpenFlight};

use super::effect::Effect;

/// One stored attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) hash: B256,
    pub(super) raw: Bytes,
    pub(super) fees: Fees,
    /// It only uses the nonce up.
    pub(super) voids: bool,
    /// Head when it was signed; when it was read back, the first one seen after.
    pub(super) since: Option<u64>,
    /// Head when a node last took it.
    pub(super) accepted_at: Option<u64>,
}

impl Known {
    /// Hands it over.
    pub(super) fn sending(&self, nonce: u64) -> Effect {
        Effect::Broadcast { nonce, hash: self.hash, raw: self.raw.clone() }
    }
}

/// Another transaction that was found to have used the nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    pub(super) hash: B256,
    pub(super) block: (u64, B256),
    /// Head when it was first found there.
    pub(super) found_at: u64,
}

/// A nonce in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flight {
    /// Its id in the store, from its first attempt on.
    pub(super) id: Option<FlightId>,
    /// What it carries, in the order of the call; at least one.
    pub(super) intents: Vec<Intent>,
    pub(super) gas_limit: u64,
    /// How often a transaction of its intents ran out of gas before.
    pub(super) starved: u32,
    /// How often every node refused a transaction of its intents before.
    pub(super) refusals: u32,
    /// Wei a rollup may charge on top of gas, as estimated.
    pub(super) rollup_fee: U256,
    /// What its attempts do, and a replacement too, whatever is configured by then; `None` if the bytes
    /// that were stored cannot be read.
    pub(super) call: Option<Call>,
    pub(super) attempts: Vec<Known>,
    /// An attempt is being signed and stored.
    pub(super) signing: bool,
    pub(super) included: Option<Inclusion>,
    /// It reverted for good, and it is being asked whether its effect is there all the same.
    pub(super) is_asked: bool,
    /// The answer to that.
    pub(super) is_done: Option<bool>,
    /// Head when its effect was first seen to be there, where nobody can say whether for good.
    pub(super) seen_done_at: Option<u64>,
    /// Head at the newest look for receipts.
    pub(super) looked_at: Option<u64>,
    /// At the newest look, whether every attempt was asked for and none has a receipt.
    pub(super) is_missing: bool,
    /// Head at the first search that was not answered, while no attempt has a receipt.
    pub(super) unexplained_at: Option<u64>,
    /// Newest head at which the nonce was not used up.
    pub(super) unused_at: Option<u64>,
    /// Head at the newest search for what used the nonce.
    pub(super) searched_at: Option<u64>,
    pub(super) foreign: Option<Foreign>,
    /// Head since which every node refuses the newest attempt as invalid.
    pub(super) refused_since: Option<u64>,
    /// Head when they last did.
    pub(super) refused_at: u64,
    /// A node wants more than the newest attempt offers.
    pub(super) underpriced: bool,
    /// The history says already that the cap leaves no room above the newest attempt.
    pub(super) cap_told: bool,
    /// Most wei per gas that any attempt offers, one being signed included.
    pub(super) max_fee: u128,
}

impl Flight {
    /// A nonce being given its first attempt.
    pub(super) fn signing(
        intents: Vec<Intent>,
        call: Option<Call>,
        gas_limit: u64,
        rollup_fee: U256,
        max_fee: u128,
    ) -> Self {
        Self {
            id: None,
            intents,
            call,
            gas_limit,
            starved: 0,
            refusals: 0,
            rollup_fee,
            attempts: Vec::new(),
            signing: true,
            included: None,
            is_asked: false,
            is_done: None,
            seen_done_at: None,
            looked_at: None,
            is_missing: false,
            unexplained_at: None,
            unused_at: None,
            searched_at: None,
            foreign: None,
            refused_since: None,
            refused_at: 0,
            underpriced: false,
            cap_told: false,
            max_fee,
        }
    }

    /// As the store has it. Nothing is known of the chain yet.
    pub(super) fn restored(stored: OpenFlight, call_of: &dyn Fn(&Bytes) -> Option<Call>) -> Self {
        let signed = || stored.attempts.iter().map(|attempt| &attempt.signed);
        let gas_limit = signed().map(|signed| signed.gas_limit).max().unwrap_or(0);
        let max_fee = signed().map(|signed| signed.max_fee).max().unwrap_or(0);
        let rollup_fee = signed().map(|signed| signed.rollup_fee).max().unwrap_or_default();
        let own = signed().rfind(|signed| !signed.voids);
        let call = own.and_then(|signed| call_of(&signed.raw));
        let attempts = stored
            .attempts
            .into_iter()
            .map(|attempt| Known {
                hash: attempt.signed.tx_hash,
                raw: attempt.signed.raw,
                fees: Fees::from_parts(attempt.signed.max_fee, attempt.signed.priority_fee),
                voids: attempt.signed.voids,
                since: None,
                accepted_at: None,
            })
            .collect();
        Self {
            id: Some(stored.id),
            attempts,
            signing: false,
            included: stored.inclusion,
            ..Self::signing(stored.intents, call, gas_limit, rollup_fee, max_fee)
        }
    }

    /// The newest block is this one: nothing was seen beyond it, whatever an endpoint said before.
    pub(super) fn clamp(&mut self, head: u64) {
        for attempt in &mut self.attempts {
            attempt.since = Some(attempt.since.unwrap_or(head).min(head));
        }
        for height in [
            &mut self.looked_at,
            &mut self.unused_at,
            &mut self.searched_at,
            &mut self.refused_since,
            &mut self.unexplained_at,
        ] {
            *height = height.map(|height| height.min(head));
        }
        self.refused_at = self.refused_at.min(head);
        if let Some(foreign) = &mut self.foreign {
            foreign.found_at = foreign.found_at.min(head);
        }
    }

    /// True while it waits for a block.
    pub(super) fn is_pending(&self) -> bool {
        self.included.is_none()
    }

    /// True if a pool has its newest attempt, as far as is known.
    pub(super) fn is_accepted(&self) -> bool {
        self.attempts.last().is_some_and(|attempt| attempt.accepted_at.is_some())
    }

    /// True if the chain itself keeps each of its intents from taking effect twice.
    pub(super) fn is_repeat_safe(&self) -> bool {
        self.intents.iter().all(|intent| intent.request.repeat_safe)
    }

    /// Most wei it may still take from the account.
    pub(super) fn committed(&self) -> U256 {
        let gas_cost = U256::from(self.max_fee).saturating_mul(U256::from(self.gas_limit));
        self.intents.iter().fold(gas_cost.saturating_add(self.rollup_fee), |sum, intent| {
            sum.saturating_add(intent.request.value)
        })
    }
}
