//! Blocks, accounts, receipts, calls: what every chain has.

use alloy_primitives::{U64, U256};
use capstan_base::{Address, B256, UnixSeconds};
use serde_json::{Value, json};

use crate::bindings::calls::Call;
use crate::client::ChainClient;
use crate::client::raw::{RawBlock, RawReceipt};
use crate::error::{ChainError, RpcError};
use crate::types::{BlockRef, BlockTag, Bytes, GasEstimate, Receipt};

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
    /// Time of the newest block: what contracts compare with.
    pub async fn head_time(&self) -> Result<UnixSeconds, ChainError> {
        Ok(self.head(BlockTag::Latest).await?.timestamp)
    }

    /// The block at a tag. `None` if the chain has none yet, as `safe` and `finalized` may be on a
    /// young chain, or if that number does not exist.
    pub async fn block(&self, at: BlockTag) -> Result<Option<BlockRef>, ChainError> {
        let block: Option<RawBlock> = self
            .pool
            .call("eth_getBlockByNumber", json!([tag(at), false]))
            .await
            .map_err(|error| self.failed("reading a block", error))?;
        Ok(block.map(Into::into))
    }

    /// The block at a tag, which has to exist.
    pub async fn head(&self, at: BlockTag) -> Result<BlockRef, ChainError> {
        let block = self.block(at).await?;
        block.ok_or_else(|| self.inconsistent("reading the head", "there is no such block"))
    }

    /// Hash of the canonical block of this height; `None` above the head. Compared with a receipt's
    /// block hash it tells whether the receipt still counts.
    pub async fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        Ok(self.block(BlockTag::Number(number)).await?.map(|block| block.hash))
    }

    /// Transactions of the account that are in blocks up to the tag: the next nonce to be mined.
    pub async fn account_nonce(&self, account: Address, at: BlockTag) -> Result<u64, ChainError> {
        let nonce: U64 = self
            .pool
            .call("eth_getTransactionCount", json!([account, tag(at)]))
            .await
            .map_err(|error| self.failed("reading a nonce", error))?;
        Ok(nonce.to())
    }

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
        let request = json!([{
            "from": from, "to": call.to, "value": call.value, "data": call.data,
        }]);
        match self.pool.call::<U64>("eth_estimateGas", request).await {
            Ok(gas) => Ok(GasEstimate::Gas(gas.to())),
            Err(RpcError::Refused { revert: Some(data), .. }) => Ok(GasEstimate::Revert(data)),
            Err(error) => Err(self.failed("estimating gas", error)),
        }
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

    /// The receipt of a transaction, if the asked endpoint knows one. `None` is never evidence that
    /// there is none.
    pub async fn receipt(&self, tx_hash: B256) -> Result<Option<Receipt>, ChainError> {
        let receipt: Option<RawReceipt> = self
            .pool
            .call("eth_getTransactionReceipt", json!([tx_hash]))
            .await
            .map_err(|error| self.failed("reading a receipt", error))?;
        Ok(receipt.and_then(RawReceipt::included))
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
