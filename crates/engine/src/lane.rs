//! The task of one lane: looks at the chain, tells the core, does what the core asks.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use alloy_primitives::Bytes;
use capstan_chain::{BlockTag, ChainError, Finality};
use capstan_kit::Clock;
use capstan_store::{EngineStore, Fence, IntentId, LaneKey, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::chain::LaneChain;
use crate::config::LaneConfig;
use crate::core::{Effect, Event, Lane, View};
use crate::names::Names;
use crate::signer::LaneSigner;
use crate::telemetry;
use crate::waiters::Waiters;

mod carry_out;
mod look;

/// Queued intents taken up per round; the rest come in the next.
const INTAKE: u32 = 512;

/// Queued intents held in memory; the rest wait in the store.
const MOST_QUEUED: usize = 4096;

/// How long a lane is this engine's without a word from it. Another engine takes over after that.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// Time between renewals: two may fail before the lease is over.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// Time between tries to get a lane that another engine has.
const ACQUIRE_EVERY: Duration = Duration::from_millis(500);

/// What a lane's task works with.
pub(crate) struct Worker {
    pub(crate) key: LaneKey,
    pub(crate) config: LaneConfig,
    /// Names this engine among those that share the store.
    pub(crate) owner: String,
    pub(crate) store: Arc<dyn EngineStore>,
    pub(crate) chain: Arc<dyn LaneChain>,
    pub(crate) signer: Arc<dyn LaneSigner>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) names: Names,
}

/// A lane's state between rounds; gone, and rebuilt from the store, after any error of the store.
pub(crate) struct Running {
    lane: Lane,
    fence: Fence,
    /// Newest queued intent that was taken up.
    newest: Option<IntentId>,
}

impl Worker {
    /// Runs until cancelled; an error of the store ends it, and the next run starts from the store.
    pub(crate) async fn run(&self, cancel: &CancellationToken) -> Result<(), StoreError> {
        let fence = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            fence = self.acquire() => fence?,
        };
        // Whichever ends first ends the other where it stands: a round may be stopped anywhere.
        let result = tokio::select! {
            () = cancel.cancelled() => Ok(()),
            result = self.run_from_store(fence) => result,
            result = self.keep(fence) => result,
        };
        telemetry::leads(self.key, false);
        match &result {
            // At once, where there is another engine, instead of after the lease.
            Ok(()) => self.store.release_lane(fence).await?,
            Err(StoreError::Fenced { .. }) => tracing::warn!(
                chain_id = self.key.chain_id.0, sender = %self.key.sender,
                "another engine has taken the lane"
            ),
            Err(error) => tracing::error!(
                chain_id = self.key.chain_id.0, sender = %self.key.sender,
                error = error as &dyn std::error::Error,
                "the lane starts again from the store"
            ),
        }
        result
    }

    /// Waits until the lane is this engine's.
    async fn acquire(&self) -> Result<Fence, StoreError> {
        loop {
            if let Some(fence) = self.store.acquire_lane(self.key, &self.owner, LEASE).await? {
                telemetry::leads(self.key, true);
                return Ok(fence);
            }
            tokio::time::sleep(ACQUIRE_EVERY).await;
        }
    }

    /// Renews the lease until it is lost.
    async fn keep(&self, fence: Fence) -> Result<(), StoreError> {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let renewal = self.store.renew_lane(fence, LEASE);
            let lost = StoreError::Fenced { lane: self.key };
            match tokio::time::timeout(LEASE, renewal).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) | Err(_) => return Err(lost),
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    async fn run_from_store(&self, fence: Fence) -> Result<(), StoreError> {
        let mut running = self.restore(fence).await?;
        loop {
            self.round(&mut running).await?;
            let interval = if running.lane.is_idle() {
                self.config.idle_interval
            } else {
                self.config.poll_interval
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = self.store.submitted(self.key) => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// The lane as the store has it.
    pub(crate) async fn restore(&self, fence: Fence) -> Result<Running, StoreError> {
        let snapshot = self.store.lane_snapshot(self.key).await?;
        let carried = snapshot.flights.iter().flat_map(|flight| &flight.intents);
        carried.for_each(|intent| self.names.learn(intent));
        let batching = self.chain.batching(self.key.sender).await;
        let call_of = |raw: &Bytes| self.signer.call_of(raw);
        let lane = Lane::restore(self.key, self.config.clone(), batching, snapshot, &call_of);
        Ok(Running { lane, fence, newest: None })
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
        let mut has_signed = false;
        while !events.is_empty() {
            has_signed |= events.iter().any(|event| matches!(event, Event::Recorded { .. }));
            let effects: Vec<Effect> =
                events.drain(..).flat_map(|event| running.lane.step(event)).collect();
            events = self.carry_out(running.fence, effects).await?;
        }
        // More may go at once: the window grows by what pools have just taken.
        if has_signed && running.lane.queued_count() > 0 {
            self.wake.notify_one();
        }
        telemetry::gauge(self.key, &running.lane, self.clock.now());
        Ok(())
    }

    async fn new_intents(&self, running: &mut Running) -> Result<VecDeque<Event>, StoreError> {
        if running.lane.queued_count() >= MOST_QUEUED {
            return Ok(VecDeque::new());
        }
        let intents = self.store.queued(self.key, running.newest, INTAKE).await?;
        running.newest = intents.last().map(|intent| intent.id).or(running.newest);
        intents.iter().for_each(|intent| self.names.learn(intent));
        if intents.len() == usize::try_from(INTAKE).unwrap_or(usize::MAX) {
            self.wake.notify_one();
        }
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
        Ok(View { head, final_height, account_nonce, balance, gas_price, now: self.clock.now() })
    }
}

#[cfg(test)]
mod tests;
