//! Settlement: from an ended session to the closing event on its chain.
//!
//! [`Outbox::end`] is one transaction: the session leaves service and its intent exists. The
//! [`Reconciler`] then follows every session that is settling until the chain says how it closed,
//! and watches open sessions for a close that somebody else began. It takes no input, may run at
//! any time and any number of times, and decides only by what it reads.

mod closed;
mod limits;
mod reconcile;

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_base::{Address, Amount, ChainId, SessionKey, SessionTerms, SignedVoucher, Tally};
use capstan_chain::{ChainClient, calls};
use capstan_engine::Engine;
use capstan_store::{LaneKey, NewIntent, Session, SessionStore, SettleOutcome, StoreError};
use capstan_wire::session::EndReason;

pub use limits::renew_limits;
pub use reconcile::{Pass, Reconciler};

/// Puts settlements where the engine finds them.
pub struct Outbox {
    store: Arc<dyn SessionStore>,
    engine: Engine,
    host: Address,
    chains: BTreeMap<ChainId, Arc<ChainClient>>,
}

impl Outbox {
    /// `host` sends the settlements; what each may cost, its chain's configuration says.
    pub fn new(
        store: Arc<dyn SessionStore>,
        engine: Engine,
        host: Address,
        chains: BTreeMap<ChainId, Arc<ChainClient>>,
    ) -> Self {
        Self { store, engine, host, chains }
    }

    /// Ends a session: with something to claim, its intent is stored in the same transaction; with
    /// nothing, it is left to the renter, who can exit alone, since closing it would cost gas for
    /// no pay.
    pub async fn end(
        &self,
        key: SessionKey,
        terms: &SessionTerms,
        newest: Option<&SignedVoucher>,
        claim: Amount,
        reason: EndReason,
    ) -> Result<SettleOutcome, StoreError> {
        let intent = newest
            .filter(|_| !claim.is_zero())
            .map(|signed| request(&self.chains, self.host, key, terms, Some(signed), claim));
        let outcome = self.store.settle_session(key, reason.as_str(), intent).await?;
        match &outcome {
            SettleOutcome::Settling(intent) => {
                tracing::info!(%intent, %claim, reason = reason.as_str(), "settlement stored");
            }
            SettleOutcome::Elsewhere => tracing::info!("left to the host that serves it now"),
            _ => {}
        }
        self.engine.notify();
        Ok(outcome)
    }
}

/// The transaction that closes a session for `claim`, with the limits of today's configuration.
/// Without a voucher it claims what the renter acknowledged on chain.
fn request(
    chains: &BTreeMap<ChainId, Arc<ChainClient>>,
    host: Address,
    key: SessionKey,
    terms: &SessionTerms,
    signed: Option<&SignedVoucher>,
    claim: Amount,
) -> NewIntent {
    let call = calls::complete_session_job(key.marketplace, terms, signed, claim);
    let lane = LaneKey { chain_id: key.chain_id, sender: host };
    let config = chains.get(&key.chain_id).map(|chain| chain.config());
    let (max_cost, worth) =
        config.map_or((None, None), |config| limits::of(config, terms.token, claim));
    NewIntent {
        max_cost,
        worth,
        repeat_safe: true,
        label: format!("settle {}", key.session_id.short()),
        ..NewIntent::new(format!("settle/{key}"), lane, call.to, call.value, call.data)
    }
}

/// What every line about a settlement carries.
pub fn span(
    chains: &BTreeMap<ChainId, Arc<ChainClient>>,
    key: SessionKey,
    token: Address,
) -> tracing::Span {
    let config = chains.get(&key.chain_id).map(|chain| chain.config());
    let chain = config.map_or("unknown", |config| &config.name);
    let symbol = config.and_then(|config| Some(config.token_info(token)?.0));
    let token = symbol.map_or_else(|| token.to_string(), str::to_owned);
    let chain_id = key.chain_id.0;
    tracing::info_span!("settlement", chain_id, chain, token, session = %key.session_id)
}

/// What a stored session's newest voucher may be used to claim: what was served, which an exact
/// voucher states and a ceiling only bounds.
pub fn claim_of(session: &Session) -> Amount {
    match (&session.voucher, served(session)) {
        (None, _) => Amount::ZERO,
        (Some(newest), Some(owed)) => owed.min(newest.voucher.amount),
        (Some(newest), None) if !newest.voucher.is_ceiling() => newest.voucher.amount,
        (Some(_), None) => Amount::ZERO,
    }
}

/// What was served is worth by the stored tally; `None` if that is torn.
fn served(session: &Session) -> Option<Amount> {
    Tally::resume(session.price, session.tally.clone()).ok()?.owed().ok()
}
