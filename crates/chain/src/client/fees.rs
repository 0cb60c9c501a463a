//! What gas costs now.

use core::time::Duration;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, U128, U256, address};
use alloy_sol_types::sol;
use serde_json::json;
use tokio::time::Instant;

use crate::bindings::abi::GasPriceOracle;
use crate::client::ChainClient;
use crate::client::raw::RawFeeHistory;
use crate::error::{ChainError, RpcError};
use crate::fees::GasPrice;
use crate::registry::ChainKind;
use crate::types::BlockTag;

sol! {
    /// What Isthmus added: https://specs.optimism.io/protocol/isthmus/predeploys.html
    interface Isthmus {
        function getOperatorFee(uint256 gasUsed) external view returns (uint256);
    }
}

/// Predeploy of every OP-stack chain.
const GAS_PRICE_ORACLE: Address = address!("420000000000000000000000000000000000000F");

/// Tip where a chain suggests none: one wei is above "no tip", which some pools refuse.
const LEAST_PRIORITY: u128 = 1;

/// An oracle may be upgraded under a running process; a chain does that once in months.
const ASK_AGAIN: Duration = Duration::from_secs(3_600);

impl ChainClient {
    /// What gas costs now, with the chain's gas multiplier in it: EIP-1559 where blocks have a base
    /// fee, else legacy.
    pub async fn gas_price(&self) -> Result<GasPrice, ChainError> {
        let multiplier = self.config.gas_multiplier;
        match self.head(BlockTag::Latest).await?.base_fee {
            Some(base_fee) => {
                let priority = self.priority_fee().await?.max(LEAST_PRIORITY);
                let (base, priority) = (multiplier.apply(base_fee), multiplier.apply(priority));
                Ok(GasPrice::Eip1559 { base, priority })
            }
            None => {
                let price: U128 = self
                    .pool
                    .call("eth_gasPrice", json!([]))
                    .await
                    .map_err(|error| self.failed("reading the gas price", error))?;
                Ok(GasPrice::Legacy { gas_price: multiplier.apply(price.to()) })
            }
        }
    }

    /// The endpoint's suggestion, or the median tip of the last blocks where it has none.
    async fn priority_fee(&self) -> Result<u128, ChainError> {
        match self.pool.call::<U128>("eth_maxPriorityFeePerGas", json!([])).await {
            Ok(fee) => return Ok(fee.to()),
            // An error object: the method may be missing. A dead endpoint is no reason to ask more.
            Err(RpcError::Refused { .. }) => {}
            Err(error) => return Err(self.failed("reading the priority fee", error)),
        }
        let history: RawFeeHistory = self
            .pool
            .call("eth_feeHistory", json!(["0x5", "latest", [50]]))
            .await
            .map_err(|error| self.failed("reading the fee history", error))?;
        let rewards = history.reward.unwrap_or_default();
        let mut tips: Vec<u128> =
            rewards.iter().filter_map(|block| block.first()).map(|tip| tip.to()).collect();
        tips.sort_unstable();
        Ok(tips.get(tips.len() / 2).copied().unwrap_or(0))
    }

    /// Wei that a rollup may charge on top of gas for a transaction of this many bytes, signature left
    /// out, and this gas limit: for its data on the L1 and, since Isthmus, for the operator. No field
    /// of the transaction bounds it. Zero on other chains, and where the oracle is not deployed.
    pub async fn rollup_fee_upper_bound(
        &self,
        unsigned_tx_size: usize,
        gas_limit: u64,
    ) -> Result<U256, ChainError> {
        let l1 = self.l1_fee_upper_bound(unsigned_tx_size).await?;
        Ok(l1.saturating_add(self.operator_fee(gas_limit).await?))
    }

    /// The part of it for data on the L1.
    pub async fn l1_fee_upper_bound(&self, unsigned_tx_size: usize) -> Result<U256, ChainError> {
        if !self.has_oracle().await? {
            return Ok(U256::ZERO);
        }
        let call =
            GasPriceOracle::getL1FeeUpperBoundCall { unsignedTxSize: U256::from(unsigned_tx_size) };
        self.view("reading the L1 fee", GAS_PRICE_ORACLE, call, BlockTag::Latest).await
    }

    /// The part of it for the operator. An oracle from before Isthmus has no such function.
    async fn operator_fee(&self, gas_limit: u64) -> Result<U256, ChainError> {
        if !self.has_oracle().await? || self.oracle.is_old() {
            return Ok(U256::ZERO);
        }
        let call = Isthmus::getOperatorFeeCall { gasUsed: U256::from(gas_limit) };
        let fee = self.view("reading the operator fee", GAS_PRICE_ORACLE, call, BlockTag::Latest);
        match fee.await {
            Err(ChainError::Reverted { .. }) => {
                self.oracle.found_old();
                Ok(U256::ZERO)
            }
            fee => fee,
        }
    }

    async fn has_oracle(&self) -> Result<bool, ChainError> {
        if self.config.kind != ChainKind::OpStack {
            return Ok(false);
        }
        if !self.oracle.deployed.load(Ordering::Relaxed) {
            // A predeploy does not go away, but an endpoint may be wrong in not having it.
            let is_deployed = !self.code(GAS_PRICE_ORACLE).await?.is_empty();
            self.oracle.deployed.store(is_deployed, Ordering::Relaxed);
        }
        Ok(self.oracle.deployed.load(Ordering::Relaxed))
    }
}

/// What is known of the chain's fee oracle.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    deployed: AtomicBool,
    /// When it was found to lack the operator fee.
    old: Mutex<Option<Instant>>,
}

impl Oracle {
    fn is_old(&self) -> bool {
        let old = *self.old.lock().unwrap_or_else(PoisonError::into_inner);
        old.is_some_and(|found| found.elapsed() < ASK_AGAIN)
    }

    fn found_old(&self) {
        *self.old.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}
