//! What an operator may set.

use std::collections::HashMap;
use std::time::Duration;

use capstan_base::{ChainId, U256};
use capstan_chain::registry::DEFAULT_MAX_FEE;
use capstan_chain::{ChainConfig, Finality};

/// A lane looks twice per block, and no more often than this however fast the blocks.
const FASTEST_POLL: Duration = Duration::from_millis(100);

/// Gas of an empty transaction to oneself: a bare transfer's, with room for code an account may have
/// been given (EIP-7702). What is not used is not paid.
pub(crate) const TRANSFER_GAS: u64 = 50_000;

/// Largest calldata: pools refuse a transaction above 128 KiB, and the envelope takes some of it.
pub(crate) const MAX_DATA: usize = 127 * 1024;

/// When intents that can share a transaction go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPolicy {
    /// Most intents in one transaction; 1 turns sharing off.
    pub max_items: usize,
    /// Seconds after which an intent waits for no more company. While nothing of the lane is on its
    /// way none waits at all.
    pub max_age_seconds: u64,
    /// Wei of worth that is enough to go at once.
    pub flush_worth: Option<U256>,
}

impl Default for BatchPolicy {
    fn default() -> Self {
        // Beyond fifty the gas of each falls by little, and one revert costs more.
        Self { max_items: 50, max_age_seconds: 2, flush_worth: None }
    }
}

/// How one lane behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneConfig {
    /// When a block counts as final.
    pub finality: Finality,
    /// Time between looks at the chain while there is work. About half a block.
    pub poll_interval: Duration,
    /// Time between looks at the outbox while there is none; a notification comes sooner.
    pub idle_interval: Duration,
    /// Attempts that wait for inclusion at once, to begin with: it adapts to what pools take.
    pub window: usize,
    /// Most it ever grows to.
    pub max_window: usize,
    /// When intents share a transaction.
    pub batch: BatchPolicy,
    /// An intent whose worth is known goes once that is at least so many percent of its share of
    /// the cost.
    pub worth_percent: u64,
    /// Most gas of a transaction that carries several intents.
    pub max_gas: u64,
    /// Blocks after which a transaction that every node refuses is replaced by an empty one, if it
    /// holds up the lane.
    pub void_after_blocks: u64,
    /// Blocks without inclusion after which an attempt is replaced with higher fees.
    pub replace_after_blocks: u64,
    /// Blocks after which the same bytes are sent again, in case a pool dropped them.
    pub rebroadcast_after_blocks: u64,
    /// Percent added to an estimate of gas.
    pub gas_margin_percent: u64,
    /// Gas added to an estimate at least.
    pub gas_margin_least: u64,
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
            // A second's worth of the fastest chain; no pool is known to give one sender more.
            max_window: 1024,
            batch: BatchPolicy::default(),
            worth_percent: 100,
            // EIP-7825's cap on one transaction.
            max_gas: 1 << 24,
            void_after_blocks: 12,
            replace_after_blocks: 3,
            rebroadcast_after_blocks: 2,
            // Covers state that other transactions of the same block warm or change.
            gas_margin_percent: 20,
            // A slot that was set when the estimate was made may be new when it counts, because what
            // set it was reorganised away: 20,000 and what goes with it. Unused gas is not paid.
            gas_margin_least: 30_000,
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
    /// Finality, pace and batches as each chain's configuration says.
    pub fn for_chains<'a>(chains: impl Iterator<Item = &'a ChainConfig>) -> Self {
        let lane = |chain: &ChainConfig| LaneConfig {
            finality: chain.finality,
            max_fee: chain.max_fee,
            worth_percent: chain.settlement.worth_percent,
            batch: BatchPolicy {
                max_items: chain.settlement.batch_max,
                max_age_seconds: chain.settlement.batch_wait,
                flush_worth: chain.settlement.batch_worth,
            },
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

#[cfg(test)]
mod tests;
