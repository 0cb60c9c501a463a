//! The task of one lane: looks at the chain, tells the core, does what the core asks.

use std::collections::VecDeque;
use std::sync::Arc;

use capstan_chain::{BlockTag, ChainError, Finality};
use capstan_kit::{Clock, SystemClock};
use capstan_store::{EngineStore, IntentFilter, IntentId, IntentState, LaneKey, StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::chain::LaneChain;
use crate::config::LaneConfig;
use crate::core::{Effect, Event, Lane, View};
use crate::signer::LaneSigner;
use crate::telemetry;
use crate::waiters::Waiters;

mod carry_out;

/// Effects carried out at once: the window of a sender, so that one round trip sends a full window.
const WIDTH: usize = 16;

/// Queued intents taken up per round; the rest come in the next.
const INTAKE: u32 = 256;

/// What a lane's task works with.
pub(crate) struct Worker {
    pub(crate) key: LaneKey,
    pub(crate) config: LaneConfig,
    pub(crate) store: Arc<dyn EngineStore>,
    pub(crate) chain: Arc<dyn LaneChain>,
    pub(crate) signer: Arc<dyn LaneSigner>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) wake: Arc<Notify>,
}

/// A lane's state between rounds; gone, and rebuilt from the store, after any error of the store.
pub(crate) struct Running {
    lane: Lane,
    /// Newest queued intent that was taken up.
    newest: Option<IntentId>,
}

impl Worker {
    /// Runs until cancelled; an error of the store ends it, and the next run starts from the store.
    pub(crate) async fn run(&self, cancel: &CancellationToken) -> Result<(), StoreError> {
        tokio::select! {
            () = cancel.cancelled() => Ok(()),
            result = self.run_from_store() => result.inspect_err(|error| {
                tracing::error!(
                    chain_id = self.key.chain_id.0, sender = %self.key.sender,
                    error = error as &dyn std::error::Error,
                    "the lane starts again from the store"
                );
            }),
        }
    }

    async fn run_from_store(&self) -> Result<(), StoreError> {
        let mut running = self.restore().await?;
        loop {
            self.round(&mut running).await?;
            let interval = if running.lane.is_idle() {
                self.config.idle_interval
            } else {
                self.config.poll_interval
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// The lane as the store has it.
    pub(crate) async fn restore(&self) -> Result<Running, StoreError> {
        let snapshot = self.store.lane_snapshot(self.key).await?;
        let newest = snapshot.intents.last().map(|intent| intent.id);
        Ok(Running { lane: Lane::restore(self.key, self.config.clone(), snapshot), newest })
    }

    /// One look at the outbox and the chain, and everything that follows from it.
    pub(crate) async fn round(&self, running: &mut Running) -> Result<(), StoreError> {
        let mut events = self.new_intents(running).await?;
        if !running.lane.is_idle() || !events.is_empty() {
            match self.view().await {
                Ok(view) => events.push_back(Event::Viewed(Box::new(view))),
                Err(error) => {
                    telemetry::count(telemetry::CHAIN_ERRORS, self.key);
                    tracing::warn!(
                        chain_id = self.key.chain_id.0,
                        error = &error as &dyn std::error::Error,
                        "could not look at the chain"
                    );
                }
            }
        }
        while !events.is_empty() {
            let effects: Vec<Effect> =
                events.drain(..).flat_map(|event| running.lane.step(event)).collect();
            // In order of asking, so that intents get nonces in order of submission; together, so
            // that attempts share a commit of the store and requests a round trip. Effects of one
            // round never depend on each other.
            events = stream::iter(effects)
                .map(|effect| self.carry_out(effect))
                .buffered(WIDTH)
                .try_filter_map(async |event| Ok(event))
                .try_collect()
                .await?;
        }
        telemetry::gauge(self.key, &running.lane, SystemClock.now());
        Ok(())
    }

    async fn new_intents(&self, running: &mut Running) -> Result<VecDeque<Event>, StoreError> {
        let filter = IntentFilter {
            chain_id: Some(self.key.chain_id),
            sender: Some(self.key.sender),
            state: Some(IntentState::Queued),
            after: running.newest,
            limit: Some(INTAKE),
        };
        let intents = self.store.intents(filter).await?;
        running.newest = intents.last().map(|intent| intent.id).or(running.newest);
        Ok(intents.into_iter().map(|intent| Event::Queued(Box::new(intent))).collect())
    }

    /// The head first: what is read after it may be newer than it, never older.
    async fn view(&self) -> Result<View, ChainError> {
        let head = self.chain.block(BlockTag::Latest).await?;
        let head = head.ok_or_else(|| ChainError::Inconsistent {
            chain: self.key.chain_id,
            operation: "reading the head",
            detail: "there is no such block".to_owned(),
        })?;
        let height = async |tag| Ok(self.chain.block(tag).await?.map(|block| block.number));
        let final_height = async {
            match self.config.finality {
                Finality::Latest => Ok(Some(head.number)),
                Finality::Safe => height(BlockTag::Safe).await,
                Finality::Finalized => height(BlockTag::Finalized).await,
                Finality::Depth(blocks) => Ok(head.number.checked_sub(blocks)),
            }
        };
        let (final_height, account_nonce, balance, gas_price) = futures_util::try_join!(
            final_height,
            self.chain.account_nonce(self.key.sender),
            self.chain.balance(self.key.sender),
            self.chain.gas_price(),
        )?;
        Ok(View { head, final_height, account_nonce, balance, gas_price, now: SystemClock.now() })
    }
}

#[cfg(test)]
mod tests;
