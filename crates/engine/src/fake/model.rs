//! The fake chain's rules: nodes with pools, blocks, reorganisations. Pure and synchronous.
//!
//! There is one canonical branch. Each node follows it, at once or some blocks behind, and has a
//! pool of its own; whoever makes a block takes from the pools of the nodes it hears of.

mod branch;
mod pool;
#[cfg(test)]
mod single;

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy_primitives::keccak256;
use capstan_base::{Address, B256, ChainId, U256};
use capstan_chain::{BlockRef, Call, Fees, SendOutcome, TxFields};

pub use branch::{Branch, MinedTx};
pub use pool::Pool;

use super::contracts::{Calls, Fate, Item};
use super::tx::FakeTx;

/// What a node knows.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The chain as it sees it.
    pub branch: Branch,
    /// What waits with it.
    pub pool: Pool,
    /// Blocks it is behind.
    pub lag: usize,
    /// It hears of no further block.
    pub frozen: bool,
}

/// One chain.
#[derive(Debug)]
pub struct Model {
    /// Its id.
    pub chain_id: ChainId,
    /// Wei per gas the next blocks burn.
    pub base_fee: u128,
    /// Wei charged on top of gas for each transaction.
    pub l1_fee: U256,
    /// True for a chain without EIP-1559.
    pub legacy: bool,
    /// Wei accounts began with; endless if not named.
    pub balances: HashMap<Address, U256>,
    /// Contracts whose calls revert.
    pub reverting: HashSet<Address>,
    /// Transactions that fit in a block.
    pub capacity: usize,
    /// Blocks by which finality trails the head.
    pub final_depth: u64,
    /// Unix seconds before which no block is made, whatever it replaces.
    pub now: u64,
    /// Its nodes.
    pub nodes: Vec<Node>,
    canonical: Branch,
    final_height: Option<u64>,
    /// Makes the blocks of each branch distinct.
    salt: u64,
}

impl Model {
    /// A chain with its first block, and so many nodes.
    pub fn with_nodes(chain_id: ChainId, nodes: usize) -> Self {
        let mut model = Self {
            chain_id,
            base_fee: 1_000,
            l1_fee: U256::ZERO,
            legacy: false,
            balances: HashMap::new(),
            reverting: HashSet::new(),
            capacity: usize::MAX,
            final_depth: 66,
            now: 0,
            nodes: vec![Node::default(); nodes],
            canonical: Branch::default(),
            final_height: None,
            salt: 0,
        };
        model.push_block(Vec::new());
        model
    }

    /// The branch that counts.
    pub fn canonical(&self) -> &Branch {
        &self.canonical
    }

    /// Newest block.
    pub fn head(&self) -> BlockRef {
        self.canonical.head()
    }

    /// Highest block that is never reorganised away.
    pub fn final_height(&self) -> Option<u64> {
        self.final_height
    }

    /// Transactions of an account in blocks.
    pub fn account_nonce(&self, account: Address) -> u64 {
        self.canonical.account(account).nonce
    }

    /// Wei an account began with, or was given since.
    pub fn funds(&self, account: Address) -> U256 {
        self.balances.get(&account).copied().unwrap_or(U256::MAX)
    }

    /// Hands raw bytes to a node.
    pub fn send_to(&mut self, node: usize, raw: &[u8]) -> SendOutcome {
        let Some(tx) = FakeTx::decode(raw).filter(|tx| tx.tx.chain_id == self.chain_id) else {
            return SendOutcome::Rejected("not a transaction of this chain".to_owned());
        };
        let calls = Calls::decode(tx.to(), &tx.tx.data);
        if calls.items().iter().any(|item| item.fate == Fate::Refused) {
            return SendOutcome::Rejected("transaction type not supported".to_owned());
        }
        let funds = self.funds(tx.sender);
        let Some(node) = self.nodes.get_mut(node) else {
            return SendOutcome::Unknown("no such node".to_owned());
        };
        let account = node.branch.account(tx.sender);
        node.pool.add(keccak256(raw), tx, account, funds)
    }

    /// Mines a block of what certain nodes have, and of `forced` before all else.
    pub fn mine_from(&mut self, nodes: &[usize], forced: Vec<FakeTx>) {
        let mut best: BTreeMap<(Address, u64), (B256, FakeTx)> = BTreeMap::new();
        for node in nodes.iter().filter_map(|node| self.nodes.get(*node)) {
            for (slot, (hash, tx)) in node.pool.iter() {
                let is_better = best
                    .get(slot)
                    .is_none_or(|(_, other)| other.tx.fees.max_fee() < tx.tx.fees.max_fee());
                if is_better {
                    best.insert(*slot, (*hash, tx.clone()));
                }
            }
        }
        for tx in forced {
            let (_, hash) = tx.sign();
            best.insert((tx.sender, tx.tx.nonce), (hash, tx));
        }
        let mut next: BTreeMap<Address, (u64, U256)> = BTreeMap::new();
        let mut txs = Vec::new();
        for ((sender, nonce), (hash, tx)) in best {
            let account = self.canonical.account(sender);
            let left = self.funds(sender).saturating_sub(account.spent);
            let (expected, left) = next.entry(sender).or_insert((account.nonce, left));
            let cost = tx.max_cost().saturating_add(self.l1_fee);
            if nonce != *expected
                || tx.tx.fees.max_fee() < self.base_fee
                || cost > *left
                || txs.len() >= self.capacity
            {
                continue;
            }
            *expected = expected.saturating_add(1);
            *left = left.saturating_sub(cost);
            txs.push((hash, tx));
        }
        self.push_block(txs);
    }

    /// Removes the newest `depth` blocks, the first one left out; gives their transactions. Whoever
    /// calls it makes more blocks than there were, or it is no reorganisation.
    pub fn rewind(&mut self, depth: u64) -> Vec<MinedTx> {
        self.salt = self.salt.saturating_add(1);
        let mut gone = Vec::new();
        for _ in 0..depth {
            if self.canonical.len() <= 1 {
                break;
            }
            gone.extend(self.canonical.pop());
        }
        gone.iter().rev().flat_map(|block| block.txs.iter().cloned()).collect()
    }

    /// Returns a transaction of a block that is gone to the pools.
    pub fn put_back(&mut self, mined: MinedTx) {
        let funds = self.funds(mined.sender);
        for node in &mut self.nodes {
            let account = self.canonical.account(mined.sender);
            node.pool.add(mined.hash, mined.tx.clone(), account, funds);
        }
    }

    /// A transaction at the account's next nonce that the engine knows nothing of.
    pub fn foreign(&self, sender: Address, item: Option<Item>) -> FakeTx {
        let nonce = self.account_nonce(sender);
        let (to, data) = match item {
            Some(item) => (super::contracts::CONTRACT, item.encode()),
            None => (sender, [b"foreign".as_slice(), &self.salt.to_be_bytes()].concat().into()),
        };
        let fees = match self.next_base_fee() {
            Some(_) => Fees::Eip1559 { max_fee: u128::MAX >> 64, priority_fee: 1 },
            None => Fees::Legacy { gas_price: self.base_fee },
        };
        let call = Call { to, value: U256::ZERO, data };
        let tx = TxFields::of_call(self.chain_id, nonce, &call, 100_000, fees);
        FakeTx { sender, tx }
    }

    /// Lets every node see what it sees of the canonical branch.
    pub fn sync(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| !node.frozen) {
            let length = self.canonical.len().saturating_sub(node.lag).max(1);
            node.branch.follow(&self.canonical, length);
            let branch = &node.branch;
            node.pool.prune(|sender| branch.account(sender).nonce);
        }
    }

    fn next_base_fee(&self) -> Option<u128> {
        (!self.legacy).then_some(self.base_fee)
    }

    fn push_block(&mut self, txs: Vec<(B256, FakeTx)>) {
        let rollup_fee = u128::try_from(self.l1_fee).unwrap_or(u128::MAX);
        let reverting = &self.reverting;
        let reverts = |tx: &FakeTx| reverting.contains(&tx.to());
        let base_fee = self.next_base_fee();
        self.canonical.extend(self.salt, base_fee, rollup_fee, txs, self.now, &reverts);
        let trailing = self.head().number.checked_sub(self.final_depth);
        self.final_height = self.final_height.max(trailing);
        self.sync();
    }
}
