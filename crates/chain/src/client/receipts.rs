//! Receipts: there when two endpoints show the same, not there when two endpoints say so.

use alloy_primitives::U64;
use capstan_base::B256;
use serde_json::json;

use crate::client::ChainClient;
use crate::client::raw::RawReceipt;
use crate::error::ChainError;
use crate::rpc::Found;
use crate::types::Receipt;

const OPERATION: &str = "reading a receipt";

impl ChainClient {
    /// The receipt of a transaction, as two endpoints show it. `None` is what two endpoints in step
    /// with the chain say, or the only one there is. It is never evidence that the transaction will
    /// not be mined.
    ///
    /// # Errors
    /// [`ChainError::is_retryable`] where endpoints differ, as they do for a moment after each block,
    /// or one alone answers.
    pub async fn receipt(&self, tx_hash: B256) -> Result<Option<Receipt>, ChainError> {
        let mut receipts = self.receipts(&[tx_hash]).await;
        let receipt = receipts.pop().unwrap_or_else(|| {
            Err(self.inconsistent(OPERATION, "one was asked for and none came"))
        });
        receipt.map(Found::into_option)
    }

    /// The same for many at once, one result per hash in their order. An error is about one
    /// transaction: the others have their answers.
    ///
    /// What a receipt says decides whether an intent is done, and so block, status, gas and logs are
    /// what two endpoints say alike. One is enough where no other is configured, where no other that
    /// answers is in step, or where all others have been silent for
    /// [`crate::rpc::PoolOptions::silence`].
    pub async fn receipts(&self, tx_hashes: &[B256]) -> Vec<Result<Found<Receipt>, ChainError>> {
        let params = tx_hashes.iter().map(|hash| json!([hash])).collect();
        let read = |index: usize, receipt: RawReceipt| {
            if tx_hashes.get(index) != Some(&receipt.transaction_hash) {
                return Err("receipt is of another transaction");
            }
            receipt.included()
        };
        let found =
            self.pool.find_many("eth_getTransactionReceipt", params, read, Receipt::agrees).await;
        let named = |found: Result<_, _>| found.map_err(|error| self.failed(OPERATION, error));
        found.into_iter().map(named).collect()
    }

    /// All receipts of a block, in the block's order; `None` if the asked endpoint has no such
    /// block. Some endpoints do not have the method, which is an error.
    pub async fn block_receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, ChainError> {
        let receipts: Option<Vec<RawReceipt>> = self
            .pool
            .call("eth_getBlockReceipts", json!([U64::from(number)]))
            .await
            .map_err(|error| self.failed("reading the receipts of a block", error))?;
        let Some(receipts) = receipts else { return Ok(None) };
        let receipts: Result<Vec<_>, _> =
            receipts.into_iter().filter_map(|receipt| receipt.included().transpose()).collect();
        let receipts = receipts
            .map_err(|detail| self.inconsistent("reading the receipts of a block", detail))?;
        if receipts.iter().any(|receipt| receipt.block_number != number) {
            let detail = "a receipt is of another block";
            return Err(self.inconsistent("reading the receipts of a block", detail));
        }
        Ok(Some(receipts))
    }
}
