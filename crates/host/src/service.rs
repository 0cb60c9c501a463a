//! The host as one service: front, sessions and reconciler, from start to drained.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capstan_base::{Address, ChainId};
use capstan_chain::{ChainClient, LocalSigner};
use capstan_engine::Engine;
use capstan_kit::telemetry::Metrics;
use capstan_kit::{Backoff, Clock, Secret, Supervisor};
use capstan_store::{IntentFilter, IntentState, SessionStore, StoreError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::config::HostConfig;
use crate::funds::{Funds, Watch, Webhook};
use crate::http::{FrontState, app};
use crate::served::ServedModel;
use crate::session::SessionContext;
use crate::sessions::Sessions;
use crate::settlement::{Outbox, Reconciler};

/// Pause between looks at settling sessions: an answer from the store alone most of the time.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// Slowest pause before a task that failed runs again.
const SLOWEST_RETRY: Duration = Duration::from_secs(30);

/// Pause between looks at the outbox while shutting down.
const DRAIN_LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a host is made of.
pub struct HostParts {
    /// Own address on every chain.
    pub host: Address,
    /// Limits.
    pub config: HostConfig,
    /// Chains served.
    pub chains: BTreeMap<ChainId, Arc<ChainClient>>,
    /// Models served.
    pub models: Vec<ServedModel>,
    /// Vouchers, sessions, intents.
    pub store: Arc<dyn SessionStore>,
    /// Sends settlements.
    pub engine: Engine,
    /// Rendered at `/metrics`.
    pub metrics: Metrics,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// URL that alerts are posted to; it may hold a token.
    pub webhook: Option<Secret>,
    /// Key of `host`, which signs receipts; none are given without it. A host whose database was lost
    /// gives none until every session of before has expired: what it signed then is not known any
    /// more, and two receipts that contradict each other cost it a part of its stake.
    pub receipts: Option<Arc<LocalSigner>>,
}

/// A host ready to serve.
pub struct Host {
    sessions: Sessions,
    reconciler: Arc<Reconciler>,
    front: FrontState,
    watch: Watch,
    webhook: Option<Secret>,
}

impl Host {
    /// Puts the parts together and takes up every stored session.
    pub async fn start(parts: HostParts) -> Result<Self, StoreError> {
        let HostParts {
            host,
            config,
            chains,
            models,
            store,
            engine,
            metrics,
            clock,
            webhook,
            receipts,
        } = parts;
        let funds = Funds::default();
        let watch = Watch {
            host,
            chains: chains.clone(),
            store: store.clone(),
            funds: funds.clone(),
            clock: Arc::clone(&clock),
            least: config.min_runway,
            every: config.balance_every,
            webhook: None,
        };
        let admission = Admission {
            host,
            chains: chains.clone(),
            models,
            min_lifetime: config.min_lifetime.as_secs(),
        };
        let context = SessionContext {
            store: Arc::clone(&store),
            outbox: Arc::new(Outbox::new(Arc::clone(&store), engine.clone(), host, chains.clone())),
            chains: chains.clone(),
            config,
            clock: Arc::clone(&clock),
            receipts,
        };
        let sessions = Sessions::new(admission, context).funded_by(funds.clone());
        let resumed = sessions.resume_stored().await?;
        if resumed > 0 {
            tracing::info!(resumed, "sessions taken up from the store");
        }
        let front = FrontState::new(sessions.clone(), metrics, Arc::clone(&clock))
            .with_funds(funds.clone());
        let reconciler = Arc::new(Reconciler::new(store, engine, chains, clock, funds));
        Ok(Self { sessions, reconciler, front, watch, webhook })
    }

    /// Serves until `stop` is cancelled, then drains: running answers finish, every session's
    /// settlement is stored and handed to a chain.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let closed = CancellationToken::new();
        let tasks = Supervisor::new(closed.clone());
        let again = Backoff::new(FOLLOW_EVERY, SLOWEST_RETRY);
        let reconciler = Arc::clone(&self.reconciler);
        tasks.spawn("follow settlements", again.clone(), move |stop| {
            follow(Arc::clone(&reconciler), stop)
        });
        let (reconciler, sessions) = (Arc::clone(&self.reconciler), self.sessions.clone());
        tasks.spawn("watch closings", again, move |stop| {
            watch(Arc::clone(&reconciler), sessions.clone(), stop)
        });
        self.watch.webhook = self.webhook.map(|url| Webhook::start(url, closed.clone()));
        let watch = Arc::new(self.watch);
        tasks.spawn("watch balances", Backoff::new(FOLLOW_EVERY, SLOWEST_RETRY), move |stop| {
            let watch = Arc::clone(&watch);
            async move {
                watch.run(&stop).await;
                Ok::<_, StoreError>(())
            }
        });
        let drained = CancellationToken::new();
        let sessions = self.sessions.clone();
        let reconciler = Arc::clone(&self.reconciler);
        let drain = {
            let drained = drained.clone();
            tokio::spawn(async move {
                stop.cancelled().await;
                tracing::info!(sessions = sessions.count(), "draining");
                sessions.drain().await;
                reconciler.wait_broadcast(sessions.config().drain).await;
                drained.cancel();
            })
        };
        // The front stays open while answers finish; new sessions are refused as draining.
        let served = axum::serve(listener, app(self.front))
            .with_graceful_shutdown(drained.clone().cancelled_owned());
        let outcome = tokio::select! {
            outcome = served => outcome,
            // A peer that keeps its connection open must not keep the process.
            () = async { drained.cancelled().await; tokio::time::sleep(FOLLOW_EVERY).await } => Ok(()),
        };
        closed.cancel();
        drain.abort();
        tasks.stopped().await;
        outcome
    }
}

impl Reconciler {
    /// Waits until no intent is unsent, at most `within`. What is left is sent after a restart.
    async fn wait_broadcast(&self, within: Duration) {
        let filter =
            IntentFilter { state: Some(IntentState::Queued), limit: Some(1), ..Default::default() };
        let all_sent = async {
            while !matches!(self.store.intents(filter.clone()).await, Ok(left) if left.is_empty()) {
                tokio::time::sleep(DRAIN_LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(within, all_sent).await.is_err() {
            tracing::warn!(
                "some settlements are not sent yet; they are stored and sent at restart"
            );
        }
    }
}

/// Writes down how settling sessions closed.
async fn follow(reconciler: Arc<Reconciler>, stop: CancellationToken) -> Result<(), StoreError> {
    loop {
        reconciler.finish_settled().await?;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
        }
    }
}

/// Ends sessions that are over on chain or by their terms, while the newest voucher still counts
/// there, whichever host serves them, and takes up what is this host's and runs nowhere.
async fn watch(
    reconciler: Arc<Reconciler>,
    sessions: Sessions,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    let every = sessions.config().reconcile_every;
    let mut seen = BTreeSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
        sessions.resume_left_out().await?;
        sessions.end_due(&reconciler.due().await?, &mut seen).await;
    }
}
