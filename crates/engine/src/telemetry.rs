//! Metrics of a lane, and what operators are told.

use capstan_base::UnixSeconds;
use capstan_store::{IntentId, LaneKey};

use crate::core::{Alert, Lane};

/// Attempts stored, by lane.
pub(crate) const ATTEMPTS: &str = "capstan_engine_attempts_total";
/// Transactions in final blocks, by lane: attempts per one of these is what replacing costs.
pub(crate) const MINED: &str = "capstan_engine_mined_total";
/// Nonces signed for beyond those in blocks, by lane.
pub(crate) const NONCE_LAG: &str = "capstan_engine_nonce_lag";
/// One if this engine has the lane, by lane.
pub(crate) const LEADS: &str = "capstan_engine_leads";
/// Nonces waiting for a block, by lane.
pub(crate) const IN_FLIGHT: &str = "capstan_engine_in_flight";
/// Intents waiting for a nonce, by lane.
pub(crate) const QUEUED: &str = "capstan_engine_queued";
/// Seconds since the oldest unfinished intent was submitted, by lane.
pub(crate) const OLDEST: &str = "capstan_engine_oldest_intent_seconds";
/// Looks at the chain that failed, by lane.
pub(crate) const CHAIN_ERRORS: &str = "capstan_engine_chain_errors_total";
/// Alerts, by chain and kind.
pub(crate) const ALERTS: &str = "capstan_engine_alerts_total";
/// Intents ended, by chain and how.
pub(crate) const ENDED: &str = "capstan_engine_intents_ended_total";

/// Kinds of alerts.
const POOR: &str = "insufficient_funds";
const REFUSED: &str = "refused";
const UNEXPLAINED: &str = "nonce_unexplained";
const BROKEN: &str = "finality_broken";
const TAKEN: &str = "nonce_used_by_another";

/// Sets the gauges of a lane.
pub(crate) fn gauge(key: LaneKey, lane: &Lane, now: UnixSeconds) {
    let labels = labels(key);
    metrics::gauge!(IN_FLIGHT, &labels).set(as_f64(lane.pending_count()));
    let lag = usize::try_from(lane.nonce_lag()).unwrap_or(usize::MAX);
    metrics::gauge!(NONCE_LAG, &labels).set(as_f64(lag));
    metrics::gauge!(QUEUED, &labels).set(as_f64(lane.queued_count()));
    let age = lane.oldest().map_or(0, |oldest| now.since(oldest));
    metrics::gauge!(OLDEST, &labels).set(as_f64(usize::try_from(age).unwrap_or(usize::MAX)));
}

/// Says whether this engine has the lane.
pub(crate) fn leads(key: LaneKey, leads: bool) {
    metrics::gauge!(LEADS, &labels(key)).set(f64::from(u8::from(leads)));
    // From zero on, so that the first event is a rise and not a series that begins at one.
    for name in [ATTEMPTS, MINED, CHAIN_ERRORS] {
        metrics::counter!(name, &labels(key)).increment(0);
    }
    for kind in [POOR, REFUSED, UNEXPLAINED, BROKEN, TAKEN] {
        count_alert(key, kind, 0);
    }
}

fn labels(key: LaneKey) -> [(&'static str, String); 2] {
    [("chain_id", key.chain_id.to_string()), ("sender", key.sender.to_string())]
}

/// The intent that an alert is about, if it is about one.
pub(crate) fn subject(alert: &Alert) -> Option<IntentId> {
    match alert {
        Alert::InsufficientFunds { intent, .. }
        | Alert::Refused { intent, .. }
        | Alert::NonceUnexplained { intent, .. }
        | Alert::NonceUsedByAnother { intent, .. } => Some(*intent),
        Alert::FinalityBroken { .. } => None,
    }
}

/// Logs and counts what an operator should know.
pub(crate) fn alert(key: LaneKey, alert: &Alert) {
    let chain_id = key.chain_id.0;
    let sender = key.sender;
    let kind = match alert {
        Alert::InsufficientFunds { intent, needed, available } => {
            tracing::warn!(
                chain_id, %sender, %intent, %needed, %available,
                "the account cannot pay; the intent waits"
            );
            POOR
        }
        Alert::Refused { intent, reason } => {
            tracing::warn!(chain_id, %sender, %intent, reason, "a node refuses an attempt");
            REFUSED
        }
        Alert::NonceUnexplained { intent, nonce } => {
            tracing::error!(
                chain_id, %sender, %intent, nonce,
                "no endpoint can say what used a nonce; the intent waits for one that keeps history"
            );
            UNEXPLAINED
        }
        Alert::FinalityBroken { nonce, was } => {
            tracing::error!(
                chain_id, %sender, nonce, was,
                "blocks that were final are gone; what they held is sent again"
            );
            BROKEN
        }
        Alert::NonceUsedByAnother { intent, nonce } => {
            tracing::error!(
                chain_id, %sender, %intent, nonce,
                "another program uses this account's key; the intent gets another nonce"
            );
            TAKEN
        }
    };
    count_alert(key, kind, 1);
}

fn count_alert(key: LaneKey, kind: &'static str, times: u64) {
    let chain_id = key.chain_id.to_string();
    metrics::counter!(ALERTS, "chain_id" => chain_id, "kind" => kind).increment(times);
}

/// Counts for a lane.
pub(crate) fn count(name: &'static str, key: LaneKey) {
    metrics::counter!(name, &labels(key)).increment(1);
}

/// Counts an intent's end.
pub(crate) fn ended(key: LaneKey, how: &'static str) {
    metrics::counter!(ENDED, "chain_id" => key.chain_id.to_string(), "how" => how).increment(1);
}

/// Gauges are floats; 32 bits of a count are more than a lane holds.
fn as_f64(value: usize) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX))
}
