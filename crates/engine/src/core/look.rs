//! What a look for receipts means: the only way to a block, to finality, or to a lost nonce.

use capstan_base::B256;
use capstan_chain::{Call, Receipt};
use capstan_store::{Failure, FailureCode, FlightId, Inclusion, Intent, IntentId, ItemEnd};

use super::effect::{Alert, Effect};
use super::event::{Canonical, Look, Search, View};
use super::flight::{Flight, Foreign, Suspicion};
use super::lane::{Lane, call};
use crate::batching::ItemOutcome;

/// Blocks by which a nonce may have been read later than the head it was read with.
const READ_SKEW_BLOCKS: u64 = 2;

/// Blocks by which a nonce may have been used earlier than a node that lagged made believe.
const SEARCH_MARGIN: u64 = 64;

/// Looks at distinct heads, all without a receipt, before a nonce is given up as used by another: a
/// node that lacks one receipt for a moment is common, at three heads across finality it is not.
const LOOKS: u32 = 3;

impl Lane {
    pub(super) fn looked(
        &mut self,
        nonce: u64,
        attempts: usize,
        anchor: Canonical,
        look: Look,
    ) -> Vec<Effect> {
        let Some(view) = self.view.clone() else { return Vec::new() };
        match look {
            Look::Found { hash, receipt, canonical: Canonical::Yes } => {
                self.mined(nonce, hash, &receipt, &view)
            }
            // A receipt whose block is gone or in doubt proves nothing, except that an attempt
            // was mined somewhere.
            Look::Found { .. } => {
                if let Some(flight) = self.flights.get_mut(&nonce) {
                    flight.suspicion = None;
                    flight.foreign = None;
                }
                self.reorged(nonce, anchor)
            }
            Look::Missing => {
                self.check_suspicion(nonce, anchor, &view);
                let mut effects = self.reorged(nonce, anchor);
                if effects.is_empty() {
                    effects = self.missing(nonce, attempts, &view);
                }
                effects
            }
            Look::Unavailable => self.reorged(nonce, anchor),
        }
    }

    /// A receipt in a block of the chain.
    fn mined(&mut self, nonce: u64, tx_hash: B256, receipt: &Receipt, view: &View) -> Vec<Effect> {
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        let Some(id) = flight.id else { return Vec::new() };
        let inclusion = Inclusion {
            tx_hash,
            block_number: receipt.block_number,
            block_hash: receipt.block_hash,
            gas_used: receipt.gas_used,
            effective_gas_price: receipt.effective_gas_price,
            rollup_fee: receipt.l1_fee,
            success: receipt.success,
        };
        flight.suspicion = None;
        flight.foreign = None;
        if view.final_height.is_some_and(|height| height >= receipt.block_number) {
            return self.ended(nonce, id, inclusion, receipt);
        }
        if flight.included == Some(inclusion) {
            return Vec::new();
        }
        flight.included = Some(inclusion);
        vec![Effect::Include(id, inclusion)]
    }

    /// The flight is over: what a shared transaction could not do goes back to the queue, to share
    /// with fewer.
    fn ended(
        &mut self,
        nonce: u64,
        id: FlightId,
        inclusion: Inclusion,
        receipt: &Receipt,
    ) -> Vec<Effect> {
        let Some(flight) = self.flights.remove(&nonce) else { return Vec::new() };
        self.final_below = self.final_below.max(nonce.saturating_add(1));
        let hash = inclusion.tx_hash;
        let voided = flight.attempts.iter().any(|known| known.hash == hash && known.voids);
        let count = flight.intents.len();
        let ends: Vec<(IntentId, ItemEnd)> = if voided && count > 1 {
            // One of them is what nodes refuse; which, only smaller transactions tell.
            let end = || ItemEnd::Queued("every node refused the transaction it shared".to_owned());
            flight.intents.iter().map(|intent| (intent.id, end())).collect()
        } else if voided {
            let detail = "every node refused its transaction".to_owned();
            let failure = Failure { code: FailureCode::Refused, detail };
            let end = |intent: &Intent| (intent.id, ItemEnd::Failed(failure.clone()));
            flight.intents.iter().map(end).collect()
        } else if count == 1 && ran_dry(&inclusion, flight.gas_limit) {
            let end = ItemEnd::Queued(format!("it needed more than {} gas", flight.gas_limit));
            flight.intents.iter().map(|intent| (intent.id, end.clone())).collect()
        } else if count == 1 {
            let end = ItemEnd::Final { success: inclusion.success };
            flight.intents.iter().map(|intent| (intent.id, end.clone())).collect()
        } else {
            let ends = self.item_ends(&flight, receipt).into_iter();
            flight.intents.iter().map(|intent| intent.id).zip(ends).collect()
        };
        let limit = if inclusion.success && !voided { 1 } else { count.div_ceil(2) };
        let starved = flight.starved.saturating_add(1);
        let ran_dry = ran_dry(&inclusion, flight.gas_limit);
        for (intent, (_, end)) in flight.intents.into_iter().zip(&ends) {
            if matches!(end, ItemEnd::Queued(_)) {
                let id = intent.id;
                self.wait(Intent { place: None, ..intent }, limit);
                if let Some(waiting) = self.queue.get_mut(&id).filter(|_| ran_dry) {
                    waiting.starved = starved;
                }
            }
        }
        vec![Effect::Finalise(id, inclusion, ends)]
    }

    fn item_ends(&self, flight: &Flight, receipt: &Receipt) -> Vec<ItemEnd> {
        let calls: Vec<Call> = flight.intents.iter().map(call).collect();
        let mut outcomes = if receipt.success {
            self.batching.outcomes(self.key.sender, &calls, receipt)
        } else {
            vec![ItemOutcome::Failed("the batch reverted".to_owned()); calls.len()]
        };
        let unknown = ItemOutcome::Failed("the receipt does not say that it was done".to_owned());
        outcomes.resize(calls.len(), unknown);
        let end = |outcome| match outcome {
            ItemOutcome::Done => ItemEnd::Final { success: true },
            ItemOutcome::Failed(why) => ItemEnd::Queued(why),
        };
        outcomes.into_iter().map(end).collect()
    }

    /// If the block an intent was in is proven gone: back to waiting, and the same bytes again.
    fn reorged(&mut self, nonce: u64, anchor: Canonical) -> Vec<Effect> {
        let head = self.view.as_ref().map(|view| view.head.number);
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        if anchor != Canonical::No {
            return Vec::new();
        }
        let Some(gone) = flight.included.take() else { return Vec::new() };
        let detail =
            format!("block {} {} is no longer canonical", gone.block_number, gone.block_hash);
        let mut effects: Vec<Effect> =
            flight.id.map(|id| Effect::Unmine(id, detail)).into_iter().collect();
        // Whichever attempt had been mined is as good as any; the newest pays most.
        if let Some(newest) = flight.attempts.last_mut() {
            newest.accepted_at = None;
            // It was good enough for a block once: it gets its full time again.
            newest.since = head;
            effects.push(Effect::Broadcast { nonce, hash: newest.hash, raw: newest.raw.clone() });
        }
        effects
    }

    /// The account's nonce is past, and no attempt has a receipt: the chain is searched for what
    /// used it, once per head.
    fn missing(&mut self, nonce: u64, attempts: usize, view: &View) -> Vec<Effect> {
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        let is_past = view.account_nonce > nonce && flight.included.is_none();
        let to = view.head.number;
        if !is_past
            || attempts != flight.attempts.len()
            || flight.signing
            || flight.searched_at == Some(to)
        {
            return Vec::new();
        }
        // Found already: it only has to become final, and is then searched for once more.
        let is_open = |foreign: Foreign| view.final_height.is_none_or(|at| at < foreign.block.0);
        if flight.foreign.is_some_and(is_open) {
            return Vec::new();
        }
        flight.searched_at = Some(to);
        let from = flight.unused_at.map_or(0, |at| at.saturating_sub(SEARCH_MARGIN));
        vec![Effect::Search { nonce, from, to }]
    }

    pub(super) fn searched(&mut self, nonce: u64, search: Search) -> Vec<Effect> {
        let Some(view) = self.view.clone() else { return Vec::new() };
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        if flight.included.is_some() || view.account_nonce <= nonce {
            return Vec::new();
        }
        match search {
            Search::Found { hash, .. } if flight.attempts.iter().any(|own| own.hash == hash) => {
                // Its receipt will come.
                flight.suspicion = None;
                flight.foreign = None;
                Vec::new()
            }
            Search::Found { hash, block } => {
                let head = view.head.number;
                let found_at = flight
                    .foreign
                    .filter(|foreign| foreign.hash == hash && foreign.block == block)
                    .map_or(head, |foreign| foreign.found_at);
                flight.foreign = Some(Foreign { hash, block, found_at });
                let is_final = view.final_height.is_some_and(|height| height >= block.0);
                // Should its block go away, an old attempt may yet be mined beside the new one: only
                // where the chain itself lets one of them count.
                if flight.is_repeat_safe() || (is_final && head > found_at) {
                    return self.lost(nonce, is_final, &format!("{hash} of block {}", block.0));
                }
                Vec::new()
            }
            // Whoever said that the nonce was past was wrong, or it was past before anyone looked.
            Search::NotFound => {
                flight.foreign = None;
                flight.unused_at = None;
                Vec::new()
            }
            Search::Unavailable => self.suspect(nonce, &view),
        }
    }

    /// The nonce is past, no attempt has a receipt, and the chain cannot be searched: looks at
    /// distinct heads across finality have to do.
    fn suspect(&mut self, nonce: u64, view: &View) -> Vec<Effect> {
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        let head = view.head.number;
        let first =
            Suspicion { number: head, hash: view.head.hash, last: head, looks: 1, stands: false };
        let Some(mut suspicion) = flight.suspicion else {
            flight.suspicion = Some(first);
            return Vec::new();
        };
        if head > suspicion.last {
            suspicion.last = head;
            suspicion.looks = suspicion.looks.saturating_add(1);
        }
        flight.suspicion = Some(suspicion);
        let settled = suspicion.number.saturating_add(READ_SKEW_BLOCKS);
        let is_final = view.final_height.is_some_and(|height| height >= settled);
        if !suspicion.stands || !is_final || suspicion.looks < LOOKS {
            return Vec::new();
        }
        self.lost(nonce, true, "a transaction that could not be found")
    }

    /// What the suspicion's own block says: if it is gone, the nonce may not be past in what
    /// replaced it.
    fn check_suspicion(&mut self, nonce: u64, anchor: Canonical, view: &View) {
        let Some(flight) = self.flights.get_mut(&nonce) else { return };
        if flight.included.is_some() {
            return;
        }
        if let Some(suspicion) = &mut flight.suspicion {
            suspicion.stands = anchor == Canonical::Yes;
            if anchor == Canonical::No {
                let (number, hash) = (view.head.number, view.head.hash);
                *suspicion = Suspicion { number, hash, last: number, looks: 1, stands: false };
            }
        }
    }

    /// Proven: another transaction used the nonce. None of the attempts can be mined any more, so
    /// the intents may have another nonce.
    fn lost(&mut self, nonce: u64, is_final: bool, by: &str) -> Vec<Effect> {
        let Some(flight) = self.flights.remove(&nonce) else { return Vec::new() };
        if is_final {
            self.final_below = self.final_below.max(nonce.saturating_add(1));
        }
        let detail = format!("nonce {nonce} was used by {by}");
        let mut effects: Vec<Effect> =
            flight.id.map(|id| Effect::Lose(id, detail)).into_iter().collect();
        let alert =
            |intent: &Intent| Effect::Alert(Alert::NonceUsedByAnother { intent: intent.id, nonce });
        effects.extend(flight.intents.first().map(alert));
        for intent in flight.intents {
            self.wait(Intent { place: None, ..intent }, usize::MAX);
        }
        effects
    }
}

/// True if a transaction reverted for want of gas: what came before it in its block may have made it
/// dearer than its estimate. A call keeps a 64th of the gas back (EIP-150).
fn ran_dry(mined: &Inclusion, gas_limit: u64) -> bool {
    let kept = gas_limit.checked_div(64).unwrap_or(0);
    !mined.success && mined.gas_used >= gas_limit.saturating_sub(kept)
}
