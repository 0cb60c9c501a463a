//! The chain as the tests of one lane use it: one node, one step at a time.

use alloy_primitives::Bytes;
use capstan_base::{Address, B256, ChainId};
use capstan_chain::{BlockRef, NonceUse, Receipt, SendOutcome};

use super::{MinedTx, Model};

impl Model {
    /// A chain with its first block, and one node.
    pub fn new(chain_id: ChainId) -> Self {
        Self::with_nodes(chain_id, 1)
    }

    /// Header at a height.
    pub fn block(&self, number: u64) -> Option<BlockRef> {
        self.canonical.block(number).map(|block| block.head)
    }

    /// Every transaction in the chain, in order.
    pub fn mined(&self) -> impl Iterator<Item = &MinedTx> {
        self.canonical.mined()
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

    /// Mines a block of everything in the pools that can go in.
    pub fn mine(&mut self) {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.mine_from(&all, Vec::new());
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

    fn prune(&mut self, sender: Address) {
        let nonce = self.account_nonce(sender);
        for node in &mut self.nodes {
            node.pool.prune(|other| if other == sender { nonce } else { 0 });
        }
    }
}
