//! Answers of nodes as they come over the wire: hex quantities and camel case. Fields that are not
//! needed are not named, so that no dialect of a chain breaks them.

use alloy_primitives::{LogData, U64, U128, U256};
use capstan_base::{Address, B256, UnixSeconds};
use serde::Deserialize;

use crate::types::{BlockRef, Bytes, Log, Receipt};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawBlock {
    pub(super) number: U64,
    pub(super) hash: B256,
    pub(super) timestamp: U256,
    pub(super) base_fee_per_gas: Option<U128>,
}

impl From<RawBlock> for BlockRef {
    fn from(block: RawBlock) -> Self {
        Self {
            number: block.number.to(),
            hash: block.hash,
            timestamp: UnixSeconds::new(block.timestamp.saturating_to())
                .unwrap_or(UnixSeconds::MAX),
            base_fee: block.base_fee_per_gas.map(|fee| fee.to()),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: Option<U64>,
    transaction_hash: Option<B256>,
    #[serde(default)]
    removed: bool,
}

impl RawLog {
    /// `None` for a log of a pending or removed block.
    pub(super) fn included(self) -> Option<Log> {
        if self.removed {
            return None;
        }
        Some(Log {
            address: self.address,
            data: LogData::new(self.topics, self.data)?,
            block_number: self.block_number?.to(),
            tx_hash: self.transaction_hash?,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawReceipt {
    pub(super) transaction_hash: B256,
    block_number: Option<U64>,
    block_hash: Option<B256>,
    status: Option<U64>,
    gas_used: U64,
    effective_gas_price: Option<U128>,
    /// OP stack.
    l1_fee: Option<U256>,
    contract_address: Option<Address>,
    logs: Vec<RawLog>,
}

impl RawReceipt {
    /// `None` while the transaction is not in a block, as a few nodes answer for pending ones.
    ///
    /// # Errors
    /// What is wrong with it. A receipt without one of its logs would say that an item of a batch was
    /// not done.
    pub(super) fn included(self) -> Result<Option<Receipt>, &'static str> {
        let (block_number, block_hash): (u64, _) = match (self.block_number, self.block_hash) {
            (Some(number), Some(hash)) => (number.to(), hash),
            (None, None) => return Ok(None),
            _ => return Err("receipt has half a block"),
        };
        let logs: Option<Vec<Log>> = self.logs.into_iter().map(RawLog::included).collect();
        let logs = logs.ok_or("receipt has a log that was removed or cannot be read")?;
        let is_own =
            |log: &Log| log.block_number == block_number && log.tx_hash == self.transaction_hash;
        if !logs.iter().all(is_own) {
            return Err("receipt has a log of another transaction");
        }
        // Every chain here has status (EIP-658, 2017); without it success cannot be told.
        let success = match self.status.ok_or("receipt has no status")?.to::<u64>() {
            0 => false,
            1 => true,
            _ => return Err("receipt has an unknown status"),
        };
        Ok(Some(Receipt {
            tx_hash: self.transaction_hash,
            block_number,
            block_hash,
            success,
            gas_used: self.gas_used.to(),
            effective_gas_price: self.effective_gas_price.map(|price| price.to()).unwrap_or(0),
            l1_fee: self.l1_fee.map(|fee| fee.saturating_to()).unwrap_or(0),
            contract_address: self.contract_address,
            logs,
        }))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawFeeHistory {
    pub(super) reward: Option<Vec<Vec<U128>>>,
}
