//! What an operator may set.

use std::collections::HashMap;
use std::time::Duration;

use capstan_base::ChainId;
use capstan_chain::registry::DEFAULT_MAX_FEE;
use capstan_chain::{ChainConfig, Finality};

/// A lane looks twice per block, and no more often than this however fast the blocks.
const FASTEST_POLL: Duration = Duration::from_millis(100);

/// How one lane behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneConfig {
    /// When a block counts as final.
    pub finality: Finality,
    /// Time between looks at the chain while there is work. About half a block.
    pub poll_interval: Duration,
    /// Time between looks at the outbox while there is none; a notification comes sooner.
    pub idle_interval: Duration,
    /// Most attempts waiting for inclusion at once.
    pub window: usize,
    /// Blocks without inclusion after which an attempt is replaced with higher fees.
    pub replace_after_blocks: u64,
    /// Blocks after which the same bytes are sent again, in case a pool dropped them.
    pub rebroadcast_after_blocks: u64,
    /// Percent added to an estimate of gas.
    pub gas_margin_percent: u64,
    /// Most wei per gas that is ever offered, whatever the chain's endpoints suggest.
    pub max_fee: u128,
    /// No replacement once the fee is this many times what the chain asks: more cannot help.
    pub max_fee_multiple: u128,
}

impl Default for LaneConfig {
    fn default() -> Self {
        Self {
            finality: Finality::Safe,
            poll_interval: Duration::from_secs(1),
            idle_interval: Duration::from_secs(5),
            // The guaranteed slots of one sender in the pools of geth and reth.
            window: 16,
            replace_after_blocks: 3,
            rebroadcast_after_blocks: 2,
            // Covers state that other transactions of the same block warm or change.
            gas_margin_percent: 20,
            max_fee: DEFAULT_MAX_FEE,
            max_fee_multiple: 4,
        }
    }
}

/// How all lanes behave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineConfig {
    /// For every chain not named below.
    pub default: LaneConfig,
    /// For single chains.
    pub chains: HashMap<ChainId, LaneConfig>,
}

impl EngineConfig {
    /// Finality and pace as each chain's configuration says.
    pub fn for_chains<'a>(chains: impl Iterator<Item = &'a ChainConfig>) -> Self {
        let lane = |chain: &ChainConfig| LaneConfig {
            finality: chain.finality,
            max_fee: chain.max_fee,
            poll_interval: chain.block_time.checked_div(2).unwrap_or_default().max(FASTEST_POLL),
            ..LaneConfig::default()
        };
        Self {
            default: LaneConfig::default(),
            chains: chains.map(|chain| (chain.chain_id, lane(chain))).collect(),
        }
    }

    /// What applies to a chain.
    pub fn lane(&self, chain_id: ChainId) -> &LaneConfig {
        self.chains.get(&chain_id).unwrap_or(&self.default)
    }
}
