//! What a look for receipts means: the only way to a block, to finality, or to a lost nonce.

use capstan_base::B256;
use capstan_chain::{Call, Receipt};
use capstan_store::{Failure, FailureCode, FlightId, Inclusion, Intent, IntentId, ItemEnd};

use super::effect::{Alert, Effect};
use super::event::{Canonical, Look, Search, View};
use super::flight::{Flight, Foreign};
use super::lane::{Lane, call};
use crate::batching::ItemOutcome;

/// Blocks by which a nonce may have been used earlier than a node that lagged made believe.
const SEARCH_MARGIN: u64 = 64;

/// Transactions of an intent that every node may refuse before it is given up: what one estimate got
/// wrong, another gets right.
const MOST_REFUSALS: u32 = 3;

/// Transactions of an intent that may run out of gas, each with twice the margin of the one before.
const MOST_STARVED: u32 = 6;

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
                    flight.unexplained_at = None;
                    flight.foreign = None;
                }
                self.reorged(nonce, anchor)
            }
            // What used the nonce is looked for whoever can tell of receipts: it proves itself.
            Look::Missing | Look::Unavailable => {
                if let Some(flight) = self.flights.get_mut(&nonce) {
                    flight.is_missing = look == Look::Missing;
                }
                let mut effects = self.reorged(nonce, anchor);
                if effects.is_empty() {
                    effects = self.missing(nonce, attempts, &view);
                }
                effects
            }
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
        flight.unexplained_at = None;
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
        let Some(ask) = self.flights.get_mut(&nonce).map(|flight| ask_first(flight, &inclusion))
        else {
            return Vec::new();
        };
        if let Some(asked) = ask {
            let final_height = self.view.as_ref().and_then(|view| view.final_height);
            let effect = |(intent, call)| Effect::Ask { intent, call, final_height };
            return asked.map(effect).into_iter().collect();
        }
        let Some(flight) = self.flights.remove(&nonce) else { return Vec::new() };
        self.final_below = self.final_below.max(nonce.saturating_add(1));
        let (voided, count) = (is_void(&flight, &inclusion), flight.intents.len());
        let ran_dry = ran_dry(&inclusion, flight.gas_limit);
        let ends: Vec<ItemEnd> = match count {
            _ if voided => vec![void_end(&flight); count],
            1 => vec![self.single_end(&flight, &inclusion)],
            _ => self.item_ends(&flight, receipt),
        };
        let ids = flight.intents.iter().map(|intent| intent.id);
        let ends: Vec<(IntentId, ItemEnd)> = ids.zip(ends).collect();
        let limit = if inclusion.success && !voided { 1 } else { count.div_ceil(2) };
        let (starved, refusals) =
            (flight.starved.saturating_add(1), flight.refusals.saturating_add(1));
        for (intent, (_, end)) in flight.intents.into_iter().zip(&ends) {
            if matches!(end, ItemEnd::Queued(_)) {
                let id = intent.id;
                let spent = intent.spent.saturating_add(inclusion.share(count));
                self.wait(Intent { place: None, spent, ..intent }, limit);
                if let Some(waiting) = self.queue.get_mut(&id) {
                    waiting.starved = if ran_dry && !voided { starved } else { flight.starved };
                    waiting.refusals = if voided { refusals } else { flight.refusals };
                }
            }
        }
        vec![Effect::Finalise(id, inclusion, ends)]
    }

    fn single_end(&self, flight: &Flight, inclusion: &Inclusion) -> ItemEnd {
        if flight.is_done == Some(true) {
            let detail = "its own transaction reverted: it was done before".to_owned();
            ItemEnd::Failed(Failure { code: FailureCode::AlreadyDone, detail })
        } else if ran_dry(inclusion, flight.gas_limit) && flight.starved < MOST_STARVED {
            ItemEnd::Queued(format!("it needed more than {} gas", flight.gas_limit))
        } else {
            ItemEnd::Final { success: inclusion.success }
        }
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
                flight.unexplained_at = None;
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
                flight.unexplained_at = None;
                Vec::new()
            }
            Search::Unavailable => self.unexplained(nonce, view.head.number),
        }
    }

    /// The nonce is past, no attempt has a receipt, and the chain cannot be searched. That receipts are
    /// missing proves nothing: only where the chain itself lets one attempt of all count is another
    /// made. Anything else waits for an endpoint that keeps history.
    fn unexplained(&mut self, nonce: u64, head: u64) -> Vec<Effect> {
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        let Some(intent) = flight.intents.first().map(|intent| intent.id) else {
            return Vec::new();
        };
        match flight.unexplained_at {
            Some(first) if flight.is_missing && flight.is_repeat_safe() && head > first => {
                self.lost(nonce, false, "a transaction that could not be found")
            }
            Some(_) => Vec::new(),
            None => {
                flight.unexplained_at = Some(head);
                let is_safe = flight.is_repeat_safe();
                let alert = Effect::Alert(Alert::NonceUnexplained { intent, nonce });
                (!is_safe).then_some(alert).into_iter().collect()
            }
        }
    }

    /// Another transaction used the nonce, by proof, or in all likelihood where sending again is
    /// harmless: the intents may have another nonce.
    fn lost(&mut self, nonce: u64, is_final: bool, by: &str) -> Vec<Effect> {
        let Some(flight) = self.flights.remove(&nonce) else { return Vec::new() };
        if is_final {
            self.final_below = self.final_below.max(nonce.saturating_add(1));
        }
        let head = self.view.as_ref().map(|view| view.head.number);
        let detail = format!("nonce {nonce} was used by {by}");
        let mut effects: Vec<Effect> =
            flight.id.map(|id| Effect::Lose(id, detail)).into_iter().collect();
        let alert =
            |intent: &Intent| Effect::Alert(Alert::NonceUsedByAnother { intent: intent.id, nonce });
        effects.extend(flight.intents.first().map(alert));
        for intent in flight.intents {
            let id = intent.id;
            self.wait(Intent { place: None, ..intent }, usize::MAX);
            if let Some(waiting) = self.queue.get_mut(&id) {
                waiting.lost_at = head;
            }
        }
        effects
    }
}

/// What has to be known before a revert is the end of an intent: an earlier transaction of its own may
/// have done what this one could not do again. `None` if nothing has; `Some(None)` while it is asked.
fn ask_first(flight: &mut Flight, mined: &Inclusion) -> Option<Option<(IntentId, Call)>> {
    let [intent] = &flight.intents[..] else { return None };
    let is_revert = !mined.success && !is_void(flight, mined);
    if !is_revert || !flight.is_repeat_safe() || flight.is_done.is_some() {
        return None;
    }
    let question = (intent.id, call(intent));
    let was_asked = core::mem::replace(&mut flight.is_asked, true);
    Some((!was_asked).then_some(question))
}

/// True if what was mined only used the nonce up.
fn is_void(flight: &Flight, mined: &Inclusion) -> bool {
    flight.attempts.iter().any(|known| known.hash == mined.tx_hash && known.voids)
}

/// What becomes of each intent whose transaction every node refused.
fn void_end(flight: &Flight) -> ItemEnd {
    let detail = "every node refused its transaction".to_owned();
    match flight.intents.len() {
        1 if flight.refusals.saturating_add(1) >= MOST_REFUSALS => {
            ItemEnd::Failed(Failure { code: FailureCode::Refused, detail })
        }
        // One of several is what nodes refuse; which, only smaller transactions tell.
        _ => ItemEnd::Queued(detail),
    }
}

/// True if a transaction reverted for want of gas: what came before it in its block may have made it
/// dearer than its estimate. A call keeps a 64th of the gas back (EIP-150).
fn ran_dry(mined: &Inclusion, gas_limit: u64) -> bool {
    let kept = gas_limit.checked_div(64).unwrap_or(0);
    !mined.success && mined.gas_used >= gas_limit.saturating_sub(kept)
}
