//! One process's view of the simulated chain, by the rules of the real pool of endpoints; sends go
//! to everyone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Bytes, keccak256};
use async_trait::async_trait;
use capstan_base::{Address, B256, ChainId, U256};
use capstan_chain::{
    BlockRef, BlockTag, Call, ChainError, GasPrice, NonceUse, Receipt, RpcError, SendOutcome,
};
use capstan_store::Power;

use super::batching::ContractBatch;
use super::net::Net;
use super::rules::{About, by_two, find_block, find_estimate, find_nonce, first};
use crate::batching::{Batching, Singles};
use crate::chain::{Estimate, LaneChain};

/// A [`Net`] behind the engine's seam.
pub(crate) struct SimChain {
    pub(crate) chain_id: ChainId,
    pub(crate) net: Arc<Mutex<Net>>,
    pub(crate) power: Arc<Power>,
    /// The contract takes batches.
    pub(crate) batches: bool,
}

impl SimChain {
    fn net(&self) -> MutexGuard<'_, Net> {
        self.net.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process may die before the question and after it.
    async fn ask<T>(
        &self,
        operation: &'static str,
        ask: impl FnOnce(&mut Net) -> Option<T>,
    ) -> Result<T, ChainError> {
        self.power.point().await;
        let answer = ask(&mut self.net());
        self.power.point().await;
        answer.ok_or_else(|| {
            let source = RpcError::Unavailable { method: "sim", detail: "no answer".to_owned() };
            ChainError::Rpc { chain: self.chain_id, operation, source }
        })
    }

    fn send(net: &mut Net, raw: &Bytes) -> SendOutcome {
        let hash = keccak256(raw);
        net.sends = net.sends.saturating_add(1);
        if !net.store.has_attempt(hash) {
            net.unstored.push(hash);
        }
        let mut outcomes: Vec<SendOutcome> =
            (0..net.faults.len()).map(|index| net.send(index, raw)).collect();
        outcomes.sort_by_key(rank);
        net.log(|| format!("    send {} {outcomes:?}", super::trace::transaction(raw)));
        outcomes.into_iter().next().unwrap_or(SendOutcome::Unknown("no endpoint".to_owned()))
    }
}

/// Order of trust when endpoints differ.
fn rank(outcome: &SendOutcome) -> u8 {
    match outcome {
        SendOutcome::Accepted => 0,
        SendOutcome::AlreadyKnown => 1,
        SendOutcome::NonceTooLow => 2,
        SendOutcome::Underpriced => 3,
        SendOutcome::InsufficientFunds => 4,
        SendOutcome::PoolFull => 5,
        SendOutcome::Unknown(_) => 6,
        SendOutcome::Rejected(_) => 7,
    }
}

#[async_trait]
impl LaneChain for SimChain {
    fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    async fn batching(&self, _sender: Address) -> Arc<dyn Batching> {
        if self.batches { Arc::new(ContractBatch) } else { Arc::new(Singles) }
    }

    async fn block(&self, at: BlockTag) -> Result<Option<BlockRef>, ChainError> {
        self.ask("reading a block", |net| find_block(net, at)).await
    }

    async fn account_nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.ask("reading a nonce", |net| find_nonce(net, account)).await
    }

    async fn balance(&self, account: Address) -> Result<U256, ChainError> {
        self.ask("reading a balance", |net| first(net, |net, index| net.balance(index, account)))
            .await
    }

    async fn estimate(&self, from: Address, call: &Call) -> Result<Estimate, ChainError> {
        self.ask("estimating gas", |net| find_estimate(net, from, call)).await
    }

    async fn gas_price(&self) -> Result<GasPrice, ChainError> {
        self.ask("reading the gas price", |net| first(net, Net::gas_price)).await
    }

    async fn send_raw(&self, raw: &Bytes) -> SendOutcome {
        self.power.point().await;
        let outcome = Self::send(&mut self.net(), raw);
        self.power.point().await;
        outcome
    }

    async fn receipt(&self, tx_hash: B256) -> Result<Option<Receipt>, ChainError> {
        self.ask("reading a receipt", |net| {
            by_two(net, About::Past, |net, index| net.receipt(index, tx_hash), Receipt::agrees)
        })
        .await
    }

    async fn receipts(&self, tx_hashes: &[B256]) -> Vec<Result<Option<Receipt>, ChainError>> {
        let mut receipts = Vec::with_capacity(tx_hashes.len());
        for hash in tx_hashes {
            receipts.push(self.receipt(*hash).await);
        }
        receipts
    }

    async fn estimate_many(
        &self,
        from: Address,
        calls: &[Call],
    ) -> Vec<Result<Estimate, ChainError>> {
        let mut estimates = Vec::with_capacity(calls.len());
        for call in calls {
            estimates.push(self.estimate(from, call).await);
        }
        estimates
    }

    async fn nonce_use(
        &self,
        account: Address,
        nonce: u64,
        from: u64,
        to: u64,
    ) -> Result<Option<NonceUse>, ChainError> {
        self.ask("searching for a nonce", |net| {
            let ask = |net: &mut Net, index| net.nonce_use(index, account, nonce, (from, to));
            by_two(net, About::Past, ask, NonceUse::agrees)
        })
        .await
    }

    async fn has_effect(
        &self,
        _from: Address,
        call: &Call,
        at: BlockTag,
    ) -> Result<bool, ChainError> {
        self.ask("asking for an effect", |net| {
            by_two(
                net,
                About::State,
                |net, index| net.has_effect(index, call, at).map(Some),
                PartialEq::eq,
            )?
        })
        .await
    }
}
