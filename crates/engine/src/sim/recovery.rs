//! How fast a lane comes back from what breaks the order of its nonces.

use super::recover;
use super::world::{SENDER, World};

/// What breaks the order of a lane's nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Endpoints said that more nonces are used than are, and the next intents went out behind a gap.
    Gap,
    /// Another program used the next nonce with the same key.
    ExternalUse,
    /// Every pool forgot what it held.
    DroppedPools,
    /// Blocks are gone, nobody kept their transactions, and the engine starts again from its store.
    CounterAhead,
}

impl Cause {
    /// Each of them.
    pub const ALL: [Self; 4] =
        [Self::Gap, Self::ExternalUse, Self::DroppedPools, Self::CounterAhead];
}

/// Blocks from the cause to the lane's next transaction in a block, in a world where nothing else
/// is wrong; zero if there was nothing to bring into one.
pub fn recovery(seed: u64, cause: Cause) -> u64 {
    let mut world = World::new(seed, false);
    world.refuses = false;
    world.heal();
    for _ in 0..6 {
        (0..3).for_each(|_| world.submit());
        next_block(&mut world);
    }
    (0..5).for_each(|_| world.submit());
    if cause == Cause::Gap {
        // What was sent before is in a block, so that the lie is about what comes next.
        (0..4).for_each(|_| next_block(&mut world));
        (0..5).for_each(|_| world.submit());
        world.net().faults.iter_mut().for_each(|faults| faults.high_nonces = 1);
    }
    world.all_turn();
    match cause {
        Cause::Gap => {}
        Cause::ExternalUse => {
            let foreign = world.net().model.foreign(SENDER, None);
            world.mine_from(&[], vec![foreign]);
        }
        Cause::DroppedPools => world.drop_pools(),
        Cause::CounterAhead => {
            world.drop_pools();
            let (height, depth) = (world.height(), world.net().model.final_depth.min(4));
            world.net().model.rewind(depth.saturating_sub(1));
            while world.height() <= height {
                world.mine_from(&[], Vec::new());
            }
            (0..world.processes.len()).for_each(|index| world.kill(index));
        }
    }
    world.heal();
    recover(&mut world).unwrap_or(0)
}

fn next_block(world: &mut World) {
    world.all_turn();
    let nodes: Vec<usize> = (0..world.net().faults.len()).collect();
    world.mine_from(&nodes, Vec::new());
}
