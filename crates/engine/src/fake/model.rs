//! The fake chain's rules: nodes with pools, blocks, reorganisations. Pure and synchronous.
//!
//! There is one canonical branch. Each node follows it, at once or some blocks behind, and has a
//! pool of its own; whoever makes a block takes from the pools of the nodes it hears of.

mod branch;
mod pool;

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy_primitives::{Bytes, keccak256};
use capstan_base::{Address, B256, ChainId, U256};
use capstan_chain::{BlockRef, Call, Fees, Receipt, SendOutcome, TxFields};

pub use branch::{Branch, MinedTx};
pub use pool::Pool;

use super::contracts::{Calls, Fate, Item};
use super::tx::FakeTx;
use crate::chain::NonceUse;

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
    /// A chain with its first block, and one node.
    pub fn new(chain_id: ChainId) -> Self {
        Self::with_nodes(chain_id, 1)
    }

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

    /// Header at a height.
    pub fn block(&self, number: u64) -> Option<BlockRef> {
        self.canonical.block(number).map(|block| block.head)
    }

    /// Every transaction in the chain, in order.
    pub fn mined(&self) -> impl Iterator<Item = &MinedTx> {
        self.canonical.mined()
    }

    /// Transactions of an account in blocks.
    pub fn account_nonce(&self, account: Address) -> u64 {
        self.canonical.account(account).nonce
    }

    /// Wei an account began with, or was given since.
    pub fn funds(&self, account: Address) -> U256 {
        self.balances.get(&account).copied().unwrap_or(U256::MAX)
    }

    /// Receipt of a transaction in a block at or below `highest`.
    pub fn receipt(&self, hash: B256, highest: u64) -> Option<Receipt> {
        self.canonical.receipt(hash, highest)
    }

    /// The transaction in blocks from `from` to `to` that used a nonce.
    pub fn nonce_use(&self, account: Address, nonce: u64, from: u64, to: u64) -> Option<NonceUse> {
        let (block, tx_hash) = self.canonical.nonce_use(account, nonce)?;
        (from..=to).contains(&block.number).then_some(NonceUse { tx_hash, block })
    }

    /// True if a call had its effect at or below `highest`.
    pub fn has_effect(&self, data: &Bytes, highest: u64) -> bool {
        self.canonical.has_effect(data, highest)
    }

    /// Hands raw bytes to the first node.
    pub fn send(&mut self, raw: &[u8]) -> SendOutcome {
        self.send_to(0, raw)
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

    /// Mines a block of everything in the pools that can go in.
    pub fn mine(&mut self) {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.mine_from(&all, Vec::new());
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
        let base_fee = self.next_base_fee();
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

    /// Replaces the newest `depth` blocks by as many empty ones and one more. Their transactions
    /// go back to the pool, or nowhere.
    pub fn reorg(&mut self, depth: u64, keep: bool) {
        let gone = self.rewind(depth);
        for _ in 0..=depth {
            self.push_block(Vec::new());
        }
        for mined in gone.into_iter().filter(|_| keep) {
            self.put_back(mined);
        }
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

    /// Forgets the `index`-th transaction of the first node's pool, as a full pool does.
    pub fn evict(&mut self, index: usize) {
        if let Some(node) = self.nodes.first_mut() {
            node.pool.evict(index);
        }
    }

    /// Mines a transaction of the account that another program signed.
    pub fn mine_foreign(&mut self, sender: Address) {
        let foreign = self.foreign(sender, None);
        self.mine_from(&[], vec![foreign]);
        self.prune(sender);
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

    fn prune(&mut self, sender: Address) {
        let nonce = self.account_nonce(sender);
        for node in &mut self.nodes {
            node.pool.prune(|other| if other == sender { nonce } else { 0 });
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
