//! The contracts of the fake chain: what calldata does, and what it costs.
//!
//! | selector | meaning | repeated |
//! |---|---|---|
//! | `once` | closes a session: has its effect once | reverts |
//! | `xfer` | moves money: has its effect each time | has it again |
//! | `many` | several of one kind, each of which may fail alone | as its items |
//!
//! Any other calldata succeeds and has no effect that is counted.

use alloy_primitives::{Bytes, LogData};
use capstan_base::{Address, B256};
use capstan_chain::Receipt;
use capstan_chain::types::Log;

use super::tx::take;

/// The contract behind these selectors.
pub const CONTRACT: Address = Address::repeat_byte(0xc0);

/// Names one effect.
pub type EffectId = u64;

/// How a call goes, whatever was done before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It goes through.
    #[default]
    Works,
    /// It reverts, always.
    Poison,
    /// It reverts, and takes the whole batch with it.
    BatchPoison,
    /// It reverts until the chain's clock is there.
    NotBefore(u64),
    /// Nodes take no transaction that contains it, as those of a node with a filter.
    Refused,
}

/// Whether an effect may be had again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Once, as the close of a session.
    Once,
    /// Each time, as a transfer.
    Each,
}

/// One call of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Kind.
    pub kind: Kind,
    /// Effect it has.
    pub effect: EffectId,
    /// How it goes.
    pub fate: Fate,
}

const ONCE: [u8; 4] = *b"once";
const EACH: [u8; 4] = *b"xfer";
const MANY: [u8; 4] = *b"many";

/// Bytes of one encoded item.
const ITEM: usize = 4 + 8 + 1 + 8;

/// Gas of a transaction, of an item alone in it, and of one among several: about what settlements
/// were measured at.
const BASE_GAS: u64 = 21_000;
const OTHER_GAS: u64 = 50_000;
const ALONE_GAS: u64 = 37_000;
const SHARED_GAS: u64 = 7_000;

impl Item {
    /// Its calldata.
    pub fn encode(self) -> Bytes {
        let (fate, detail) = match self.fate {
            Fate::Works => (0, 0),
            Fate::Poison => (1, 0),
            Fate::BatchPoison => (2, 0),
            Fate::NotBefore(time) => (3, time),
            Fate::Refused => (4, 0),
        };
        let selector = match self.kind {
            Kind::Once => ONCE,
            Kind::Each => EACH,
        };
        let mut bytes = selector.to_vec();
        bytes.extend(self.effect.to_be_bytes());
        bytes.push(fate);
        bytes.extend(u64::to_be_bytes(detail));
        bytes.into()
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let kind = match take::<4>(&mut bytes)? {
            ONCE => Kind::Once,
            EACH => Kind::Each,
            _ => return None,
        };
        let effect = u64::from_be_bytes(take(&mut bytes)?);
        let [fate] = take::<1>(&mut bytes)?;
        let detail = u64::from_be_bytes(take(&mut bytes)?);
        let fate = match fate {
            0 => Fate::Works,
            1 => Fate::Poison,
            2 => Fate::BatchPoison,
            3 => Fate::NotBefore(detail),
            _ => Fate::Refused,
        };
        Some(Self { kind, effect, fate })
    }

    /// True if it reverts in a block of this time, given whether its effect is there.
    pub fn reverts(self, is_done: bool, timestamp: u64) -> bool {
        let by_fate = match self.fate {
            Fate::Works | Fate::Refused => false,
            Fate::Poison | Fate::BatchPoison => true,
            Fate::NotBefore(time) => timestamp < time,
        };
        by_fate || (self.kind == Kind::Once && is_done)
    }
}

/// What a transaction calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Nothing of this contract.
    Other,
    /// One item.
    One(Item),
    /// A batch.
    Many(Vec<Item>),
}

impl Calls {
    /// Reads what a call to an address does.
    pub fn decode(to: Address, data: &[u8]) -> Self {
        if to != CONTRACT {
            return Self::Other;
        }
        match data.strip_prefix(&MANY) {
            Some(items) => Self::Many(items.chunks(ITEM).filter_map(Item::decode).collect()),
            None => Item::decode(data).map_or(Self::Other, Self::One),
        }
    }

    /// Its items.
    pub fn items(&self) -> &[Item] {
        match self {
            Self::Other => &[],
            Self::One(item) => core::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }

    /// Gas it needs.
    pub fn gas(&self) -> u64 {
        match self {
            Self::Other => OTHER_GAS,
            Self::One(_) => BASE_GAS.saturating_add(ALONE_GAS),
            Self::Many(items) => {
                let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
                BASE_GAS.saturating_add(SHARED_GAS.saturating_mul(count.saturating_add(1)))
            }
        }
    }
}

/// Calldata of a batch of encoded items; `None` if they are not items of this contract.
pub fn merged<'a>(items: impl Iterator<Item = &'a Bytes>) -> Option<Bytes> {
    let mut bytes = MANY.to_vec();
    for item in items {
        Item::decode(item)?;
        bytes.extend(item);
    }
    Some(bytes.into())
}

/// The log that a batch leaves: which of its items failed.
pub fn batch_log(block_number: u64, tx_hash: B256, failed: &[bool]) -> Log {
    let data: Vec<u8> = failed.iter().map(|failed| u8::from(*failed)).collect();
    let data = LogData::new_unchecked(vec![B256::repeat_byte(0xba)], data.into());
    Log { address: CONTRACT, data, block_number, tx_hash }
}

/// Reads that log; `None` if there is none.
pub fn failed_items(receipt: &Receipt) -> Option<Vec<bool>> {
    let log = receipt.logs.iter().find(|log| log.address == CONTRACT)?;
    Some(log.data.data.iter().map(|failed| *failed != 0).collect())
}
