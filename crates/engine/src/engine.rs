//! The engine's handle: submit, follow, explain.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use capstan_base::{B256, ChainId};
use capstan_kit::{Backoff, Supervisor, SystemClock};
use capstan_store::{
    Attempt, EngineStore, HistoryRow, Intent, IntentFilter, IntentId, LaneKey, NewIntent,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::chain::LaneChain;
use crate::config::{EngineConfig, MAX_DATA};
use crate::error::{EngineError, Result};
use crate::lane::Worker;
use crate::names::Names;
use crate::signer::LaneSigner;
use crate::waiters::{Outcome, Waiters};

/// Pause between looks at an intent that another engine may have ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// First and longest pause before a lane that failed starts again from the store.
const RESTART: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Runs the lanes. Clones share it; cancelling its token stops it between two effects, and nothing
/// is lost by that: a lane is rebuilt from the store.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn EngineStore>,
    waiters: Arc<Waiters>,
    lanes: HashMap<LaneKey, Arc<Notify>>,
    tasks: Supervisor,
}

/// Everything known of an intent.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What was asked, and where it stands.
    pub intent: Intent,
    /// Every transaction signed for it, oldest first.
    pub attempts: Vec<Attempt>,
    /// What happened besides, oldest first.
    pub history: Vec<HistoryRow>,
}

impl Engine {
    /// Starts one lane for each chain and signer, on the current runtime, and goes on with
    /// whatever the store holds. Fails only if a chain is configured under another's id.
    pub fn start(
        store: Arc<dyn EngineStore>,
        chains: HashMap<ChainId, Arc<dyn LaneChain>>,
        signers: Vec<Arc<dyn LaneSigner>>,
        config: EngineConfig,
        cancel: CancellationToken,
    ) -> Result<Self> {
        for (configured, chain) in &chains {
            if chain.chain_id() != *configured {
                let actual = chain.chain_id();
                return Err(EngineError::WrongChain { configured: *configured, actual });
            }
        }
        let waiters = Arc::new(Waiters::default());
        let owner = B256::random().to_string();
        let tasks = Supervisor::new(cancel);
        let mut lanes = HashMap::new();
        for (chain_id, chain) in chains {
            for signer in &signers {
                let key = LaneKey { chain_id, sender: signer.address() };
                let wake = Arc::new(Notify::new());
                let (id, name) = (chain_id.0, chain.name());
                let span =
                    tracing::info_span!("lane", chain_id = id, chain = name, sender = %key.sender);
                let worker = Arc::new(Worker {
                    key,
                    config: config.lane(chain_id).clone(),
                    owner: owner.clone(),
                    store: Arc::clone(&store),
                    clock: Arc::new(SystemClock),
                    chain: Arc::clone(&chain),
                    signer: Arc::clone(signer),
                    waiters: Arc::clone(&waiters),
                    wake: Arc::clone(&wake),
                    names: Names::default(),
                });
                if lanes.insert(key, wake).is_none() {
                    tasks.spawn("lane", Backoff::new(RESTART.0, RESTART.1), move |cancel| {
                        let worker = Arc::clone(&worker);
                        async move { worker.run(&cancel).await }.instrument(span.clone())
                    });
                }
            }
        }
        Ok(Self { shared: Arc::new(Shared { store, waiters, lanes, tasks }) })
    }

    /// Stores an intent, once per key, and wakes its lane.
    pub async fn submit(&self, request: NewIntent) -> Result<IntentId> {
        let (chain_id, sender) = (request.chain_id, request.sender);
        let lane = self.shared.lanes.get(&LaneKey { chain_id, sender });
        let wake = lane.ok_or(EngineError::UnknownLane { chain_id, sender })?;
        if request.data.len() > MAX_DATA {
            return Err(EngineError::TooLarge { bytes: request.data.len(), limit: MAX_DATA });
        }
        let outcome = self.shared.store.submit_intent(request).await?;
        wake.notify_one();
        Ok(outcome.id())
    }

    /// Wakes every lane, after someone else put an intent in the outbox. Without it the lane finds
    /// the intent within its idle interval.
    pub fn notify(&self) {
        for wake in self.shared.lanes.values() {
            wake.notify_one();
        }
    }

    /// Where an intent stands.
    pub async fn status(&self, id: IntentId) -> Result<Intent> {
        self.shared.store.intent(id).await?.ok_or(EngineError::UnknownIntent(id))
    }

    /// Waits for an intent's end, however long that takes. Safe to drop and to call again.
    pub async fn wait(&self, id: IntentId) -> Result<Outcome> {
        let ended = self.shared.waiters.register(id);
        if let Some(outcome) = Outcome::of(&self.status(id).await?) {
            return Ok(outcome);
        }
        tokio::select! {
            () = self.shared.tasks.token().cancelled() => Err(EngineError::Stopped),
            outcome = ended => outcome.map_err(|_| EngineError::Stopped),
            outcome = self.ended_elsewhere(id) => outcome,
        }
    }

    /// Another engine on the same store may end the intent, and says so only there.
    async fn ended_elsewhere(&self, id: IntentId) -> Result<Outcome> {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Some(outcome) = Outcome::of(&self.status(id).await?) {
                return Ok(outcome);
            }
        }
    }

    /// Lists intents, oldest first.
    pub async fn list(&self, filter: IntentFilter) -> Result<Vec<Intent>> {
        Ok(self.shared.store.intents(filter).await?)
    }

    /// The whole story of an intent.
    pub async fn explain(&self, id: IntentId) -> Result<Explanation> {
        let intent = self.status(id).await?;
        let attempts = self.shared.store.attempts(id).await?;
        let history = self.shared.store.history(id).await?;
        Ok(Explanation { intent, attempts, history })
    }

    /// Lanes with unfinished intents that this engine has no chain or key for: their intents wait
    /// until one is configured.
    pub async fn orphans(&self) -> Result<Vec<LaneKey>> {
        let open = self.shared.store.open_lanes().await?;
        Ok(open.into_iter().filter(|key| !self.shared.lanes.contains_key(key)).collect())
    }

    /// Waits until every lane has stopped, once the token is cancelled.
    pub async fn stopped(&self) {
        self.shared.tasks.stopped().await;
    }
}

#[cfg(test)]
mod tests;
