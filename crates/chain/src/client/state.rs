//! Accounts and calls: what every chain has.

use alloy_primitives::{U64, U256};
use capstan_base::{Address, B256};
use serde_json::{Value, json};

use crate::bindings::calls::Call;
use crate::client::ChainClient;
use crate::error::{ChainError, RpcError};
use crate::rpc::Ran;
use crate::types::{BlockTag, Bytes, GasEstimate};

const ESTIMATE: &str = "eth_estimateGas";

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

    /// The same for many calls at once, each as if it were the next of the newest block: one result per
    /// call, in their order. Not of the pending block, which some nodes take if none is named: they make
    /// it anew for each question, of everything that waits. That a call would revert is what two endpoints say, as with
    /// [`ChainClient::receipts`], since an intent may be given up for it; gas is one's word.
    pub async fn estimate_many(
        &self,
        from: Address,
        calls: &[Call],
    ) -> Vec<Result<GasEstimate, ChainError>> {
        let request = |call: &Call| json!([{ "from": from, "to": call.to, "value": call.value, "data": call.data }, "latest"]);
        let params: Vec<_> = calls.iter().map(request).collect();
        let mut estimates = self.pool.call_many::<U64>(ESTIMATE, params.clone()).await;
        if !self.pool.is_single() {
            self.confirm_reverts(params, &mut estimates).await;
        }
        let estimate = |estimate: Result<U64, RpcError>| match estimate {
            Ok(gas) => Ok(GasEstimate::Gas(gas.to())),
            Err(RpcError::Refused { revert: Some(data), .. }) => Ok(GasEstimate::Revert(data)),
            Err(error) => Err(self.failed("estimating gas", error)),
        };
        estimates.into_iter().map(estimate).collect()
    }

    /// Asks two endpoints for each estimate that is a revert.
    async fn confirm_reverts(&self, params: Vec<Value>, estimates: &mut [Result<U64, RpcError>]) {
        let is_revert = |estimate: &Result<U64, RpcError>| {
            matches!(estimate, Err(RpcError::Refused { revert: Some(_), .. }))
        };
        let reverted: Vec<Value> = params
            .into_iter()
            .zip(estimates.iter())
            .filter(|(_, estimate)| is_revert(estimate))
            .map(|(params, _)| params)
            .collect();
        if reverted.is_empty() {
            return;
        }
        let alike = |a: &Ran<U64>, b: &Ran<U64>| {
            matches!((a, b), (Ran::Result(_), Ran::Result(_)) | (Ran::Revert(_), Ran::Revert(_)))
        };
        let said = self.pool.run_many(ESTIMATE, reverted, alike).await;
        let in_doubt = estimates.iter_mut().filter(|estimate| is_revert(estimate));
        for (estimate, said) in in_doubt.zip(said) {
            match said {
                Ok(Ran::Result(gas)) => *estimate = Ok(gas),
                Ok(Ran::Revert(_)) => {}
                Err(error) => *estimate = Err(error),
            }
        }
    }

    /// Gas that creating a contract with this code would need.
    pub async fn estimate_creation(&self, from: Address, code: &Bytes) -> Result<u64, ChainError> {
        let gas: U64 = self
            .pool
            .call(ESTIMATE, json!([{ "from": from, "data": code }, "latest"]))
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

    /// The same, as two endpoints answer it, as with [`ChainClient::receipts`].
    pub(super) async fn agreed_call(
        &self,
        to: Address,
        data: Bytes,
        at: BlockTag,
    ) -> Result<Bytes, ChainError> {
        const OPERATION: &str = "calling a contract";
        let params = vec![json!([{ "to": to, "data": data }, tag(at)])];
        let ran = self.pool.run_many::<Bytes>("eth_call", params, PartialEq::eq).await.pop();
        match ran.unwrap_or(Err(RpcError::NoEndpoint)) {
            Ok(Ran::Result(answer)) => Ok(answer),
            Ok(Ran::Revert(data)) => {
                let reason = crate::bindings::decode_revert(&data);
                let chain = self.config.chain_id;
                Err(ChainError::Reverted { chain, operation: OPERATION, reason, data })
            }
            Err(error) => Err(self.failed(OPERATION, error)),
        }
    }
}
