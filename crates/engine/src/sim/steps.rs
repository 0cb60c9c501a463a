//! What may happen at each step of a run while faults last.

use super::faults::{PriceLie, ReceiptLie, Refusal};
use super::world::{BLOCK_TIME, STRANGER, World};
use crate::fake::contracts::{Fate, Item, Kind};
use crate::fake::tx::FakeTx;

/// One kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Turn,
    Mine,
    Submit,
    Reorg,
    Evict,
    Foreign,
    Stranger,
    BaseFee,
    Answers,
    Lag,
    Crash,
    Stall,
    Resume,
    Takeover,
    Funds,
    Heal,
    Outage,
}

/// Each kind and how often it comes.
const STEPS: [(Step, u32); 17] = [
    (Step::Turn, 60),
    (Step::Mine, 30),
    (Step::Submit, 12),
    (Step::Reorg, 4),
    (Step::Evict, 5),
    (Step::Foreign, 3),
    (Step::Stranger, 2),
    (Step::BaseFee, 3),
    (Step::Answers, 12),
    (Step::Lag, 4),
    (Step::Crash, 8),
    (Step::Stall, 3),
    (Step::Resume, 3),
    (Step::Takeover, 3),
    (Step::Funds, 2),
    (Step::Heal, 3),
    (Step::Outage, 2),
];

/// The steps of one run: turns, blocks and intents always, of the rest about half, since faults
/// that come together hide each other.
pub(super) fn draw(world: &mut World) -> Vec<Step> {
    let mut bag = Vec::new();
    for (index, (step, weight)) in STEPS.into_iter().enumerate() {
        if index < 3 || world.rng.bool() {
            bag.extend((0..weight).map(|_| step));
        }
    }
    world.log(|| {
        let mut kinds = bag.clone();
        kinds.dedup();
        format!("steps {kinds:?}")
    });
    bag
}

impl World {
    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Turn => {
                let index = self.rng.usize(..self.processes.len());
                self.keep(index);
                self.turn(index);
                let millis = self.rng.u64(..1_000);
                self.pass(millis);
            }
            Step::Mine => {
                let count = if self.one_in(6) { self.rng.u64(2..8) } else { 1 };
                (0..count).for_each(|_| self.mine(Vec::new()));
            }
            Step::Submit => {
                let count = if self.one_in(4) { self.rng.u64(2..20) } else { 1 };
                (0..count).for_each(|_| self.submit());
            }
            Step::Reorg => self.reorg(),
            Step::Evict => self.evict(),
            Step::Foreign => {
                let foreign = self.foreign();
                self.log(|| "foreign transaction of the lane's key".to_owned());
                self.mine(vec![foreign]);
            }
            Step::Stranger => self.stranger(),
            Step::BaseFee => {
                let base_fee =
                    *self.rng.choice(&[200, 1_000, 2_500, 3_000, 9_000]).unwrap_or(&1_000);
                self.log(|| format!("base fee {base_fee}"));
                self.net().model.base_fee = base_fee;
            }
            Step::Answers => self.wrong_answers(),
            Step::Lag => self.lag(),
            Step::Crash => {
                let (index, points) = (self.rng.usize(..self.processes.len()), self.rng.u64(..60));
                self.log(|| format!("engine {index} dies after {points} points"));
                if let Some(process) = self.processes.get_mut(index) {
                    process.power.cut_after(points);
                }
            }
            Step::Stall => {
                let (index, points) = (self.rng.usize(..self.processes.len()), self.rng.u64(..60));
                self.log(|| format!("engine {index} stalls after {points} points"));
                if let Some(process) = self.processes.get_mut(index) {
                    process.power.stall_after(points);
                }
            }
            Step::Resume => self.processes.iter().for_each(|process| process.power.resume()),
            Step::Takeover => {
                self.log(|| "leases end".to_owned());
                self.pass(4_000);
                // Whoever led does not know yet.
                let index = self.rng.usize(..self.processes.len());
                self.turn(index);
            }
            Step::Funds => {
                let wei = self.rng.u128(..2_000_000_000);
                let spent = self.net().model.canonical().account(super::world::SENDER).spent;
                let funds = spent.saturating_add(capstan_base::U256::from(wei));
                self.log(|| format!("the account has {wei} wei"));
                self.net().model.balances.insert(super::world::SENDER, funds);
            }
            Step::Heal => self.heal_answers(),
            // No block for minutes.
            Step::Outage => {
                let index = self.rng.usize(..self.processes.len());
                self.log(|| "the chain makes no blocks".to_owned());
                for _ in 0..8 {
                    self.pass(60_000);
                    self.keep(index);
                    self.turn(index);
                }
            }
        }
    }

    /// What the lane's task does besides: it prolongs its lease.
    pub(super) fn keep(&mut self, index: usize) {
        let skips = self.one_in(8);
        if let Some(process) = self.processes.get_mut(index).filter(|_| !skips) {
            process.renew();
        }
    }

    /// A block of what some endpoints have.
    pub(super) fn mine(&mut self, forced: Vec<FakeTx>) {
        let count = self.net().faults.len();
        let first = self.rng.usize(..count);
        let all = self.rng.bool();
        let nodes: Vec<usize> = (0..count).filter(|index| all || *index == first).collect();
        self.mine_from(&nodes, forced);
    }

    pub(super) fn mine_from(&mut self, nodes: &[usize], forced: Vec<FakeTx>) {
        {
            let mut net = self.net();
            net.model.mine_from(nodes, forced);
            let head = net.model.head();
            let (height, hash) = (head.number, super::trace::short(head.hash));
            if net.trace.is_some() {
                let block = net.model.canonical().block(height);
                let txs: Vec<String> = block
                    .iter()
                    .flat_map(|block| &block.txs)
                    .map(|tx| {
                        let hash = super::trace::short(tx.hash);
                        let by = if tx.sender == STRANGER { "stranger " } else { "" };
                        format!("{by}{hash}#{} {} {:?}", tx.nonce, tx.success, tx.effects)
                    })
                    .collect();
                net.log(|| format!("block {height} {hash}: {}", txs.join(", ")));
            }
        }
        self.pass(BLOCK_TIME.saturating_mul(1_000));
        self.check_doubles();
    }

    fn reorg(&mut self) {
        let (height, is_final) = {
            let net = self.net();
            (net.model.head().number, net.model.final_height())
        };
        let deepest = height.saturating_sub(is_final.unwrap_or(0)).saturating_sub(1).min(64);
        if deepest == 0 {
            return;
        }
        let most = if self.one_in(3) { deepest } else { deepest.min(4) };
        let depth = self.rng.u64(1..=most);
        let mode = self.rng.u8(..4);
        self.log(|| format!("reorg of {depth} blocks, mode {mode}"));
        if self.one_in(3) {
            // It stays on the branch that loses, with all its receipts.
            let count = self.net().faults.len();
            let index = self.rng.usize(..count);
            self.log(|| format!("endpoint {index} hears of no block any more"));
            if let Some(node) = self.net().model.nodes.get_mut(index) {
                node.frozen = true;
            }
        }
        let gone = self.net().model.rewind(depth);
        if mode == 1 {
            let foreign = self.foreign();
            self.mine_quietly(vec![foreign]);
        }
        for mined in gone {
            let returns = match mode {
                0 => true,
                2 => false,
                _ => self.rng.bool(),
            };
            if returns {
                self.net().model.put_back(mined);
            }
        }
        while self.height() <= height {
            self.mine_quietly(Vec::new());
        }
        self.pass(0);
        self.check_doubles();
    }

    /// As [`World::mine`], in no time: the blocks of a branch that wins come all at once.
    fn mine_quietly(&mut self, forced: Vec<FakeTx>) {
        let count = self.net().faults.len();
        let first = self.rng.usize(..count);
        let empty = self.rng.bool();
        let nodes: Vec<usize> = if empty { Vec::new() } else { vec![first] };
        let mut net = self.net();
        net.model.mine_from(&nodes, forced);
        let head = net.model.head();
        if net.trace.is_some() {
            let block = net.model.canonical().block(head.number);
            let txs: Vec<String> = block
                .iter()
                .flat_map(|block| &block.txs)
                .map(|tx| format!("{}#{}", super::trace::short(tx.hash), tx.nonce))
                .collect();
            net.log(|| format!("  block {} {}", head.number, txs.join(", ")));
        }
    }

    fn evict(&mut self) {
        let count = self.net().faults.len();
        let (how, index) = (self.rng.u8(..4), self.rng.usize(..64));
        let only = self.rng.usize(..count);
        self.log(|| format!("evict, mode {how}"));
        let mut net = self.net();
        for (place, node) in net.model.nodes.iter_mut().enumerate() {
            match how {
                0 => node.pool.clear(),
                1 if place == only => node.pool.clear(),
                2 => node.pool.evict(index),
                3 if place == only => node.pool.evict(index),
                _ => {}
            }
        }
    }

    /// Something the lane's key signed elsewhere, now and then what the lane itself wants.
    fn foreign(&mut self) -> FakeTx {
        let item = if self.one_in(3) { self.open_session() } else { None };
        self.net().model.foreign(super::world::SENDER, item)
    }

    fn open_session(&mut self) -> Option<Item> {
        let closes = |item: &Item| item.kind == Kind::Once && item.fate == Fate::Works;
        let sessions: Vec<Item> =
            self.wanted.iter().map(|wanted| wanted.item).filter(closes).collect();
        self.rng.choice(sessions)
    }

    fn stranger(&mut self) {
        if let Some(item) = self.open_session() {
            self.log(|| format!("a stranger closes {}", item.effect));
            let tx = self.net().model.foreign(STRANGER, Some(item));
            self.mine(vec![tx]);
        }
    }

    fn wrong_answers(&mut self) {
        let count = self.net().faults.len();
        let (index, kind, times) = (self.rng.usize(..count), self.rng.u8(..16), self.rng.u32(1..4));
        let refusal = *self.rng.choice(&Refusal::ALL).unwrap_or(&Refusal::Underpriced);
        let lie = if self.rng.bool() { PriceLie::High } else { PriceLie::Low };
        let receipt_lie = *self.rng.choice(&ReceiptLie::ALL).unwrap_or(&ReceiptLie::Status);
        let errors = self.rng.u32(1..30);
        let nulls = self.rng.u32(1..40);
        if kind == 11 && count == 1 && core::mem::replace(&mut self.has_lied, true) {
            return;
        }
        self.log(|| {
            format!("endpoint {index}: fault {kind} {times} {refusal:?} {lie:?} {receipt_lie:?}")
        });
        let everywhere = self.rng.bool();
        let mut net = self.net();
        if kind == 6 && everywhere {
            // The lower of two is believed: one liar alone does little.
            net.faults.iter_mut().for_each(|faults| faults.high_nonces = times);
        }
        if kind == 11 || kind >= 13 {
            // Two that say the same are believed: there is one liar at a time.
            for faults in &mut net.faults {
                (faults.receipt_lies.0, faults.effect_lies, faults.false_reverts) = (0, 0, 0);
            }
        }
        let Some(faults) = net.faults.get_mut(index) else { return };
        match kind {
            0 => faults.errors = errors,
            1 => faults.lose_sends = times.saturating_mul(4),
            2 => faults.lose_replies = times.saturating_mul(4),
            3 | 4 => faults.null_receipts = nulls,
            5 => faults.stale_nonces = times,
            6 => faults.high_nonces = times,
            7 => faults.wrong_chain = errors,
            8 => faults.wrong_hashes = times,
            // Whoever says for long that it is not valid has a true reason to see it given up.
            9 if refusal == Refusal::Rejected => faults.refusals = (1, refusal),
            9 => faults.refusals = (times.saturating_mul(2), refusal),
            10 => faults.price_lies = (times, lie),
            11 => faults.false_reverts = if count == 1 { 1 } else { nulls },
            12 => faults.hidden_uses = times,
            15 => faults.effect_lies = nulls,
            _ => faults.receipt_lies = (nulls, receipt_lie),
        }
    }

    fn lag(&mut self) {
        let count = self.net().faults.len();
        let (index, lag, frozen) =
            (self.rng.usize(..count), self.rng.usize(..6), self.rng.u8(..3) == 0);
        self.log(|| format!("endpoint {index}: {lag} blocks behind, frozen {frozen}"));
        let mut net = self.net();
        if let Some(node) = net.model.nodes.get_mut(index) {
            (node.lag, node.frozen) = (lag, frozen);
        }
        net.model.sync();
    }

    /// Every endpoint tells the truth again.
    pub(super) fn heal_answers(&mut self) {
        self.log(|| "endpoints heal".to_owned());
        let mut net = self.net();
        net.faults.iter_mut().for_each(|faults| *faults = Default::default());
        for node in &mut net.model.nodes {
            (node.lag, node.frozen) = (0, false);
        }
        net.model.sync();
    }

    /// No fault of any kind from here on.
    pub(super) fn heal(&mut self) {
        self.heal_answers();
        {
            let mut net = self.net();
            net.model.base_fee = super::world::QUIET_BASE_FEE;
            net.model.balances.clear();
            net.model.capacity = net.model.capacity.max(20);
        }
        for process in &mut self.processes {
            if process.power.is_off() {
                process.kill();
            }
            process.power.resume();
        }
        // The lease of whoever died.
        self.pass(4_000);
    }

    /// Every pool forgets everything.
    pub(super) fn drop_pools(&self) {
        self.net().model.nodes.iter_mut().for_each(|node| node.pool.clear());
    }

    /// A process dies between two rounds.
    pub(super) fn kill(&mut self, index: usize) {
        if let Some(process) = self.processes.get_mut(index) {
            process.kill();
        }
    }

    /// A turn of everyone.
    pub(super) fn all_turn(&mut self) {
        for index in 0..self.processes.len() {
            if let Some(process) = self.processes.get_mut(index) {
                process.renew();
            }
            self.turn(index);
        }
    }
}
