//! What one nonce in flight needs when the chain was looked at: a look, a replacement, or its bytes
//! sent again.

use capstan_base::ChainId;
use capstan_chain::TxFields;

use super::effect::Effect;
use super::event::View;
use super::fees;
use super::flight::{Flight, Known};
use super::queue::call;
use crate::config::LaneConfig;

/// What to do for one nonce, given a fresh view.
pub(super) fn follow(
    chain_id: ChainId,
    config: &LaneConfig,
    nonce: u64,
    flight: &mut Flight,
    view: &View,
) -> Vec<Effect> {
    let Some(newest) = flight.attempts.last().cloned().filter(|_| !flight.signing) else {
        return Vec::new();
    };
    if flight.included.is_some() || view.account_nonce > nonce {
        return look(nonce, flight, view).into_iter().collect();
    }
    let mut effects = Vec::new();
    if wants_replacement(config, nonce, flight, &newest, view) {
        effects.push(replace(config, chain_id, nonce, flight, &newest, view));
        if flight.signing {
            return effects.into_iter().flatten().collect();
        }
    }
    if needs_sending(config, &newest, view) {
        effects.push(Some(Effect::Broadcast { nonce, hash: newest.hash, raw: newest.raw }));
    }
    effects.into_iter().flatten().collect()
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
    let suspected = flight.suspicion.map(|suspicion| (suspicion.number, suspicion.hash));
    let included = flight.included.map(|mined| (mined.block_number, mined.block_hash));
    let hashes = flight.attempts.iter().map(|attempt| attempt.hash).collect();
    Some(Effect::Look { nonce, hashes, anchor: included.or(suspected) })
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
    let is_far = fees::is_far_above(newest.fees.max_fee(), view.gas_price, config.max_fee_multiple);
    is_blocked_by_fee && is_due && !is_far
}

/// Asks for a replacement; if the budget leaves no room for one, says so once.
fn replace(
    config: &LaneConfig,
    chain_id: ChainId,
    nonce: u64,
    flight: &mut Flight,
    newest: &Known,
    view: &View,
) -> Option<Effect> {
    let intent = flight.intent.id;
    let request = &flight.intent.request;
    let gas_limit = flight.gas_limit;
    let budget = fees::fee_cap(request.max_cost, flight.l1_fee, gas_limit);
    let cap = budget.min(config.max_fee);
    let Some(fees) = fees::replacement(newest.fees, view.gas_price, cap) else {
        let detail = format!("no replacement fits under {cap} wei per gas");
        let was_told = std::mem::replace(&mut flight.cap_told, true);
        return (!was_told).then_some(Effect::Note(intent, "cap_reached", detail));
    };
    flight.signing = true;
    flight.max_fee = flight.max_fee.max(fees.max_fee());
    let tx = TxFields::of_call(chain_id, nonce, &call(request), gas_limit, fees);
    Some(Effect::Sign { intent, tx: Box::new(tx) })
}

fn needs_sending(config: &LaneConfig, attempt: &Known, view: &View) -> bool {
    attempt.accepted_at.is_none_or(|accepted_at| {
        view.head.number < accepted_at
            || view.head.number.saturating_sub(accepted_at) >= config.rebroadcast_after_blocks
    })
}
