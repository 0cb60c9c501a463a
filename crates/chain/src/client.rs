//! Typed reads of one chain.

mod blocks;
mod contracts;
mod delegation;
mod effect;
mod fees;
mod history;
mod node;
mod nonce;
mod raw;
mod receipts;
mod session;
mod state;
mod verify;

use std::sync::Arc;

use capstan_base::{Address, ChainId};

use crate::error::{ChainError, RpcError};
use crate::registry::{ChainConfig, Contracts};
use crate::rpc::{PoolOptions, RpcPool, SendOutcome};
use crate::types::Bytes;

pub use delegation::Delegation;
pub use effect::Effect;

/// One chain, read through its endpoints. Clones share connections and health.
///
/// Every method asks the chain anew: nothing of its state is cached, and nothing is concluded from
/// an absence. Where endpoints differ, what does least harm counts; the methods say what that is.
#[derive(Clone, Debug)]
pub struct ChainClient {
    config: ChainConfig,
    pool: RpcPool,
    oracle: Arc<fees::Oracle>,
}

impl ChainClient {
    /// Does no IO; [`ChainClient::verify`] tells whether the chain is what the configuration says.
    pub fn connect(config: ChainConfig) -> Self {
        let options = PoolOptions::for_block_time(config.block_time);
        Self::with_options(config, options)
    }

    /// The same with times of one's own.
    pub fn with_options(config: ChainConfig, options: PoolOptions) -> Self {
        let pool = RpcPool::new(config.chain_id, &config.rpc_urls, options).of_chain(&config.name);
        Self { config, pool, oracle: Arc::default() }
    }

    /// Its configuration.
    pub fn config(&self) -> &ChainConfig {
        &self.config
    }

    /// Its id.
    pub fn chain_id(&self) -> ChainId {
        self.config.chain_id
    }

    /// Its endpoints, for calls that have no method here.
    pub fn pool(&self) -> &RpcPool {
        &self.pool
    }

    /// Our contracts on it.
    pub fn contracts(&self) -> Result<&Contracts, ChainError> {
        self.config.contracts.as_ref().ok_or_else(|| self.not_configured("JobMarketplace"))
    }

    /// The marketplace, which holds sessions and the ledger.
    pub fn marketplace(&self) -> Result<Address, ChainError> {
        self.contracts().map(|contracts| contracts.job_marketplace)
    }

    /// The node registry.
    pub fn node_registry(&self) -> Result<Address, ChainError> {
        self.contracts().map(|contracts| contracts.node_registry)
    }

    /// Broadcasts to every endpoint. Never an error: whatever came back is an outcome, and the
    /// receipt alone tells what became of the transaction.
    pub async fn send_raw(&self, raw: &Bytes) -> SendOutcome {
        self.pool.send_raw(raw).await
    }

    /// The same for many, in the order of their nonces: one outcome each.
    pub async fn send_raw_many(&self, raw: &[Bytes]) -> Vec<SendOutcome> {
        self.pool.send_raw_many(raw).await
    }

    fn not_configured(&self, contract: &'static str) -> ChainError {
        ChainError::ContractNotConfigured { chain: self.config.chain_id, contract }
    }

    /// Gives an RPC error its chain and operation; a revert becomes one in words.
    fn failed(&self, operation: &'static str, error: RpcError) -> ChainError {
        let chain = self.config.chain_id;
        match error {
            RpcError::Refused { revert: Some(data), .. } => {
                let reason = crate::bindings::decode_revert(&data);
                ChainError::Reverted { chain, operation, reason, data }
            }
            RpcError::WrongChain { endpoint, expected, found } => {
                ChainError::WrongChainId { endpoint, expected, found }
            }
            RpcError::NoEndpoint => ChainError::NoRpcEndpoint { chain },
            source => ChainError::Rpc { chain, operation, source },
        }
    }

    fn inconsistent(&self, operation: &'static str, detail: impl ToString) -> ChainError {
        let chain = self.config.chain_id;
        ChainError::Inconsistent { chain, operation, detail: detail.to_string() }
    }
}
