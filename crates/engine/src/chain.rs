//! The seam to a chain: what a lane must be able to ask and to send.

use std::sync::Arc;

use alloy_primitives::Bytes;
use async_trait::async_trait;
use capstan_base::{Address, B256, ChainId, U256};
use capstan_chain::{
    BlockRef, BlockTag, Call, ChainClient, ChainError, Delegation, Effect, Found, GasEstimate,
    GasPrice, Receipt, SendOutcome,
};
use futures_util::future::join_all;

use crate::batching::{Batching, ContractBatches, Singles};

pub use capstan_chain::NonceUse;

/// Bytes of a transaction beside its calldata, at most.
const ENVELOPE: usize = 200;

/// What the chain says a call would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Estimate {
    /// It would go through.
    Gas {
        /// Gas it would use.
        gas: u64,
        /// Wei a rollup may charge besides, for posting it to its own chain and for its operator.
        /// Not bounded by any field of the transaction, so it comes out of the intent's budget.
        rollup_fee: U256,
    },
    /// It would revert, with this data. Only if the EVM said so: any other refusal is an error.
    Revert(Bytes),
}

/// One chain, as a lane sees it.
///
/// Reads may come from any node and may lag or contradict each other: the engine draws no negative
/// conclusion from one answer. An error says that the chain could not be asked, and nothing about
/// what is on it.
///
/// What intents end by is not one node's word where several are there to be asked: what a receipt
/// says, that there is none, what used a nonce, that a call reverts, and whether an effect is there.
/// Where nodes differ about these, or only one of several speaks, the answer is an error.
#[async_trait]
pub trait LaneChain: Send + Sync + 'static {
    /// The chain's EIP-155 id, which signatures bind to.
    fn chain_id(&self) -> ChainId;
    /// What people call it; for log lines.
    fn name(&self) -> String {
        self.chain_id().to_string()
    }
    /// A block of the chain; `None` if there is none yet, as with tags on a young chain.
    async fn block(&self, at: BlockTag) -> Result<Option<BlockRef>, ChainError>;
    /// Transactions the account has in blocks up to the newest one, its pool not counted.
    async fn account_nonce(&self, account: Address) -> Result<u64, ChainError>;
    /// Wei the account holds at the newest block.
    async fn balance(&self, account: Address) -> Result<U256, ChainError>;
    /// Runs a call from an account without effect.
    async fn estimate(&self, from: Address, call: &Call) -> Result<Estimate, ChainError>;
    /// What gas costs now.
    async fn gas_price(&self) -> Result<GasPrice, ChainError>;
    /// Hands signed bytes over. Sending the same bytes again is harmless.
    async fn send_raw(&self, raw: &Bytes) -> SendOutcome;
    /// Receipt of a transaction, whole, with all its logs; `None` if it has none.
    async fn receipt(&self, tx_hash: B256) -> Result<Option<Receipt>, ChainError>;

    /// The transaction of a canonical block from `from` to `to` that used an account's nonce, given
    /// that it was not used before `from`.
    async fn nonce_use(
        &self,
        account: Address,
        nonce: u64,
        from: u64,
        to: u64,
    ) -> Result<Option<NonceUse>, ChainError>;
    /// True if the call's effect is on the chain at a block, by whatever transaction; false too if
    /// there is no way to tell from what it is.
    async fn has_effect(
        &self,
        from: Address,
        call: &Call,
        at: BlockTag,
    ) -> Result<bool, ChainError>;

    /// How calls of the account can share a transaction, as far as the chain can be asked.
    async fn batching(&self, _sender: Address) -> Arc<dyn Batching> {
        Arc::new(Singles)
    }

    /// [`LaneChain::estimate`] of several calls, each as if it were the only one.
    async fn estimate_many(
        &self,
        from: Address,
        calls: &[Call],
    ) -> Vec<Result<Estimate, ChainError>> {
        join_all(calls.iter().map(|call| self.estimate(from, call))).await
    }
    /// [`LaneChain::send_raw`] of several transactions, in order.
    async fn send_many(&self, raws: &[Bytes]) -> Vec<SendOutcome> {
        let mut outcomes = Vec::with_capacity(raws.len());
        for raw in raws {
            outcomes.push(self.send_raw(raw).await);
        }
        outcomes
    }
    /// [`LaneChain::receipt`] of several transactions.
    async fn receipts(&self, tx_hashes: &[B256]) -> Vec<Result<Option<Receipt>, ChainError>> {
        join_all(tx_hashes.iter().map(|hash| self.receipt(*hash))).await
    }
}

/// What a rollup charges besides, at most.
async fn rollup_fee(client: &ChainClient, call: &Call, gas: u64) -> Result<U256, ChainError> {
    let size = call.data.len().saturating_add(ENVELOPE);
    // Half as much again covers the margin that a lane puts on top of an estimate.
    client.rollup_fee_upper_bound(size, gas.saturating_add(gas / 2)).await
}

fn estimate(found: GasEstimate, rollup_fee: U256) -> Estimate {
    match found {
        GasEstimate::Gas(gas) => Estimate::Gas { gas, rollup_fee },
        GasEstimate::Revert(data) => Estimate::Revert(data),
    }
}

#[async_trait]
impl LaneChain for ChainClient {
    fn chain_id(&self) -> ChainId {
        ChainClient::chain_id(self)
    }

    fn name(&self) -> String {
        self.config().name.clone()
    }

    async fn block(&self, at: BlockTag) -> Result<Option<BlockRef>, ChainError> {
        ChainClient::block(self, at).await
    }

    async fn account_nonce(&self, account: Address) -> Result<u64, ChainError> {
        ChainClient::account_nonce(self, account, BlockTag::Latest).await
    }

    async fn balance(&self, account: Address) -> Result<U256, ChainError> {
        ChainClient::balance(self, account).await
    }

    async fn estimate(&self, from: Address, call: &Call) -> Result<Estimate, ChainError> {
        let found = self.estimate_gas(from, call).await?;
        let fee = match found {
            GasEstimate::Gas(gas) => rollup_fee(self, call, gas).await?,
            GasEstimate::Revert(_) => U256::ZERO,
        };
        Ok(estimate(found, fee))
    }

    async fn estimate_many(
        &self,
        from: Address,
        calls: &[Call],
    ) -> Vec<Result<Estimate, ChainError>> {
        let found = ChainClient::estimate_many(self, from, calls).await;
        let gas = |found: &Result<_, _>| match found {
            Ok(GasEstimate::Gas(gas)) => *gas,
            _ => 0,
        };
        let most = found.iter().map(gas).max().unwrap_or(0);
        // One bound for all: asking for each would cost more requests than the estimates did.
        let fee = match calls.iter().max_by_key(|call| call.data.len()) {
            Some(longest) if most > 0 => rollup_fee(self, longest, most).await,
            _ => Ok(U256::ZERO),
        };
        let with_fee = |found: GasEstimate| match (&found, &fee) {
            (GasEstimate::Gas(_), Err(error)) => Err(ChainError::Inconsistent {
                chain: ChainClient::chain_id(self),
                operation: "reading what the rollup charges",
                detail: error.to_string(),
            }),
            (_, fee) => Ok(estimate(found, *fee.as_ref().unwrap_or(&U256::ZERO))),
        };
        found.into_iter().map(|found| found.and_then(with_fee)).collect()
    }

    async fn gas_price(&self) -> Result<GasPrice, ChainError> {
        ChainClient::gas_price(self).await
    }

    async fn send_raw(&self, raw: &Bytes) -> SendOutcome {
        ChainClient::send_raw(self, raw).await
    }

    async fn receipt(&self, tx_hash: B256) -> Result<Option<Receipt>, ChainError> {
        ChainClient::receipt(self, tx_hash).await
    }

    async fn send_many(&self, raws: &[Bytes]) -> Vec<SendOutcome> {
        self.send_raw_many(raws).await
    }

    async fn receipts(&self, tx_hashes: &[B256]) -> Vec<Result<Option<Receipt>, ChainError>> {
        let found = ChainClient::receipts(self, tx_hashes).await;
        found.into_iter().map(|found| found.map(Found::into_option)).collect()
    }

    async fn nonce_use(
        &self,
        account: Address,
        nonce: u64,
        from: u64,
        to: u64,
    ) -> Result<Option<NonceUse>, ChainError> {
        ChainClient::nonce_use(self, account, nonce, from, to).await
    }

    async fn has_effect(
        &self,
        from: Address,
        call: &Call,
        at: BlockTag,
    ) -> Result<bool, ChainError> {
        Ok(self.effect(from, call, at).await? == Effect::Done)
    }

    /// By the marketplace's own batch call always; by the account's own code if it has been given
    /// the one that is known for it.
    async fn batching(&self, sender: Address) -> Arc<dyn Batching> {
        let contracts = self.config().contracts.as_ref();
        let marketplace = contracts.map(|contracts| contracts.job_marketplace);
        let is_delegated = match self.delegation(sender).await {
            Ok(Delegation::To(code)) => self.verify_self_batch(code).await.is_ok(),
            Ok(Delegation::None | Delegation::Contract) => false,
            Err(error) => {
                tracing::warn!(
                    chain_id = ChainClient::chain_id(self).0, %sender,
                    error = &error as &dyn std::error::Error,
                    "the account's code cannot be read: calls without a batch of their own go alone"
                );
                false
            }
        };
        Arc::new(ContractBatches { marketplace, is_delegated })
    }
}
