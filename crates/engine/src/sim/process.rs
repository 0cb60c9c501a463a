//! One engine process of a run: the real lane's rounds, polled by hand.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use capstan_kit::{Clock, ManualClock};
use capstan_store::{EngineStore, Fence, LaneKey, MemoryStore, Power, StoreError};
use tokio::sync::Notify;

use super::chain::SimChain;
use super::net::Net;
use crate::config::LaneConfig;
use crate::fake::FakeSigner;
use crate::lane::{LEASE, Running, Worker};
use crate::names::Names;
use crate::waiters::Waiters;

/// Polls of one round: far more than a round with everything ready takes.
const MOST_POLLS: u32 = 10_000;

type Round = Pin<Box<dyn Future<Output = (Running, Result<(), StoreError>)> + Send>>;

/// What a process has in memory.
enum Memory {
    /// Nothing: it just started.
    Fresh,
    /// A lane between two rounds.
    Idle(Box<Running>),
    /// A lane in the middle of a round, standing still.
    Within(Round),
}

/// What became of a process's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It did a round.
    Done,
    /// Another process has the lane.
    NotLeader,
    /// It found that another process has taken the lane.
    Fenced,
    /// It died, and lost what it had in memory.
    Died,
    /// It stands still in the middle of a round.
    Stalled,
    /// The store refused a write, with these words: a bug of the lane.
    Refused(String),
}

pub(super) struct Process {
    pub(super) power: Arc<Power>,
    store: MemoryStore,
    worker: Arc<Worker>,
    memory: Memory,
    fence: Option<Fence>,
    name: String,
    lives: u32,
    /// It frees its predecessor's lease, as the one process that has a file to itself.
    is_alone: bool,
}

/// What all processes of a run share.
pub(super) struct Shared {
    pub(super) key: LaneKey,
    pub(super) config: LaneConfig,
    pub(super) store: MemoryStore,
    pub(super) net: Arc<Mutex<Net>>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) batches: bool,
}

impl Process {
    pub(super) fn new(index: usize, shared: &Shared, is_alone: bool) -> Self {
        let power = Arc::new(Power::default());
        let store = shared.store.for_process(Arc::clone(&power));
        let chain = SimChain {
            chain_id: shared.key.chain_id,
            net: Arc::clone(&shared.net),
            power: Arc::clone(&power),
            batches: shared.batches,
        };
        let name = format!("engine {index}");
        let worker = Worker {
            key: shared.key,
            config: shared.config.clone(),
            owner: name.clone(),
            store: Arc::new(store.clone()),
            chain: Arc::new(chain),
            signer: Arc::new(FakeSigner(shared.key.sender)),
            clock: Arc::clone(&shared.clock) as Arc<dyn Clock>,
            waiters: Arc::new(Waiters::default()),
            wake: Arc::new(Notify::new()),
            names: Names::default(),
        };
        let worker = Arc::new(worker);
        Self { power, store, worker, memory: Memory::Fresh, fence: None, name, lives: 0, is_alone }
    }

    /// Loses all it has in memory.
    pub(super) fn kill(&mut self) {
        self.memory = Memory::Fresh;
        self.fence = None;
        self.power.restore();
        self.lives = self.lives.saturating_add(1);
        if !self.is_alone
            && let Some(worker) = Arc::get_mut(&mut self.worker)
        {
            // A process that starts again is another engine to those that share the store.
            worker.owner = format!("{}.{}", self.name, self.lives);
        }
    }

    /// How often it died.
    pub(super) fn lives(&self) -> u32 {
        self.lives
    }

    /// Prolongs its lease; false if another process has taken the lane.
    pub(super) fn renew(&mut self) -> bool {
        let Some(fence) = self.fence.filter(|_| !matches!(self.memory, Memory::Within(_))) else {
            return true;
        };
        match drive(&self.power, self.store.renew_lane(fence, LEASE)) {
            Some(Ok(true)) => true,
            Some(_) => {
                self.drop_lane();
                false
            }
            None => true,
        }
    }

    fn drop_lane(&mut self) {
        self.memory = Memory::Fresh;
        self.fence = None;
    }

    /// Takes the lane if it is free, then a look at everything and all that follows; or goes on
    /// where it stood still.
    pub(super) fn turn(&mut self) -> Turn {
        let mut round = match core::mem::replace(&mut self.memory, Memory::Fresh) {
            Memory::Within(round) => round,
            Memory::Idle(running) => self.round(*running),
            Memory::Fresh => match self.restore() {
                Ok(running) => self.round(running),
                Err(turn) => return turn,
            },
        };
        match poll(&self.power, &mut round) {
            Some((running, Ok(()))) => {
                self.memory = Memory::Idle(Box::new(running));
                Turn::Done
            }
            Some((_, Err(error))) => {
                self.drop_lane();
                match error {
                    StoreError::Fenced { .. } => Turn::Fenced,
                    error => Turn::Refused(error.to_string()),
                }
            }
            None if self.power.is_off() => {
                drop(round);
                self.kill();
                Turn::Died
            }
            None => {
                self.memory = Memory::Within(round);
                Turn::Stalled
            }
        }
    }

    fn round(&self, mut running: Running) -> Round {
        let worker = Arc::clone(&self.worker);
        Box::pin(async move {
            let result = worker.round(&mut running).await;
            (running, result)
        })
    }

    fn restore(&mut self) -> Result<Running, Turn> {
        let (key, owner) = (self.worker.key, self.worker.owner.clone());
        // Standing still is for rounds.
        let fence = drive(&self.power, self.store.acquire_lane(key, &owner, LEASE));
        let fence = fence.and_then(Result::ok);
        let Some(fence) = fence else {
            self.kill();
            return Err(Turn::Died);
        };
        let Some(fence) = fence else { return Err(Turn::NotLeader) };
        self.fence = Some(fence);
        match drive(&self.power, self.worker.restore(fence)) {
            Some(Ok(running)) => Ok(running),
            _ => {
                self.kill();
                Err(Turn::Died)
            }
        }
    }
}

/// Runs a future that ends at once, unless the process dies or stands still in it.
fn drive<T>(power: &Power, future: impl Future<Output = T> + Send) -> Option<T> {
    let mut future = Box::pin(future);
    poll(power, &mut future)
}

fn poll<F: Future + ?Sized>(power: &Power, future: &mut Pin<Box<F>>) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..MOST_POLLS {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending if power.is_off() || power.is_stalled() => return None,
            // Combinators of many futures let others go first now and then.
            Poll::Pending => {}
        }
    }
    None
}
