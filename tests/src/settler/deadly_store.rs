//! A store that kills its process at a numbered write: SIGKILL, as a power cut would.

use std::ops::Range;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use capstan_store::{
    Attempt, BroadcastNote, EngineStore, Failure, Fence, FlightId, HistoryRow, Inclusion, Intent,
    IntentFilter, IntentId, IntentOutcome, ItemEnd, LaneKey, LaneSnapshot, NewAttempt, NewIntent,
    Recorded, Result, Store,
};
use rustix::process::{Signal, getpid, kill_process};

/// Where a process dies: `before:7` or `after:7` of its seventh writing call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillPoint {
    /// Nothing of the call has happened.
    Before(u64),
    /// The call has answered, and nobody has heard it.
    After(u64),
}

impl std::fmt::Display for KillPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Before(call) => write!(f, "before:{call}"),
            Self::After(call) => write!(f, "after:{call}"),
        }
    }
}

impl FromStr for KillPoint {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("{text:?} is no kill point such as before:7");
        let (side, call) = text.split_once(':').ok_or_else(wrong)?;
        let call = call.parse().map_err(|_| wrong())?;
        match side {
            "before" => Ok(Self::Before(call)),
            "after" => Ok(Self::After(call)),
            _ => Err(wrong()),
        }
    }
}

/// The store, deadly at one point.
pub struct DeadlyStore {
    inner: Store,
    point: Option<KillPoint>,
    writes: AtomicU64,
}

/// What a method does to the store.
#[derive(PartialEq, Eq)]
enum Kind {
    Read,
    Write,
}

impl DeadlyStore {
    /// Kills at `point`, or never.
    pub fn new(inner: Store, point: Option<KillPoint>) -> Self {
        Self { inner, point, writes: AtomicU64::new(0) }
    }

    async fn around<T>(&self, kind: Kind, call: impl Future<Output = T>) -> T {
        if kind == Kind::Read {
            return call.await;
        }
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        self.die_at(KillPoint::Before(number));
        let answer = call.await;
        self.die_at(KillPoint::After(number));
        answer
    }

    fn die_at(&self, point: KillPoint) {
        if self.point == Some(point) {
            kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
            // The signal may take a moment to arrive, and nothing may happen in it.
            loop {
                std::thread::park();
            }
        }
    }
}

macro_rules! delegate {
    ($($kind:ident $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl EngineStore for DeadlyStore {
            $(async fn $name(&self, $($argument: $type),*) -> $answer {
                let call = EngineStore::$name(&self.inner, $($argument),*);
                self.around(Kind::$kind, call).await
            })*
        }
    };
}

delegate! {
    Write submit_intent(request: NewIntent) -> Result<IntentOutcome>;
    Read intent(id: IntentId) -> Result<Option<Intent>>;
    Read intents(filter: IntentFilter) -> Result<Vec<Intent>>;
    Read attempts(id: IntentId) -> Result<Vec<Attempt>>;
    Read history(id: IntentId) -> Result<Vec<HistoryRow>>;
    Read open_lanes() -> Result<Vec<LaneKey>>;
    Write acquire_lane(lane: LaneKey, owner: &str, lease: Duration) -> Result<Option<Fence>>;
    Write renew_lane(fence: Fence, lease: Duration) -> Result<bool>;
    Write release_lane(fence: Fence) -> Result<()>;
    Read lane_snapshot(lane: LaneKey) -> Result<LaneSnapshot>;
    Read mined_attempts(lane: LaneKey, nonces: Range<u64>) -> Result<Vec<Attempt>>;
    Read queued(lane: LaneKey, after: Option<IntentId>, limit: u32) -> Result<Vec<Intent>>;
    Read submitted(lane: LaneKey) -> ();
    Write record_attempt(fence: Fence, attempt: NewAttempt) -> Result<Recorded>;
    Write note_broadcasts(notes: Vec<BroadcastNote>) -> Result<()>;
    Write record_inclusion(fence: Fence, flight: FlightId, mined: Inclusion) -> Result<()>;
    Write record_reorg(fence: Fence, flight: FlightId, detail: String) -> Result<()>;
    Write record_final(
        fence: Fence, flight: FlightId, mined: Inclusion, ends: Vec<(IntentId, ItemEnd)>
    ) -> Result<()>;
    Write record_lost(fence: Fence, flight: FlightId, detail: String) -> Result<()>;
    Write record_failure(fence: Fence, id: IntentId, failure: Failure) -> Result<()>;
    Write note(id: IntentId, what: &'static str, detail: String) -> Result<()>;
}
