//! The engine's seams on the real thing: `capstan-chain`'s client and key.

use alloy_primitives::Bytes;
use async_trait::async_trait;
use capstan_base::{Address, B256, ChainId, U256};
use capstan_chain::{
    BlockTag, ChainClient, ChainConfig, ChainError as ClientError, Finality, GasEstimate,
    LocalSigner, TxFields, calls,
};

use crate::chain::{
    Call, ChainError, Estimate, Fees, Head, HeadTag, LaneChain, Receipt, SendOutcome,
};
use crate::config::{EngineConfig, FinalityPolicy, LaneConfig};
use crate::signer::{LaneSigner, SignedTx, SignerError, TxFees, UnsignedTx};

/// Bytes of a signed transaction beside its calldata, at most.
const ENVELOPE: usize = 200;

/// A lane looks twice per block, and no more often than this however fast the blocks.
const FASTEST_POLL: std::time::Duration = std::time::Duration::from_millis(100);

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
            poll_interval: chain.block_time.checked_div(2).unwrap_or_default().max(FASTEST_POLL),
            ..LaneConfig::default()
        };
        Self {
            default: LaneConfig::default(),
            chains: chains.map(|chain| (chain.chain_id, lane(chain))).collect(),
        }
    }
}

#[async_trait]
impl LaneChain for ChainClient {
    fn chain_id(&self) -> ChainId {
        ChainClient::chain_id(self)
    }

    async fn head(&self, tag: HeadTag) -> Result<Option<Head>, ChainError> {
        let tag = match tag {
            HeadTag::Included => BlockTag::Latest,
            HeadTag::Safe => BlockTag::Safe,
            HeadTag::Finalized => BlockTag::Finalized,
        };
        let block = self.block(tag).await.map_err(failed("read the head"))?;
        Ok(block.map(|block| Head {
            number: block.number,
            hash: block.hash,
            timestamp: block.timestamp,
            base_fee: block.base_fee,
        }))
    }

    async fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        ChainClient::block_hash(self, number).await.map_err(failed("read a block hash"))
    }

    async fn account_nonce(&self, account: Address) -> Result<u64, ChainError> {
        ChainClient::account_nonce(self, account, BlockTag::Latest)
            .await
            .map_err(failed("read a nonce"))
    }

    async fn balance(&self, account: Address) -> Result<U256, ChainError> {
        ChainClient::balance(self, account).await.map_err(failed("read a balance"))
    }

    async fn estimate_gas(&self, call: &Call) -> Result<Estimate, ChainError> {
        let request = calls::Call { to: call.to, value: call.value, data: call.data.clone() };
        let estimate = ChainClient::estimate_gas(self, call.from, &request)
            .await
            .map_err(failed("estimate gas"))?;
        match estimate {
            GasEstimate::Revert(data) => Ok(Estimate::Revert(data)),
            GasEstimate::Gas(gas) => {
                let size = call.data.len().saturating_add(ENVELOPE);
                let l1_fee =
                    self.l1_fee_upper_bound(size).await.map_err(failed("read the L1 fee"))?;
                Ok(Estimate::Gas { gas, l1_fee })
            }
        }
    }

    async fn suggest_fees(&self) -> Result<Fees, ChainError> {
        let fees = ChainClient::suggest_fees(self).await.map_err(failed("read fees"))?;
        Ok(match fees {
            // The client offers twice the base fee and the tip; the lane wants the price itself,
            // since it makes its own headroom and must know what is the least that goes through.
            capstan_chain::Fees::Eip1559 { max_fee, max_priority } => Fees::Eip1559 {
                base: max_fee.saturating_sub(max_priority).div_ceil(2),
                priority: max_priority,
            },
            capstan_chain::Fees::Legacy { gas_price } => Fees::Legacy { gas_price },
        })
    }

    async fn send_raw(&self, raw: &Bytes) -> SendOutcome {
        use capstan_chain::SendOutcome as Sent;
        match ChainClient::send_raw(self, raw).await {
            Sent::Accepted => SendOutcome::Accepted,
            Sent::AlreadyKnown => SendOutcome::AlreadyKnown,
            Sent::NonceTooLow => SendOutcome::NonceTooLow,
            Sent::Underpriced => SendOutcome::Underpriced,
            Sent::InsufficientFunds => SendOutcome::InsufficientFunds,
            Sent::PoolFull => SendOutcome::PoolFull,
            Sent::Rejected(reason) => SendOutcome::Rejected(reason),
            Sent::Unknown(reason) => SendOutcome::Unknown(reason),
        }
    }

    async fn receipt(&self, tx_hash: B256) -> Result<Option<Receipt>, ChainError> {
        let receipt =
            ChainClient::receipt(self, tx_hash).await.map_err(failed("read a receipt"))?;
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
        LocalSigner::address(self)
    }

    async fn sign(&self, tx: &UnsignedTx) -> Result<SignedTx, SignerError> {
        let call = calls::Call { to: tx.to, value: tx.value, data: tx.data.clone() };
        let fees = match tx.fees {
            TxFees::Eip1559 { max_fee, priority_fee } => {
                capstan_chain::Fees::Eip1559 { max_fee, max_priority: priority_fee }
            }
            TxFees::Legacy { gas_price } => capstan_chain::Fees::Legacy { gas_price },
        };
        let fields = TxFields::of_call(tx.chain_id, tx.nonce, &call, tx.gas_limit, fees);
        let signed =
            self.sign_transaction(&fields).map_err(|error| SignerError(error.to_string()))?;
        Ok(SignedTx { raw: signed.raw, hash: signed.hash })
    }
}

/// The client's words under the engine's name for what was asked.
fn failed(operation: &'static str) -> impl FnOnce(ClientError) -> ChainError {
    move |error| {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        ChainError { operation, message }
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::transaction::SignerRecoverable;
    use alloy_consensus::{Transaction, TxEnvelope};
    use alloy_eips::Decodable2718;

    use super::*;

    #[tokio::test]
    async fn both_kinds_decode_to_what_was_signed() {
        let signer = LocalSigner::random();
        for fees in
            [TxFees::Eip1559 { max_fee: 30, priority_fee: 2 }, TxFees::Legacy { gas_price: 30 }]
        {
            let tx = UnsignedTx {
                chain_id: ChainId(5611),
                nonce: 7,
                gas_limit: 50_000,
                fees,
                to: Address::repeat_byte(1),
                value: U256::from(9),
                data: vec![1, 2, 3].into(),
            };
            let signed = LaneSigner::sign(&signer, &tx).await.unwrap();
            assert_eq!(alloy_primitives::keccak256(&signed.raw), signed.hash);
            let envelope = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
            assert_eq!(envelope.recover_signer().unwrap(), LaneSigner::address(&signer));
            assert_eq!(envelope.chain_id(), Some(5611));
            assert_eq!((envelope.nonce(), envelope.max_fee_per_gas()), (7, 30));
            assert_eq!(envelope.max_priority_fee_per_gas(), fees.priority_fee());
        }
    }
}
