//! Accounts and calls: what every chain has.

use alloy_primitives::{U64, U256};
use capstan_base::{Address, B256};
use serde_json::{Value, json};

use crate::bindings::calls::Call;
use crate::client::ChainClient;
use crate::error::{ChainError, RpcError};
use crate::types::{BlockTag, Bytes, GasEstimate};

/// The JSON-RPC form of a tag.
pub(super) fn tag(tag: BlockTag) -> Value {
    match tag {
        BlockTag::Latest => json!("latest"),
        BlockTag::Safe => json!("safe"),
        BlockTag::Finalized => json!("finalized"),
        BlockTag::Number(number) => json!(U64::from(number)),
    }
}

impl ChainClient {
    /// Native balance, wei.
    pub async fn balance(&self, account: Address) -> Result<U256, ChainError> {
        self.pool
            .call("eth_getBalance", json!([account, "latest"]))
            .await
            .map_err(|error| self.failed("reading a balance", error))
    }

    /// Code at an address; empty if there is none.
    pub async fn code(&self, address: Address) -> Result<Bytes, ChainError> {
        self.pool
            .call("eth_getCode", json!([address, "latest"]))
            .await
            .map_err(|error| self.failed("reading code", error))
    }

    /// Gas the call would need now, without a margin, or what it would revert with.
    pub async fn estimate_gas(
        &self,
        from: Address,
        call: &Call,
    ) -> Result<GasEstimate, ChainError> {
        let mut estimates = self.estimate_many(from, core::slice::from_ref(call)).await;
        estimates.pop().unwrap_or_else(|| {
            Err(self.inconsistent("estimating gas", "one was asked for and none came"))
        })
    }

    /// The same for many calls at once, each as if it were the next: one result per call, in their
    /// order.
    pub async fn estimate_many(
        &self,
        from: Address,
        calls: &[Call],
    ) -> Vec<Result<GasEstimate, ChainError>> {
        let request = |call: &Call| json!([{ "from": from, "to": call.to, "value": call.value, "data": call.data }]);
        let params = calls.iter().map(request).collect();
        let estimates = self.pool.call_many::<U64>("eth_estimateGas", params).await;
        let estimate = |estimate: Result<U64, RpcError>| match estimate {
            Ok(gas) => Ok(GasEstimate::Gas(gas.to())),
            Err(RpcError::Refused { revert: Some(data), .. }) => Ok(GasEstimate::Revert(data)),
            Err(error) => Err(self.failed("estimating gas", error)),
        };
        estimates.into_iter().map(estimate).collect()
    }

    /// Gas that creating a contract with this code would need.
    pub async fn estimate_creation(&self, from: Address, code: &Bytes) -> Result<u64, ChainError> {
        let gas: U64 = self
            .pool
            .call("eth_estimateGas", json!([{ "from": from, "data": code }]))
            .await
            .map_err(|error| self.failed("estimating gas", error))?;
        Ok(gas.to())
    }

    /// True if the asked endpoint knows the transaction, in its pool or in a block.
    pub async fn knows_transaction(&self, tx_hash: B256) -> Result<bool, ChainError> {
        let found: Option<serde_json::Map<String, Value>> = self
            .pool
            .call("eth_getTransactionByHash", json!([tx_hash]))
            .await
            .map_err(|error| self.failed("looking a transaction up", error))?;
        Ok(found.is_some())
    }

    /// `eth_call` against the state at a tag.
    pub async fn call(&self, to: Address, data: Bytes, at: BlockTag) -> Result<Bytes, ChainError> {
        self.pool
            .call("eth_call", json!([{ "to": to, "data": data }, tag(at)]))
            .await
            .map_err(|error| self.failed("calling a contract", error))
    }
}
