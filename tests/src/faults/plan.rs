//! What goes wrong in a run, and when: drawn from its seed alone.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::fault_proxy::{Fault, Rule};
use crate::settler::KillPoint;
use crate::world::{BASE_SEPOLIA, OPBNB_TESTNET};

/// Something done to the chain or to the settler's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// So many newest blocks are replaced by empty ones. anvil forgets their transactions.
    Reorg(u64),
    /// So many newest blocks vanish.
    Rollback(u64),
    /// The pool forgets the sender's transactions.
    DropPool,
    /// Each transaction gets a block at once, for so long.
    MineAtOnce(Duration),
    /// No block for so long.
    NoBlocks(Duration),
    /// Base fee of the next block, gwei; it sinks again by an eighth a block.
    BaseFee(u64),
    /// So many transactions of the sender by another program.
    Outsider(u64),
    /// The sender has no coins for so long.
    Poor(Duration),
    /// The database may not grow for so long.
    DiskFull(Duration),
    /// No file may grow for so long.
    FilesFull(Duration),
    /// The chain's clock jumps ahead, seconds.
    ClockAhead(u64),
    /// Another program with the sender's key closes this session, counted round.
    ClosedByAnotherProgram(usize),
    /// This session's renter asks for a close, and a stranger finishes it after the hour.
    ClosedByAStranger(usize),
}

/// How an incarnation of the settler ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// By itself, at a write; if it gets there.
    At(KillPoint),
    /// From outside, so long after its start.
    Within(Duration),
}

/// A time with rules for each endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// How long.
    pub lasts: Duration,
    /// One list for each endpoint.
    pub rules: Vec<Vec<Rule>>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// Chain id.
    pub chain_id: u64,
    /// Sessions to close.
    pub sessions: usize,
    /// Plain transfers, which nothing but the engine keeps from happening twice.
    pub transfers: usize,
    /// Jobs that nobody can do: by turns a close above its deposit, and coins for who takes none.
    pub poisons: usize,
    /// When each job is submitted, all kinds mixed, milliseconds; those without a time at once.
    pub submissions: Vec<u64>,
    /// Endpoints.
    pub endpoints: usize,
    /// Pool rules of geth and reth.
    pub strict: bool,
    /// The sender's account runs the code that makes batches (EIP-7702).
    pub delegated: bool,
    /// Time between blocks.
    pub block: Duration,
    /// Blocks on top of one that is final; no reorg is as deep.
    pub finality_depth: u64,
    /// Faults of the endpoints.
    pub phases: Vec<Phase>,
    /// Faults of the chain and the machine, by time.
    pub troubles: Vec<(Duration, Trouble)>,
    /// Ends of the settler, one after the other.
    pub deaths: Vec<Death>,
}

/// Reorgs of a run: deepest, and how many in ten runs have it.
const REORGS: [(u64, u32); 3] = [(8, 5), (32, 3), (64, 2)];

/// What an endpoint does to single requests while it is noisy.
const NOISE: [Fault; 26] = [
    Fault::DropBefore,
    Fault::DropAfter,
    Fault::DropAfter,
    Fault::Delay(Duration::from_millis(60)),
    Fault::Delay(Duration::from_millis(400)),
    Fault::Hang,
    Fault::TooManyRequests(1),
    Fault::Unavailable,
    Fault::Html,
    Fault::Truncated,
    Fault::BrokenOff,
    Fault::Stale(2),
    Fault::NoReceipt(3),
    Fault::Nonce(-2),
    Fault::Nonce(3),
    Fault::Underpriced,
    Fault::AlreadyKnown,
    Fault::AlreadyHad,
    Fault::PoolFull,
    Fault::InFlightLimit,
    Fault::ForeignId,
    Fault::NoId,
    Fault::Twice,
    Fault::Absent,
    Fault::Shuffled,
    Fault::WrongType,
];

/// What it does to all of them while it is out.
const OUTAGES: [Fault; 10] = [
    Fault::DropBefore,
    Fault::DropAfter,
    Fault::Hang,
    Fault::TooManyRequests(1),
    Fault::Unavailable,
    Fault::Html,
    Fault::Truncated,
    Fault::Stale(5),
    Fault::WrongChain(1),
    Fault::WrongType,
];

/// Lies for as long as the faults last: believed of one endpoint only while another contradicts.
const LIES: [[Rule; 2]; 4] = [
    [
        Rule::on("eth_getTransactionReceipt", Fault::NoReceipt(u32::MAX)),
        Rule::on("eth_getTransactionCount", Fault::Nonce(2)),
    ],
    [
        Rule::on("eth_sendRawTransaction", Fault::AlreadyKnown),
        Rule::on("eth_getTransactionReceipt", Fault::NoReceipt(u32::MAX)),
    ],
    [
        Rule::on("eth_getTransactionCount", Fault::Nonce(-3)),
        Rule::on("eth_sendRawTransaction", Fault::Underpriced),
    ],
    [Rule::all(Fault::Stale(20)), Rule::on("eth_sendRawTransaction", Fault::PoolFull)],
];

impl Plan {
    /// The run of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice(fastrand::Rng::with_seed(seed));
        let (sessions, transfers) = (dice.0.usize(8..=24), dice.0.usize(4..=12));
        let poisons = if dice.one_in(3) { dice.0.usize(1..=3) } else { 0 };
        let mut deepest = REORGS[0].0;
        let mut tenth = dice.0.u32(0..10);
        for (depth, share) in REORGS {
            deepest = depth;
            if tenth < share {
                break;
            }
            tenth -= share;
        }
        let endpoints = if dice.one_in(3) { 1 } else { 2 };
        let phases = dice.phases(endpoints);
        let faults: Duration = phases.iter().map(|phase| phase.lasts).sum();
        let millis = u64::try_from(faults.as_millis()).expect("a few seconds");
        let mut submissions: Vec<u64> =
            (0..sessions + transfers + poisons).map(|_| dice.0.u64(0..millis * 7 / 10)).collect();
        submissions.sort_unstable();
        let mut troubles: Vec<_> = (0..dice.0.usize(2..=6))
            .map(|_| (dice.millis(100..=millis), dice.trouble(deepest)))
            .collect();
        troubles.sort_unstable_by_key(|(at, _)| *at);
        // A second rollback could take what the first one's depth had made final.
        let mut is_first = true;
        troubles.retain(|(_, trouble)| {
            !matches!(trouble, Trouble::Rollback(_)) || std::mem::take(&mut is_first)
        });
        let deaths = (0..dice.0.usize(0..=4)).map(|_| dice.death(millis)).collect();
        let strict = !dice.one_in(4);
        Self {
            seed,
            chain_id: if dice.one_in(2) { BASE_SEPOLIA } else { OPBNB_TESTNET },
            sessions,
            transfers,
            poisons,
            submissions,
            endpoints,
            strict,
            delegated: strict && dice.one_in(8),
            block: dice.millis(60..=160),
            // A rollback and a reorg in its wake reach a quarter deeper than either.
            finality_depth: deepest + deepest / 4 + 2,
            phases,
            troubles,
            deaths,
        }
    }

    /// So many milliseconds in which endpoints do no harm, for what else goes wrong to happen in.
    pub fn quiet(millis: u64) -> Vec<Phase> {
        vec![Phase { lasts: Duration::from_millis(millis), rules: vec![Vec::new()] }]
    }

    /// A run in which nothing goes wrong, to add to.
    pub fn calm(seed: u64, sessions: usize, transfers: usize) -> Self {
        Self {
            seed,
            chain_id: BASE_SEPOLIA,
            sessions,
            transfers,
            poisons: 0,
            submissions: Vec::new(),
            endpoints: 1,
            strict: true,
            delegated: false,
            block: Duration::from_millis(80),
            finality_depth: 3,
            phases: Vec::new(),
            troubles: Vec::new(),
            deaths: Vec::new(),
        }
    }
}

/// Draws parts of a plan.
struct Dice(fastrand::Rng);

impl Dice {
    fn one_in(&mut self, sides: u32) -> bool {
        self.0.u32(0..sides) == 0
    }

    fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.0.u64(range))
    }

    fn phases(&mut self, endpoints: usize) -> Vec<Phase> {
        let count = self.0.usize(3..=5);
        // One endpoint that lies throughout is outvoted, two or a single one are not.
        let liar = (endpoints > 1 && self.one_in(5)).then(|| self.0.usize(0..endpoints));
        let lie = self.0.usize(0..LIES.len());
        (0..count)
            .map(|_| Phase {
                lasts: self.millis(300..=700),
                rules: (0..endpoints)
                    .map(
                        |endpoint| {
                            if liar == Some(endpoint) { LIES[lie].to_vec() } else { self.rules() }
                        },
                    )
                    .collect(),
            })
            .collect()
    }

    fn rules(&mut self) -> Vec<Rule> {
        match self.0.u32(0..8) {
            0 | 1 => Vec::new(),
            2 => vec![Rule::all(OUTAGES[self.0.usize(0..OUTAGES.len())])],
            _ => (0..self.0.usize(2..=6))
                .map(|_| {
                    let fault = NOISE[self.0.usize(0..NOISE.len())];
                    Rule::all(fault).chance(self.0.u32(20..=250))
                })
                .collect(),
        }
    }

    fn trouble(&mut self, deepest: u64) -> Trouble {
        match self.0.u32(0..17) {
            0..=3 => Trouble::Reorg(self.0.u64(1..=deepest)),
            4 => Trouble::Rollback(self.0.u64(1..=deepest / 4)),
            5 => Trouble::DropPool,
            6 => Trouble::MineAtOnce(self.millis(200..=800)),
            7 => Trouble::NoBlocks(self.millis(200..=800)),
            8 => Trouble::BaseFee(self.0.u64(2..=40)),
            9 => Trouble::Outsider(self.0.u64(1..=3)),
            10 => Trouble::Poor(self.millis(100..=600)),
            11 => Trouble::DiskFull(self.millis(100..=600)),
            12 => Trouble::FilesFull(self.millis(100..=600)),
            13 | 14 => Trouble::ClosedByAnotherProgram(self.0.usize(0..24)),
            15 => Trouble::ClosedByAStranger(self.0.usize(0..24)),
            _ => Trouble::ClockAhead(self.0.u64(60..=86_400)),
        }
    }

    fn death(&mut self, millis: u64) -> Death {
        match self.0.u32(0..5) {
            0 => Death::Within(self.millis(50..=millis / 2)),
            1 | 2 => Death::At(KillPoint::Before(self.0.u64(1..=80))),
            _ => Death::At(KillPoint::After(self.0.u64(1..=80))),
        }
    }
}
