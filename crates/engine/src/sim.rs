//! The simulator: the real lane against a chain and a store in memory, by a schedule from a seed.
//!
//! ```text
//!  seed ─► World: steps ──► Process: Worker::round, polled by hand ──► SimChain ─► Net: endpoints, faults
//!            │                 │ dies or stalls at any point                          │
//!            │                 └──────────────► MemoryStore                           └─► Model: blocks
//!            └─ check: doubles after each block, everything at the end
//! ```
//!
//! Nothing sleeps, no thread or clock of the machine is asked: the same seed is the same run. A
//! process passes a point before and after each question to the chain, each send and each write; at
//! any of them it may die, and lose all it had in memory, or stand still while another engine takes
//! its lane. When the faults end, every intent has to end as it should, in a bounded number of blocks.

mod batching;
mod chain;
mod check;
mod faults;
mod net;
mod process;
mod recovery;
mod report;
mod rules;
mod steps;
#[cfg(test)]
mod tests;
mod totals;
mod trace;
mod world;

pub use recovery::{Cause, recovery};
pub use report::{Outcome, Violation};
pub use totals::{Totals, caught};

use steps::Step;
use world::World;

/// Blocks after the last fault that are looked at one by one.
const WATCHED_BLOCKS: u64 = 40;

/// Looks after those, at most.
const LAST_LOOKS: u64 = 3_000;

/// Plays the run of a seed with at least so many intents.
pub fn run(seed: u64, intents: u64, with_trace: bool) -> Outcome {
    let mut world = World::new(seed, with_trace, false);
    let bag = steps::draw(&mut world);
    let wanted = |world: &World| u64::try_from(world.wanted.len()).unwrap_or(u64::MAX);
    let least = world.rng.u64(80..200);
    let mut steps = 0_u64;
    while steps < least || wanted(&world) < intents {
        let step = *world.rng.choice(&bag).unwrap_or(&Step::Turn);
        // Enough is enough.
        if step != Step::Submit || wanted(&world) < intents {
            world.step(step);
        }
        steps = steps.saturating_add(1);
        if steps > least && wanted(&world) < intents {
            world.step(Step::Submit);
        }
    }
    world.heal();
    let healed_at = world.height();
    world.log(|| format!("=== faults end at block {healed_at}"));
    let recovered_blocks = recover(&mut world);
    finish(&mut world);
    world.check_end();
    let ended_blocks = world.height().saturating_sub(healed_at);
    let intents = wanted(&world);
    let deaths = world.processes.iter().map(|process| u64::from(process.lives())).sum();
    let (sends, trace) = {
        let mut net = world.net();
        (net.sends, net.trace.take().unwrap_or_default())
    };
    let violations = core::mem::take(&mut world.violations);
    Outcome { seed, intents, violations, recovered_blocks, ended_blocks, deaths, sends, trace }
}

/// Two looks a block, as a lane has them, until its next transaction is in one.
fn recover(world: &mut World) -> Option<u64> {
    let nonce = |world: &World| world.net().model.account_nonce(world::SENDER);
    let (start, before) = (world.height(), nonce(world));
    let mut recovered = None;
    let mut needed = !world.refuses && world.has_ready_work();
    for _ in 0..WATCHED_BLOCKS {
        world.all_turn();
        world.pass(1_000);
        world.all_turn();
        let nodes: Vec<usize> = (0..world.net().faults.len()).collect();
        world.mine_from(&nodes, Vec::new());
        if needed && nonce(world) > before {
            needed = false;
            recovered = Some(world.height().saturating_sub(start));
        }
        if world.is_over() {
            break;
        }
    }
    if needed { Some(u64::MAX) } else { recovered }
}

/// Blocks until every intent is over, or nothing has changed for three times finality: by then
/// whatever waits for it has gone on.
fn finish(world: &mut World) {
    let nodes: Vec<usize> = (0..world.net().faults.len()).collect();
    let depth = world.net().model.final_depth;
    let blocks = depth.div_ceil(8).max(1);
    // Each voided nonce takes twelve blocks and finality.
    let patience = depth.saturating_mul(3).saturating_add(80);
    let (mut last, mut since) = (world.progress(), world.height());
    for _ in 0..LAST_LOOKS {
        if world.is_over() || world.height() > since.saturating_add(patience) {
            break;
        }
        world.all_turn();
        for _ in 0..blocks {
            world.mine_from(&nodes, Vec::new());
        }
        if world.progress() != last {
            (last, since) = (world.progress(), world.height());
        }
    }
}
