//! Watches the account's coins on every chain, sets the gauges and tells the operator in time.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_base::{Address, ChainId, U256};
use capstan_chain::{BlockTag, ChainClient, ChainConfig, ChainError};
use capstan_kit::{Clock, causes};
use capstan_store::{SessionState, SessionStore, StoreError};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Alarm, Funds, Reading, Standing, Webhook, estimate};
use crate::settlement::claim_of;

/// Longest that one chain is waited for: the others are not to go unwatched meanwhile.
const DEADLINE: Duration = Duration::from_secs(20);

/// What the watch works with.
pub struct Watch {
    /// The host's account.
    pub host: Address,
    /// Chains.
    pub chains: BTreeMap<ChainId, Arc<ChainClient>>,
    /// Sessions, for what is not settled yet.
    pub store: Arc<dyn SessionStore>,
    /// Where readings go.
    pub funds: Funds,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Told of fewer settlements than this.
    pub least: u64,
    /// Pause between looks.
    pub every: Duration,
    /// Told besides the log.
    pub webhook: Option<Webhook>,
}

impl Watch {
    /// Looks at every chain, again and again, until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut alarms = self.alarms();
        loop {
            self.look_at_all(&mut alarms).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }

    /// What was told of each chain: of none anything yet.
    pub fn alarms(&self) -> BTreeMap<ChainId, Alarm> {
        // Nothing is told while all is well, and a rule may still look at it.
        self.chains.values().for_each(|chain| show_low(chain.config(), false));
        self.chains.keys().map(|id| (*id, Alarm::new(self.least))).collect()
    }

    /// One look. What cannot be read is left as it was, whatever it is: an alarm must neither be
    /// forgotten nor missed for it.
    pub async fn look_at_all(&self, alarms: &mut BTreeMap<ChainId, Alarm>) {
        // At once: one that does not answer keeps nobody waiting.
        let looks = alarms.iter_mut().map(|(id, alarm)| self.look(*id, alarm));
        futures_util::future::join_all(looks).await;
        if let Err(error) = self.value_unsettled().await {
            tracing::error!(%error, "what is not settled yet is unknown");
        }
    }

    async fn look(&self, id: ChainId, alarm: &mut Alarm) {
        let Some(chain) = self.chains.get(&id) else { return };
        // What was read before stands: an outage says nothing about a balance.
        for (what, look) in [
            ("balance", tokio::time::timeout(DEADLINE, self.read(chain, alarm)).await),
            ("tokens", tokio::time::timeout(DEADLINE, self.read_tokens(chain)).await),
        ] {
            match look {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(chain_id = id.0, what, error = causes(&error), "unknown");
                }
                Err(_) => tracing::debug!(chain_id = id.0, what, "unknown: no answer"),
            }
        }
    }

    /// Reads the coin, and tells at once: from the reading on sessions may be refused.
    async fn read(&self, chain: &ChainClient, alarm: &mut Alarm) -> Result<(), ChainError> {
        let config = chain.config();
        let balance = chain.balance(self.host).await?;
        let estimate = estimate(chain).await?;
        let reading = self.funds.read(config.chain_id, balance, &estimate, self.clock.now());
        if let Some(standing) = alarm.hear(reading.runway, reading.at) {
            self.tell(chain, standing, &reading);
        }
        let native = &config.native;
        wallet(config, &native.symbol, balance, native.decimals);
        metrics::gauge!("capstan_runway_settlements", "chain" => config.name.clone())
            .set(whole(U256::from(reading.runway), 0));
        Ok(())
    }

    /// Reads tokens and earnings, for the gauges alone. Each for itself: one token that cannot be
    /// read hides no other.
    async fn read_tokens(&self, chain: &ChainClient) -> Result<(), ChainError> {
        let config = chain.config();
        let native = &config.native;
        let zero = (native.symbol.as_str(), Address::ZERO, native.decimals);
        let tokens = config.tokens.values();
        let tokens = tokens.map(|token| (token.symbol.as_str(), token.address, token.decimals));
        let mut outcome = Ok(());
        for (symbol, address, decimals) in core::iter::once(zero).chain(tokens) {
            if !address.is_zero() {
                match chain.token_balance(address, self.host).await {
                    Ok(held) => wallet(config, symbol, held, decimals),
                    Err(error) => outcome = Err(error),
                }
            }
            match chain.ledger_balance(self.host, address, BlockTag::Latest).await {
                Ok(held) => earned(config, symbol, U256::from(held.base_units()), decimals),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn tell(&self, chain: &ChainClient, standing: Standing, reading: &Reading) {
        let config = chain.config();
        let (chain_id, name, token) = (config.chain_id.0, &config.name, &config.native.symbol);
        let Reading { balance, runway, .. } = *reading;
        let account = self.host;
        let least = self.least;
        let text = match standing {
            Standing::Funded => format!("{account} has {token} for {runway} settlements on {name}"),
            Standing::Low => format!(
                "{account} has {token} for {runway} settlements on {name}, fewer than {least}: send it some"
            ),
            Standing::Empty => format!(
                "{account} cannot pay for a settlement on {name} and takes no new session there: send it {token}"
            ),
        };
        match standing {
            Standing::Funded => {
                tracing::info!(chain_id, chain = name, token, %balance, runway, "{text}")
            }
            Standing::Low => {
                tracing::warn!(chain_id, chain = name, token, %balance, runway, "{text}")
            }
            Standing::Empty => {
                tracing::error!(chain_id, chain = name, token, %balance, runway, "{text}");
            }
        }
        show_low(config, standing != Standing::Funded);
        if let Some(webhook) = &self.webhook {
            webhook.tell(json!({
                "event": "balance",
                "standing": standing,
                "text": text,
                "host": account,
                "chain_id": config.chain_id,
                "chain": config.name,
                "token": token,
                "balance": balance.to_string(),
                "runway": runway,
                "min_runway": least,
                "at": reading.at,
            }));
        }
    }

    /// Sets what was signed for and is not settled yet, by chain and token.
    async fn value_unsettled(&self) -> Result<(), StoreError> {
        let mut sums: BTreeMap<(ChainId, Address), U256> = BTreeMap::new();
        for (id, chain) in &self.chains {
            let tokens = chain.config().tokens.values().map(|token| token.address);
            sums.extend(tokens.chain([Address::ZERO]).map(|token| ((*id, token), U256::ZERO)));
        }
        for state in [SessionState::Open, SessionState::Detached, SessionState::Settling] {
            for session in self.store.sessions_in(state).await? {
                let sum = sums.entry((session.key.chain_id, session.terms.token)).or_default();
                *sum = sum.saturating_add(claim_of(&session).into());
            }
        }
        for ((id, token), sum) in sums {
            let Some(chain) = self.chains.get(&id) else { continue };
            let Some((symbol, decimals)) = chain.config().token_info(token) else { continue };
            let labels = [("chain", chain.config().name.clone()), ("token", symbol.to_owned())];
            metrics::gauge!("capstan_unsettled_value", &labels).set(whole(sum, decimals));
        }
        Ok(())
    }
}

fn wallet(config: &ChainConfig, token: &str, amount: U256, decimals: u8) {
    let labels = [("chain", config.name.clone()), ("token", token.to_owned())];
    metrics::gauge!("node_wallet_balance", &labels).set(whole(amount, decimals));
}

fn earned(config: &ChainConfig, token: &str, amount: U256, decimals: u8) {
    let labels = [("chain", config.name.clone()), ("token", token.to_owned())];
    metrics::gauge!("capstan_ledger_balance", &labels).set(whole(amount, decimals));
}

/// Whole units: gauges are floats, and dashboards are read by people.
fn whole(amount: U256, decimals: u8) -> f64 {
    f64::from(amount) / 10_f64.powi(i32::from(decimals))
}

fn show_low(config: &ChainConfig, low: bool) {
    let low = f64::from(u8::from(low));
    metrics::gauge!("capstan_low_balance", "chain" => config.name.clone()).set(low);
}
