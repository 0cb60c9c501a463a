//! The fake chain behind the engine's seam, with faults a test sets.

use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Bytes, keccak256};
use async_trait::async_trait;
use capstan_base::{Address, B256, ChainId, U256};
use capstan_chain::{
    BlockRef, BlockTag, Call, ChainError, GasPrice, NonceUse, Receipt, RpcError, SendOutcome,
};
use tokio::sync::Notify;

use super::model::Model;
use crate::chain::{Estimate, LaneChain};

/// What goes wrong. All off by default.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Nothing answers, and nothing arrives.
    pub down: bool,
    /// So many sends arrive, but their answer is lost.
    pub lose_replies: u32,
    /// So many sends never arrive.
    pub lose_sends: u32,
    /// So many receipts are denied although they exist.
    pub hide_receipts: u32,
    /// Receipts of the newest so many blocks are not there yet.
    pub receipt_lag: u64,
    /// So many account nonces are read from before anything was mined.
    pub stale_nonces: u32,
    /// So many block hashes are read wrong.
    pub wrong_hashes: u32,
    /// So many sends are refused as underpriced.
    pub underpriced: u32,
    /// After so many calls one never returns: where a test kills the caller.
    pub hang_after: Option<u32>,
}

type OnSend = Box<dyn Fn(B256) + Send + Sync>;

/// A [`Model`] behind [`LaneChain`].
pub struct FakeChain {
    model: Mutex<Model>,
    faults: Mutex<Faults>,
    sent: Mutex<Vec<Bytes>>,
    on_send: Option<OnSend>,
    hung: Notify,
}

impl FakeChain {
    /// A chain with its first block.
    pub fn new(chain_id: ChainId) -> Self {
        Self {
            model: Mutex::new(Model::new(chain_id)),
            faults: Mutex::default(),
            sent: Mutex::default(),
            on_send: None,
            hung: Notify::new(),
        }
    }

    /// Calls `check` with the hash of whatever is sent, before anything else happens to it.
    pub fn with_check(mut self, check: impl Fn(B256) + Send + Sync + 'static) -> Self {
        self.on_send = Some(Box::new(check));
        self
    }

    /// The chain itself.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its faults.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that was handed over, in order.
    pub fn sent(&self) -> Vec<Bytes> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reorganises, see [`Model::reorg`].
    pub fn reorg(&self, depth: u64, keep: bool) {
        self.model().reorg(depth, keep);
    }

    /// Returns once a call hangs.
    pub async fn hung(&self) {
        self.hung.notified().await;
    }

    async fn enter(&self, operation: &'static str) -> Result<(), ChainError> {
        let (hangs, down) = {
            let mut faults = self.faults();
            let hangs = spend(faults.hang_after.as_mut());
            if hangs {
                faults.hang_after = None;
            }
            (hangs, faults.down)
        };
        if hangs {
            self.hung.notify_one();
            std::future::pending::<()>().await;
        }
        if !down {
            return Ok(());
        }
        let source = RpcError::Unavailable { method: "fake", detail: "down".to_owned() };
        Err(ChainError::Rpc { chain: self.chain_id(), operation, source })
    }
}

/// Counts down; true when the count is used up.
fn spend(left: Option<&mut u32>) -> bool {
    left.is_some_and(|left| {
        let is_last = *left == 0;
        *left = left.saturating_sub(1);
        is_last
    })
}

/// True while there is one left to use.
fn use_one(left: &mut u32) -> bool {
    let had = *left > 0;
    *left = left.saturating_sub(1);
    had
}

#[async_trait]
impl LaneChain for FakeChain {
    fn chain_id(&self) -> ChainId {
        self.model().chain_id
    }

    async fn block(&self, at: BlockTag) -> Result<Option<BlockRef>, ChainError> {
        self.enter("reading a block").await?;
        let BlockTag::Number(number) = at else { return Ok(Some(self.model().head())) };
        let block = self.model().block(number);
        if use_one(&mut self.faults().wrong_hashes) {
            return Ok(block.map(|block| BlockRef { hash: B256::repeat_byte(0x66), ..block }));
        }
        Ok(block)
    }

    async fn account_nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.enter("reading a nonce").await?;
        if use_one(&mut self.faults().stale_nonces) {
            return Ok(0);
        }
        Ok(self.model().account_nonce(account))
    }

    async fn balance(&self, account: Address) -> Result<U256, ChainError> {
        self.enter("reading a balance").await?;
        Ok(self.model().balances.get(&account).copied().unwrap_or(U256::MAX))
    }

    async fn estimate(&self, _from: Address, call: &Call) -> Result<Estimate, ChainError> {
        self.enter("estimating gas").await?;
        let reverts = self.model().reverting.contains(&call.to);
        let data = Bytes::from_static(&[0x08, 0xc3, 0x79, 0xa0]);
        let l1_fee = self.model().l1_fee;
        Ok(if reverts {
            Estimate::Revert(data)
        } else {
            Estimate::Gas { gas: 50_000, rollup_fee: l1_fee }
        })
    }

    async fn gas_price(&self) -> Result<GasPrice, ChainError> {
        self.enter("reading the gas price").await?;
        let model = self.model();
        Ok(if model.legacy {
            GasPrice::Legacy { gas_price: model.base_fee }
        } else {
            GasPrice::Eip1559 { base: model.base_fee, priority: 10 }
        })
    }

    async fn send_raw(&self, raw: &Bytes) -> SendOutcome {
        if let Some(check) = &self.on_send {
            check(keccak256(raw));
        }
        if self.enter("sending").await.is_err() {
            return SendOutcome::Unknown("down".to_owned());
        }
        let (lost, unanswered, underpriced) = {
            let mut faults = self.faults();
            (
                use_one(&mut faults.lose_sends),
                use_one(&mut faults.lose_replies),
                use_one(&mut faults.underpriced),
            )
        };
        if lost {
            return SendOutcome::Unknown("connection reset".to_owned());
        }
        if underpriced {
            return SendOutcome::Underpriced;
        }
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(raw.clone());
        let outcome = self.model().send(raw);
        if unanswered { SendOutcome::Unknown("timeout".to_owned()) } else { outcome }
    }

    async fn receipt(&self, tx_hash: B256) -> Result<Option<Receipt>, ChainError> {
        self.enter("reading a receipt").await?;
        let lag = {
            let mut faults = self.faults();
            if use_one(&mut faults.hide_receipts) {
                return Ok(None);
            }
            faults.receipt_lag
        };
        let model = self.model();
        let highest = model.head().number.saturating_sub(lag);
        Ok(model.receipt(tx_hash, highest))
    }

    async fn nonce_use(
        &self,
        account: Address,
        nonce: u64,
        from: u64,
        to: u64,
    ) -> Result<Option<NonceUse>, ChainError> {
        self.enter("searching for a nonce").await?;
        Ok(self.model().nonce_use(account, nonce, from, to))
    }

    async fn has_effect(
        &self,
        _from: Address,
        call: &Call,
        at: BlockTag,
    ) -> Result<bool, ChainError> {
        self.enter("asking for an effect").await?;
        let highest = if let BlockTag::Number(number) = at { number } else { u64::MAX };
        Ok(self.model().has_effect(&call.data, highest))
    }
}
