//! What one nonce in flight needs when the chain was looked at: a look, a replacement, or its bytes
//! sent again.

use capstan_base::U256;
use capstan_chain::TxFields;

use super::bind::own_code;
use super::effect::Effect;
use super::event::View;
use super::fees;
use super::flight::{Flight, Known};
use super::lane::Lane;
use crate::config::{LaneConfig, TRANSFER_GAS};

impl Lane {
    /// What to do for one nonce, given a fresh view.
    pub(super) fn follow(&mut self, nonce: u64, view: &View) -> Vec<Effect> {
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        let Some(newest) = flight.attempts.last().cloned().filter(|_| !flight.signing) else {
            return Vec::new();
        };
        if flight.included.is_some() || view.account_nonce > nonce {
            let is_back = view.account_nonce <= nonce && needs_sending(&self.config, &newest, view);
            let mut effects: Vec<Effect> = look(nonce, flight, view).into_iter().collect();
            // The chain may be shorter than it was, and say nothing of the block that is gone.
            effects.extend(is_back.then(|| newest.sending(nonce)));
            return effects;
        }
        let mut effects = Vec::new();
        // Whoever tells nonces may stand still: that it was mined a receipt says as well.
        let pause = self.config.replace_after_blocks;
        let (head, since) = (view.head.number, newest.since.max(flight.looked_at));
        if since.is_some_and(|since| head.saturating_sub(since) >= pause) {
            effects.extend(look(nonce, flight, view));
        }
        if wants_void(&self.config, nonce, flight, view) {
            effects.extend(self.replace(nonce, &newest, view, true));
        } else if wants_replacement(&self.config, nonce, flight, &newest, view) {
            effects.extend(self.replace(nonce, &newest, view, newest.voids));
        }
        let is_signing = self.flights.get(&nonce).is_some_and(|flight| flight.signing);
        if !is_signing && needs_sending(&self.config, &newest, view) {
            effects.push(newest.sending(nonce));
        }
        effects
    }

    /// Asks for a replacement, an empty one if `voids`; if the budget leaves no room for one, says
    /// so once.
    fn replace(&mut self, nonce: u64, newest: &Known, view: &View, voids: bool) -> Option<Effect> {
        let flight = self.flights.get(&nonce)?;
        let call = if voids { self.nothing() } else { flight.call.clone()? };
        let flight = self.flights.get_mut(&nonce)?;
        let (gas_limit, rollup_fee) = match voids {
            true => (TRANSFER_GAS, U256::ZERO),
            false => (flight.gas_limit, flight.rollup_fee),
        };
        // Whose budget is at its end cannot hold up the lane for ever.
        let budget = if voids { None } else { fees::shared_budget(flight.intents.iter()) };
        let cap = fees::fee_cap(budget, rollup_fee, gas_limit).min(self.config.max_fee);
        let intent = flight.intents.first()?.id;
        let Some(fees) = fees::replacement(newest.fees, view.gas_price, cap) else {
            let detail = format!("no replacement fits under {cap} wei per gas");
            let was_told = std::mem::replace(&mut flight.cap_told, true);
            return (!was_told).then_some(Effect::Note(intent, "cap_reached", detail));
        };
        flight.signing = true;
        flight.max_fee = flight.max_fee.max(fees.max_fee());
        let tx = TxFields::of_call(self.key.chain_id, nonce, &call, gas_limit, fees);
        let tx = TxFields { own_code: own_code(&flight.intents).filter(|_| !voids), ..tx };
        let intents = flight.intents.iter().map(|intent| intent.id).collect();
        Some(Effect::Sign { intents, tx: Box::new(tx), rollup_fee, voids })
    }
}

fn look(nonce: u64, flight: &mut Flight, view: &View) -> Option<Effect> {
    let head = view.head.number;
    if let (Some(mined), Some(looked_at)) = (flight.included, flight.looked_at) {
        let is_final = view.final_height.is_some_and(|height| height >= mined.block_number);
        // The deeper a block, the rarer a look; a nonce that fell back is a reorganisation.
        let pause = head.saturating_sub(mined.block_number).div_euclid(4).max(1);
        let has_moved = head < looked_at || head.saturating_sub(looked_at) >= pause;
        if !is_final && !has_moved && view.account_nonce > nonce {
            return None;
        }
    }
    flight.looked_at = Some(head);
    let anchor = flight.included.map(|mined| (mined.block_number, mined.block_hash));
    let hashes = flight.attempts.iter().map(|attempt| attempt.hash).collect();
    Some(Effect::Look { nonce, hashes, anchor })
}

fn wants_replacement(
    config: &LaneConfig,
    nonce: u64,
    flight: &Flight,
    newest: &Known,
    view: &View,
) -> bool {
    let head = view.head.number;
    let waited = head.saturating_sub(newest.since.unwrap_or(head));
    // A nonce behind the first one waits for that one; its own fee matters only if it is too low.
    let is_blocked_by_fee = nonce == view.account_nonce
        || view.head.base_fee.is_some_and(|base_fee| newest.fees.max_fee() < base_fee);
    let is_due = waited >= config.replace_after_blocks || (flight.underpriced && waited >= 1);
    // What every node refuses for good it refuses at any fee.
    let is_refused = flight.refused_since.is_some();
    let is_far = fees::is_far_above(newest.fees, view.gas_price, config.max_fee_multiple);
    is_blocked_by_fee && is_due && !is_far && !is_refused
}

/// True once every node has refused the first nonce's transaction as invalid for so long that what
/// waits behind it matters more.
fn wants_void(config: &LaneConfig, nonce: u64, flight: &Flight, view: &View) -> bool {
    // From refusal to refusal: what was refused once and not sent again may be taken now.
    let is_refused = flight
        .refused_since
        .is_some_and(|since| flight.refused_at.saturating_sub(since) >= config.void_after_blocks);
    is_refused && nonce == view.account_nonce
}

fn needs_sending(config: &LaneConfig, attempt: &Known, view: &View) -> bool {
    attempt.accepted_at.is_none_or(|accepted_at| {
        view.head.number < accepted_at
            || view.head.number.saturating_sub(accepted_at) >= config.rebroadcast_after_blocks
    })
}
