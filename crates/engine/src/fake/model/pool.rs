//! One node's pool of transactions that wait for a block, by the rules of geth and reth.

use std::collections::BTreeMap;

use capstan_base::{Address, B256, U256};
use capstan_chain::SendOutcome;

use super::branch::Account;
use crate::fake::tx::{FakeTx, raises};

/// Transactions of one sender a pool holds.
pub const SLOTS: usize = 16;

/// Waiting transactions by sender and nonce.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    txs: BTreeMap<(Address, u64), (B256, FakeTx)>,
}

impl Pool {
    /// Takes a transaction, given its sender's account as the node sees it and the wei it began
    /// with.
    pub fn add(&mut self, hash: B256, tx: FakeTx, account: Account, funds: U256) -> SendOutcome {
        let slot = (tx.sender, tx.tx.nonce);
        if tx.tx.nonce < account.nonce {
            return SendOutcome::NonceTooLow;
        }
        let of_sender = || self.txs.range((tx.sender, 0)..=(tx.sender, u64::MAX));
        let old = self.txs.get(&slot);
        if let Some((pooled, old)) = old {
            if *pooled == hash {
                return SendOutcome::AlreadyKnown;
            }
            if !raises(old.tx.fees, tx.tx.fees) {
                return SendOutcome::Underpriced;
            }
        }
        let others = of_sender().filter(|(key, _)| **key != slot);
        let committed =
            others.fold(tx.max_cost(), |sum, (_, (_, other))| sum.saturating_add(other.max_cost()));
        if committed > funds.saturating_sub(account.spent) {
            return SendOutcome::InsufficientFunds;
        }
        if old.is_none() && of_sender().count() >= SLOTS {
            // What comes sooner pushes the latest out.
            let Some(latest) = of_sender().next_back().map(|(key, _)| *key) else {
                return SendOutcome::PoolFull;
            };
            if latest.1 < tx.tx.nonce {
                return SendOutcome::PoolFull;
            }
            self.txs.remove(&latest);
        }
        self.txs.insert(slot, (hash, tx));
        SendOutcome::Accepted
    }

    /// Forgets what can no longer be mined.
    pub fn prune(&mut self, nonce_of: impl Fn(Address) -> u64) {
        self.txs.retain(|(sender, nonce), _| *nonce >= nonce_of(*sender));
    }

    /// Forgets the `index`-th transaction, as a full pool does.
    pub fn evict(&mut self, index: usize) {
        let index = index.checked_rem(self.txs.len()).unwrap_or(0);
        let key = self.txs.keys().nth(index).copied();
        if let Some(key) = key {
            self.txs.remove(&key);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.txs.clear();
    }

    /// What waits, by sender and nonce.
    pub fn iter(&self) -> impl Iterator<Item = (&(Address, u64), &(B256, FakeTx))> {
        self.txs.iter()
    }
}
