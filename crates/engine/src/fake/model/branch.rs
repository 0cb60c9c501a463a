//! One branch of the chain: its blocks, and the state they lead to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alloy_primitives::{Bytes, keccak256};
use capstan_base::{Address, B256, U256, UnixSeconds};
use capstan_chain::{BlockRef, Receipt};

use crate::fake::contracts::{CONTRACT, Calls, EffectId, Fate, batch_log};
use crate::fake::tx::FakeTx;

/// A transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinedTx {
    /// Its hash.
    pub hash: B256,
    /// Sender.
    pub sender: Address,
    /// Nonce.
    pub nonce: u64,
    /// Calldata.
    pub data: Bytes,
    /// All it says.
    pub tx: FakeTx,
    /// False if it reverted.
    pub success: bool,
    /// Of each item it calls, whether it failed.
    pub failed: Vec<bool>,
    /// Effects it had.
    pub effects: Vec<EffectId>,
    /// Gas used.
    pub gas_used: u64,
    /// Wei per gas paid.
    pub price: u128,
    /// Wei charged besides.
    pub rollup_fee: u128,
}

impl MinedTx {
    /// Wei it took from its sender beyond its value.
    pub fn cost(&self) -> U256 {
        U256::from(self.gas_used)
            .saturating_mul(U256::from(self.price))
            .saturating_add(U256::from(self.rollup_fee))
    }
}

/// What a block leaves an account with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Transactions it has in blocks.
    pub nonce: u64,
    /// Wei it has spent.
    pub spent: U256,
}

/// A block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its header.
    pub head: BlockRef,
    /// Its transactions.
    pub txs: Vec<MinedTx>,
    /// Every account that ever sent, after it.
    accounts: BTreeMap<Address, Account>,
}

/// Blocks from the first to a head. Branches share the blocks they have in common.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    blocks: Vec<Arc<Block>>,
    by_hash: HashMap<B256, u64>,
    /// Blocks an effect was had in.
    effects: HashMap<EffectId, Vec<u64>>,
}

impl Branch {
    /// Newest block's header.
    pub fn head(&self) -> BlockRef {
        self.blocks.last().map(|block| block.head).unwrap_or(BlockRef {
            number: 0,
            hash: B256::ZERO,
            timestamp: UnixSeconds::default(),
            base_fee: None,
        })
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// A block by height.
    pub fn block(&self, number: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(number).ok()?).map(AsRef::as_ref)
    }

    /// Every transaction, in order.
    pub fn mined(&self) -> impl Iterator<Item = &MinedTx> {
        self.blocks.iter().flat_map(|block| &block.txs)
    }

    /// An account after a block.
    pub fn account_at(&self, account: Address, number: u64) -> Account {
        let number = number.min(self.head().number);
        let block = self.block(number);
        block.and_then(|block| block.accounts.get(&account)).copied().unwrap_or_default()
    }

    /// An account at the head.
    pub fn account(&self, account: Address) -> Account {
        self.account_at(account, self.head().number)
    }

    /// Where a transaction is.
    pub fn find(&self, hash: B256) -> Option<(BlockRef, &MinedTx)> {
        let block = self.block(*self.by_hash.get(&hash)?)?;
        Some((block.head, block.txs.iter().find(|mined| mined.hash == hash)?))
    }

    /// Receipt of a transaction in a block at or below `highest`.
    pub fn receipt(&self, hash: B256, highest: u64) -> Option<Receipt> {
        let (block, mined) = self.find(hash).filter(|(block, _)| block.number <= highest)?;
        let is_batch = mined.failed.len() > 1 && mined.success;
        let logs = is_batch.then(|| batch_log(block.number, hash, &mined.failed));
        Some(Receipt {
            tx_hash: hash,
            success: mined.success,
            block_number: block.number,
            block_hash: block.hash,
            gas_used: mined.gas_used,
            effective_gas_price: mined.price,
            l1_fee: mined.rollup_fee,
            contract_address: None,
            logs: logs.into_iter().collect(),
        })
    }

    /// How often an effect was had, up to a block.
    pub fn effect_count(&self, effect: EffectId, highest: u64) -> usize {
        let blocks = self.effects.get(&effect).map(Vec::as_slice).unwrap_or_default();
        blocks.iter().filter(|number| **number <= highest).count()
    }

    /// True if a call had its effect, alone or in a batch, up to a block.
    pub fn has_effect(&self, data: &Bytes, highest: u64) -> bool {
        match Calls::decode(CONTRACT, data) {
            Calls::One(item) => self.effect_count(item.effect, highest) > 0,
            _ => {
                let upto = self.blocks.iter().filter(|block| block.head.number <= highest);
                upto.flat_map(|block| &block.txs).any(|mined| mined.success && mined.data == *data)
            }
        }
    }

    /// The transaction that used an account's nonce.
    pub fn nonce_use(&self, account: Address, nonce: u64) -> Option<(BlockRef, B256)> {
        // Nonces grow along the chain.
        let at = self.blocks.partition_point(|block| {
            block.accounts.get(&account).is_none_or(|account| account.nonce <= nonce)
        });
        let block = self.blocks.get(at)?;
        let used = |mined: &&MinedTx| mined.sender == account && mined.nonce == nonce;
        block.txs.iter().find(used).map(|mined| (block.head, mined.hash))
    }

    /// Puts transactions into a new block, as far as they are valid in turn. Its time is not before
    /// the one given.
    pub fn extend(
        &mut self,
        salt: u64,
        base_fee: Option<u128>,
        rollup_fee: u128,
        txs: Vec<(B256, FakeTx)>,
        not_before: u64,
        reverts: &dyn Fn(&FakeTx) -> bool,
    ) {
        let number = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        let parent = self.head();
        let hash = keccak256([parent.hash.as_slice(), &salt.to_be_bytes()].concat());
        // Two seconds a block, from some day in 2023.
        let genesis = UnixSeconds::new(1_700_000_000).unwrap_or_default();
        let timestamp = if number == 0 { genesis } else { parent.timestamp.plus(2) };
        let timestamp = timestamp.max(UnixSeconds::new(not_before).unwrap_or_default());
        let head = BlockRef { number, hash, timestamp, base_fee };
        let mut accounts =
            self.blocks.last().map(|block| block.accounts.clone()).unwrap_or_default();
        let mut mined = Vec::with_capacity(txs.len());
        for (hash, tx) in txs {
            let account = accounts.entry(tx.sender).or_default();
            let Some(price) = tx.price(base_fee).filter(|_| account.nonce == tx.tx.nonce) else {
                continue;
            };
            account.nonce = account.nonce.saturating_add(1);
            let done = self.execute(hash, tx, head, price, rollup_fee, reverts);
            let value = if done.success { done.tx.tx.value } else { U256::ZERO };
            account.spent = account.spent.saturating_add(done.cost()).saturating_add(value);
            self.by_hash.insert(hash, number);
            for effect in &done.effects {
                self.effects.entry(*effect).or_default().push(number);
            }
            mined.push(done);
        }
        self.blocks.push(Arc::new(Block { head, txs: mined, accounts }));
    }

    fn execute(
        &self,
        hash: B256,
        tx: FakeTx,
        head: BlockRef,
        price: u128,
        rollup_fee: u128,
        reverts: &dyn Fn(&FakeTx) -> bool,
    ) -> MinedTx {
        let calls = Calls::decode(tx.to(), &tx.tx.data);
        let (mut success, failed) = self.run(&calls, head.timestamp.get());
        success &= !reverts(&tx);
        let mut gas_used = calls.gas();
        if gas_used > tx.tx.gas_limit {
            (success, gas_used) = (false, tx.tx.gas_limit);
        }
        let items = calls.items().iter().zip(&failed);
        let effects =
            items.filter(|(_, failed)| success && !**failed).map(|(item, _)| item.effect).collect();
        let (sender, nonce, data) = (tx.sender, tx.tx.nonce, tx.tx.data.clone());
        MinedTx {
            hash,
            sender,
            nonce,
            data,
            tx,
            success,
            failed,
            effects,
            gas_used,
            price,
            rollup_fee,
        }
    }

    /// Whether calls would go through on top of this branch, and which items would fail.
    pub fn run(&self, calls: &Calls, timestamp: u64) -> (bool, Vec<bool>) {
        let is_done = |effect| self.effects.get(&effect).is_some_and(|blocks| !blocks.is_empty());
        let items = calls.items();
        let failed: Vec<bool> = items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let before = items.iter().take(index).any(|other| other.effect == item.effect);
                item.reverts(is_done(item.effect) || before, timestamp)
            })
            .collect();
        let success = match calls {
            Calls::Other => true,
            Calls::One(_) => !failed.contains(&true),
            Calls::Many(items) => items.iter().all(|item| item.fate != Fate::BatchPoison),
        };
        (success, failed)
    }

    /// Removes the newest block.
    pub fn pop(&mut self) -> Option<Arc<Block>> {
        let block = self.blocks.pop()?;
        for mined in &block.txs {
            self.by_hash.remove(&mined.hash);
            for effect in &mined.effects {
                if let Some(blocks) = self.effects.get_mut(effect) {
                    blocks.pop();
                }
            }
        }
        Some(block)
    }

    /// Becomes the first `length` blocks of another branch.
    pub fn follow(&mut self, other: &Self, length: usize) {
        let length = length.min(other.blocks.len());
        let is_shared = |index: usize| match (self.blocks.get(index), other.blocks.get(index)) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        };
        let mut keep = self.blocks.len().min(length);
        while keep > 0 && !is_shared(keep.saturating_sub(1)) {
            keep = keep.saturating_sub(1);
        }
        while self.blocks.len() > keep {
            self.pop();
        }
        for block in other.blocks.iter().take(length).skip(keep) {
            for mined in &block.txs {
                self.by_hash.insert(mined.hash, block.head.number);
                for effect in &mined.effects {
                    self.effects.entry(*effect).or_default().push(block.head.number);
                }
            }
            self.blocks.push(Arc::clone(block));
        }
    }
}
