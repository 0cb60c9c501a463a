//! Everything a run is made of, and how it is drawn from a seed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capstan_base::{Address, ChainId, U256, UnixSeconds};
use capstan_chain::Finality;
use capstan_kit::ManualClock;
use capstan_store::{EngineStore, IntentId, LaneKey, MemoryStore, NewIntent};

use super::faults::Faults;
use super::net::Net;
use super::process::{Process, Shared, Turn};
use super::report::Violation;
use crate::config::{BatchPolicy, LaneConfig};
use crate::fake::contracts::{CONTRACT, EffectId, Fate, Item, Kind};
use crate::fake::model::Model;

const CHAIN: ChainId = ChainId(84532);
pub(super) const SENDER: Address = Address::repeat_byte(0xaa);
/// Somebody else, who may close sessions too.
pub(super) const STRANGER: Address = Address::repeat_byte(0x57);

/// Seconds between blocks of the model.
pub(super) const BLOCK_TIME: u64 = 2;

/// Base fee when all is quiet.
pub(super) const QUIET_BASE_FEE: u128 = 1_000;

/// Gas of a call alone, with room: what budgets are reckoned with.
pub(super) const ALONE_GAS: u64 = 80_000;

/// What is offered per gas when all is quiet.
pub(super) const QUIET_PRICE: u128 = 2 * QUIET_BASE_FEE + 20;

/// An intent and what it is to lead to.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) id: IntentId,
    pub(super) item: Item,
    pub(super) max_cost: Option<U256>,
    pub(super) deadline: Option<UnixSeconds>,
    pub(super) repeat_safe: bool,
}

/// One run.
pub(super) struct World {
    pub(super) rng: fastrand::Rng,
    pub(super) shared: Shared,
    pub(super) processes: Vec<Process>,
    pub(super) wanted: Vec<Wanted>,
    pub(super) violations: Vec<Violation>,
    /// Unix milliseconds of everybody's clocks, but for the lane's skew.
    now: u64,
    skew: i64,
    is_plain: bool,
    /// Some intents are of a kind that every node refuses. Each holds the lane up for
    /// `void_after_blocks`, so not in every run.
    pub(super) refuses: bool,
    /// The only endpoint has said of a call that it reverts although it does not. The lane wants to
    /// hear it twice, and so it is said once.
    pub(super) has_lied: bool,
}

impl World {
    /// The world of a seed. In a plain one every intent is one that works, and the lane is as it is
    /// configured if nobody says otherwise.
    pub(super) fn new(seed: u64, with_trace: bool, is_plain: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let store = MemoryStore::new();
        let endpoints = rng.usize(1..=4);
        let mut model = Model::with_nodes(CHAIN, endpoints);
        model.legacy = rng.u8(..5) == 0;
        model.l1_fee = U256::from(if rng.bool() { 0 } else { rng.u64(..150_000_000) });
        model.final_depth = if rng.bool() { 66 } else { rng.u64(2..12) };
        model.capacity = *rng.choice(&[3, 8, 20, 200]).unwrap_or(&20);
        let finality =
            if rng.bool() { Finality::Depth(model.final_depth) } else { Finality::Finalized };
        let window = if is_plain { LaneConfig::default().window } else { rng.usize(1..=16) };
        let config = LaneConfig {
            finality,
            window,
            max_window: 64,
            batch: BatchPolicy {
                max_items: rng.usize(2..=20),
                max_age_seconds: rng.u64(..4),
                flush_worth: None,
            },
            ..LaneConfig::default()
        };
        let trace = with_trace.then(Vec::new);
        let (final_depth, legacy) = (model.final_depth, model.legacy);
        let net = Net {
            model,
            faults: vec![Faults::default(); endpoints],
            store: store.clone(),
            unstored: Vec::new(),
            sends: 0,
            trace,
        };
        let clock = Arc::new(ManualClock::new(UnixSeconds::default()));
        let shared = Shared {
            key: LaneKey { chain_id: CHAIN, sender: SENDER },
            config,
            store,
            net: Arc::new(Mutex::new(net)),
            clock,
            batches: rng.u8(..10) < 7,
        };
        let engines = if rng.bool() { 1 } else { 2 };
        let processes =
            (0..engines).map(|index| Process::new(index, &shared, engines == 1)).collect();
        let skew = rng.i64(-20..=20);
        let refuses = !is_plain && rng.u8(..6) == 0;
        let (wanted, violations) = (Vec::new(), Vec::new());
        let mut world = Self {
            rng,
            shared,
            processes,
            wanted,
            violations,
            now: 0,
            skew,
            is_plain,
            refuses,
            has_lied: false,
        };
        let (batches, window) = (world.shared.batches, world.shared.config.window);
        world.log(|| {
            format!(
                "{endpoints} endpoints, {engines} engines, {finality:?} of {final_depth}, \
                 legacy {legacy}, batches {batches}, window {window}"
            )
        });
        world.pass(0);
        world
    }

    pub(super) fn net(&self) -> MutexGuard<'_, Net> {
        self.shared.net.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log(&self, line: impl FnOnce() -> String) {
        self.net().log(line);
    }

    pub(super) fn violated(&mut self, violation: Violation) {
        self.log(|| format!("!!! {violation}"));
        if !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }

    pub(super) fn height(&self) -> u64 {
        self.net().model.head().number
    }

    /// True once in so many times.
    pub(super) fn one_in(&mut self, times: u32) -> bool {
        self.rng.u32(..times) == 0
    }

    /// Time goes on; it is never behind the chain's.
    pub(super) fn pass(&mut self, millis: u64) {
        let chain = self.net().model.head().timestamp.get().saturating_mul(1000);
        self.now = self.now.saturating_add(millis).max(chain);
        self.shared.store.set_now(self.now);
        self.net().model.now = self.now.checked_div(1000).unwrap_or(0);
        let seconds = self.now.checked_div(1000).unwrap_or(0).saturating_add_signed(self.skew);
        self.shared.clock.set(UnixSeconds::new(seconds).unwrap_or_default());
    }

    /// One more intent.
    pub(super) fn submit(&mut self) {
        let effect = EffectId::try_from(self.wanted.len()).unwrap_or(0);
        let head = self.net().model.head().timestamp;
        let kind = if self.rng.bool() { Kind::Once } else { Kind::Each };
        let (mut not_before, mut deadline) = (None, None);
        let fate = match self.rng.u8(..40) {
            _ if self.is_plain => Fate::Works,
            0 | 1 => Fate::Poison,
            2 => Fate::BatchPoison,
            3 if self.refuses => Fate::Refused,
            4 | 5 => {
                let time = head.plus(self.rng.u64(..40));
                not_before = Some(time);
                Fate::NotBefore(time.get())
            }
            // What may be sent again early may have its effect after it was given up, if a block of
            // before comes back.
            6 if kind == Kind::Each => {
                deadline = Some(head.plus(self.rng.u64(..60)));
                Fate::Works
            }
            _ => Fate::Works,
        };
        let item = Item { kind, effect, fate };
        let max_cost = (self.rng.u8(..4) == 0).then(|| {
            let gas = U256::from(ALONE_GAS).saturating_mul(U256::from(QUIET_PRICE));
            let times = U256::from(self.rng.u64(1..5));
            gas.saturating_add(self.net().model.l1_fee).saturating_mul(times)
        });
        let value = if self.rng.u8(..8) == 0 { U256::from(5) } else { U256::ZERO };
        let repeat_safe = kind == Kind::Once;
        let request = NewIntent {
            gas_limit: (self.rng.u8(..6) == 0).then_some(ALONE_GAS),
            max_cost,
            repeat_safe,
            not_before,
            deadline,
            ..NewIntent::new(format!("{effect}"), self.shared.key, CONTRACT, value, item.encode())
        };
        let stored =
            futures_util::FutureExt::now_or_never(self.shared.store.submit_intent(request));
        let Some(Ok(stored)) = stored else { return };
        self.log(|| format!("submit {} {item:?} max cost {max_cost:?}", stored.id()));
        self.wanted.push(Wanted { id: stored.id(), item, max_cost, deadline, repeat_safe });
    }

    /// A turn of a process.
    pub(super) fn turn(&mut self, index: usize) {
        let Some(process) = self.processes.get_mut(index) else { return };
        let turn = process.turn();
        self.log(|| format!("  engine {index}: {turn:?}"));
        if let Turn::Refused(error) = turn {
            self.violated(Violation::Store(error));
        }
        let unstored = core::mem::take(&mut self.net().unstored);
        for hash in unstored {
            self.violated(Violation::Unstored(hash));
        }
    }
}
