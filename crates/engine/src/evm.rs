//! The engine's seams on the real thing: `capstan-chain`'s client and key.

use alloy_primitives::Bytes;
use async_trait::async_trait;
use capstan_base::{Address, B256, ChainId, U256};
use capstan_chain::signer::TxTarget;
use capstan_chain::{
    BlockTag, ChainClient, ChainConfig, Finality, GasEstimate, LocalSigner, TxFields,
};

use crate::chain::{
    Call, ChainError, Estimate, Fees, Head, HeadTag, LaneChain, Receipt, SendOutcome,
};
use crate::config::{EngineConfig, FinalityPolicy, LaneConfig};
use crate::signer::{LaneSigner, SignedTx, SignerError, TxFees, UnsignedTx};

/// A lane looks twice per block, and no more often than this however fast the blocks.
const FASTEST_POLL: core::time::Duration = core::time::Duration::from_millis(100);

impl EngineConfig {
    /// Finality and pace as each chain's configuration says.
    pub fn for_chains<'a>(chains: impl Iterator<Item = &'a ChainConfig>) -> Self {
        let lane = |chain: &ChainConfig| LaneConfig {
            finality: match chain.finality {
                Finality::Latest => FinalityPolicy::Tag(HeadTag::Included),
                Finality::Safe => FinalityPolicy::Tag(HeadTag::Safe),
                Finality::Finalized => FinalityPolicy::Tag(HeadTag::Finalized),
                Finality::Depth(blocks) => FinalityPolicy::Depth(blocks),
            },
            poll_interval: (chain.block_time / 2).max(FASTEST_POLL),
            ..LaneConfig::default()
        };
        Self {
            default: LaneConfig::default(),
            chains: chains.map(|chain| (chain.chain_id, lane(chain))).collect(),
        }
    }
}

fn tag(tag: HeadTag) -> BlockTag {
    match tag {
        HeadTag::Included => BlockTag::Latest,
        HeadTag::Safe => BlockTag::Safe,
        HeadTag::Finalized => BlockTag::Finalized,
    }
}

fn failed(operation: &'static str) -> impl FnOnce(capstan_chain::ChainError) -> ChainError {
    move |error| ChainError { operation, message: error.to_string() }
}

#[async_trait]
impl LaneChain for ChainClient {
    fn chain_id(&self) -> ChainId {
        Self::chain_id(self)
    }

    async fn head(&self, at: HeadTag) -> Result<Head, ChainError> {
        let head = Self::head(self, tag(at)).await.map_err(failed("read the head"))?;
        Ok(Head {
            number: head.number,
            hash: head.hash,
            timestamp: head.timestamp,
            base_fee: head.base_fee,
        })
    }

    async fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        Self::block_hash(self, number).await.map_err(failed("read a block"))
    }

    async fn account_nonce(&self, account: Address) -> Result<u64, ChainError> {
        Self::account_nonce(self, account, BlockTag::Latest)
            .await
            .map_err(failed("read the account's nonce"))
    }

    async fn balance(&self, account: Address) -> Result<U256, ChainError> {
        Self::balance(self, account).await.map_err(failed("read the balance"))
    }

    async fn estimate_gas(&self, call: &Call) -> Result<Estimate, ChainError> {
        let request =
            capstan_chain::Call { to: call.to, value: call.value, data: call.data.clone() };
        let estimate =
            Self::estimate_gas(self, call.from, &request).await.map_err(failed("estimate gas"))?;
        Ok(match estimate {
            GasEstimate::Gas(gas) => Estimate::Gas(gas),
            GasEstimate::Revert(data) => Estimate::Revert(data),
        })
    }

    async fn suggest_fees(&self) -> Result<Fees, ChainError> {
        let fees = Self::suggest_fees(self).await.map_err(failed("read gas prices"))?;
        Ok(match fees {
            // The client offers twice the base fee; the lane adds its own headroom.
            capstan_chain::Fees::Eip1559 { max_fee, max_priority } => Fees::Eip1559 {
                base: max_fee.saturating_sub(max_priority) / 2,
                priority: max_priority,
            },
            capstan_chain::Fees::Legacy { gas_price } => Fees::Legacy { gas_price },
        })
    }

    async fn send_raw(&self, raw: &Bytes) -> SendOutcome {
        use capstan_chain::SendOutcome as Sent;
        match Self::send_raw(self, raw).await {
            Sent::Accepted => SendOutcome::Accepted,
            Sent::AlreadyKnown => SendOutcome::AlreadyKnown,
            Sent::NonceTooLow => SendOutcome::NonceTooLow,
            Sent::Underpriced => SendOutcome::Underpriced,
            Sent::InsufficientFunds => SendOutcome::InsufficientFunds,
            Sent::PoolFull => SendOutcome::Rejected("the pool is full".to_owned()),
            Sent::Rejected(words) => SendOutcome::Rejected(words),
            Sent::Unknown(words) => SendOutcome::Unknown(words),
        }
    }

    async fn receipt(&self, tx_hash: B256) -> Result<Option<Receipt>, ChainError> {
        let receipt = Self::receipt(self, tx_hash).await.map_err(failed("read a receipt"))?;
        Ok(receipt.map(|receipt| Receipt {
            status: receipt.success,
            block_number: receipt.block_number,
            block_hash: receipt.block_hash,
            gas_used: receipt.gas_used,
            effective_gas_price: receipt.effective_gas_price,
        }))
    }
}

#[async_trait]
impl LaneSigner for LocalSigner {
    fn address(&self) -> Address {
        Self::address(self)
    }

    async fn sign(&self, tx: &UnsignedTx) -> Result<SignedTx, SignerError> {
        let fields = TxFields {
            chain_id: tx.chain_id,
            nonce: tx.nonce,
            target: TxTarget::To(tx.to),
            value: tx.value,
            data: tx.data.clone(),
            gas_limit: tx.gas_limit,
            fees: match tx.fees {
                TxFees::Eip1559 { max_fee, priority_fee } => {
                    capstan_chain::Fees::Eip1559 { max_fee, max_priority: priority_fee }
                }
                TxFees::Legacy { gas_price } => capstan_chain::Fees::Legacy { gas_price },
            },
        };
        let signed =
            self.sign_transaction(&fields).map_err(|error| SignerError(error.to_string()))?;
        Ok(SignedTx { raw: signed.raw, hash: signed.hash })
    }
}
