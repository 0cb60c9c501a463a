//! What gas costs now.

use alloy_primitives::{Address, U128, U256, address};
use serde_json::json;

use crate::bindings::abi::GasPriceOracle;
use crate::client::ChainClient;
use crate::client::raw::RawFeeHistory;
use crate::error::{ChainError, RpcError};
use crate::fees::GasPrice;
use crate::registry::ChainKind;
use crate::types::BlockTag;

/// Predeploy of every OP-stack chain.
const GAS_PRICE_ORACLE: Address = address!("420000000000000000000000000000000000000F");

/// Tip where a chain suggests none: one wei is above "no tip", which some pools refuse.
const LEAST_PRIORITY: u128 = 1;

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

    /// Wei that an OP-stack chain may charge on top of gas for the data of a transaction of this
    /// many bytes, signature left out. Zero on other chains, and where the oracle is not deployed.
    pub async fn l1_fee_upper_bound(&self, unsigned_tx_size: usize) -> Result<U256, ChainError> {
        if self.config.kind != ChainKind::OpStack || self.code(GAS_PRICE_ORACLE).await?.is_empty() {
            return Ok(U256::ZERO);
        }
        let call =
            GasPriceOracle::getL1FeeUpperBoundCall { unsignedTxSize: U256::from(unsigned_tx_size) };
        self.view("reading the L1 fee", GAS_PRICE_ORACLE, call, BlockTag::Latest).await
    }
}
