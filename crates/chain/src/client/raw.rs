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
    timestamp: U256,
    base_fee_per_gas: Option<U128>,
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
    pub(super) fn included(self) -> Option<Receipt> {
        Some(Receipt {
            tx_hash: self.transaction_hash,
            block_number: self.block_number?.to(),
            block_hash: self.block_hash?,
            // Every chain here has status (EIP-658, 2017); without it success cannot be told.
            success: self.status? == U64::from(1),
            gas_used: self.gas_used.to(),
            effective_gas_price: self.effective_gas_price.map(|price| price.to()).unwrap_or(0),
            l1_fee: self.l1_fee.map(|fee| fee.saturating_to()).unwrap_or(0),
            contract_address: self.contract_address,
            logs: self.logs.into_iter().filter_map(RawLog::included).collect(),
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawFeeHistory {
    pub(super) reward: Option<Vec<Vec<U128>>>,
}
