//! The fake chain's rules: pool, blocks, reorganisations. Pure and synchronous.

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy_primitives::{Bytes, keccak256};
use capstan_base::{Address, B256, ChainId, U256, UnixSeconds};
use capstan_chain::{BlockRef, Call, Fees, NonceUse, Receipt, SendOutcome, TxFields, TxTarget};

/// Gas every call uses.
const GAS: u64 = 50_000;

/// A transaction of the fake chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeTx {
    /// Who signed it.
    pub sender: Address,
    /// What.
    pub tx: TxFields,
}

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
    /// False if it reverted.
    pub success: bool,
}

#[derive(Clone, Debug)]
struct Block {
    head: BlockRef,
    txs: Vec<MinedTx>,
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
    /// Accounts with less than endless wei.
    pub balances: HashMap<Address, U256>,
    /// Contracts whose calls revert.
    pub reverting: HashSet<Address>,
    blocks: Vec<Block>,
    pool: BTreeMap<(Address, u64), (B256, FakeTx)>,
    /// Makes the blocks of each branch distinct.
    branch: u64,
}

impl FakeTx {
    /// Whom it calls; this chain knows no creations.
    fn to(&self) -> Address {
        match self.tx.target {
            TxTarget::To(to) => to,
            TxTarget::Create => Address::ZERO,
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let tx = &self.tx;
        let mut bytes = self.sender.to_vec();
        bytes.extend(tx.chain_id.0.to_be_bytes());
        bytes.extend(tx.nonce.to_be_bytes());
        bytes.extend(tx.gas_limit.to_be_bytes());
        bytes.extend(tx.fees.max_fee().to_be_bytes());
        bytes.push(u8::from(tx.fees.priority_fee().is_some()));
        bytes.extend(tx.fees.priority_fee().unwrap_or(0).to_be_bytes());
        bytes.extend(self.to());
        bytes.extend(tx.value.to_be_bytes::<32>());
        bytes.extend(&tx.data);
        bytes
    }

    /// Reads its bytes back; `None` for anything else.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let sender = Address::from(take::<20>(&mut bytes)?);
        let chain_id = ChainId(u64::from_be_bytes(take(&mut bytes)?));
        let nonce = u64::from_be_bytes(take(&mut bytes)?);
        let gas_limit = u64::from_be_bytes(take(&mut bytes)?);
        let max_fee = u128::from_be_bytes(take(&mut bytes)?);
        let has_priority = take::<1>(&mut bytes)? == [1];
        let priority = u128::from_be_bytes(take(&mut bytes)?);
        let to = Address::from(take::<20>(&mut bytes)?);
        let value = U256::from_be_bytes(take::<32>(&mut bytes)?);
        let fees = Fees::from_parts(max_fee, has_priority.then_some(priority));
        let data = Bytes::copy_from_slice(bytes);
        let tx = TxFields::of_call(chain_id, nonce, &Call { to, value, data }, gas_limit, fees);
        Some(Self { sender, tx })
    }
}

impl Model {
    /// A chain with its first block.
    pub fn new(chain_id: ChainId) -> Self {
        let mut model = Self {
            chain_id,
            base_fee: 1_000,
            l1_fee: U256::ZERO,
            legacy: false,
            balances: HashMap::new(),
            reverting: HashSet::new(),
            blocks: Vec::new(),
            pool: BTreeMap::new(),
            branch: 0,
        };
        model.push_block(Vec::new());
        model
    }

    /// Newest block.
    pub fn head(&self) -> BlockRef {
        self.blocks.last().map(|block| block.head).unwrap_or(BlockRef {
            number: 0,
            hash: B256::ZERO,
            timestamp: UnixSeconds::default(),
            base_fee: None,
        })
    }

    /// Header at a height.
    pub fn block(&self, number: u64) -> Option<BlockRef> {
        let index = usize::try_from(number).ok()?;
        self.blocks.get(index).map(|block| block.head)
    }

    /// Every transaction in the chain, in order.
    pub fn mined(&self) -> impl Iterator<Item = &MinedTx> {
        self.blocks.iter().flat_map(|block| &block.txs)
    }

    /// Transactions of an account in blocks.
    pub fn account_nonce(&self, account: Address) -> u64 {
        let count = self.mined().filter(|mined| mined.sender == account).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Receipt of a transaction in a block at or below `highest`.
    pub fn receipt(&self, hash: B256, highest: u64) -> Option<Receipt> {
        self.blocks.iter().filter(|block| block.head.number <= highest).find_map(|block| {
            let mined = block.txs.iter().find(|mined| mined.hash == hash)?;
            Some(Receipt {
                tx_hash: hash,
                success: mined.success,
                block_number: block.head.number,
                block_hash: block.head.hash,
                gas_used: GAS,
                effective_gas_price: block.head.base_fee.unwrap_or(self.base_fee),
                l1_fee: 0,
                contract_address: None,
                logs: Vec::new(),
            })
        })
    }

    /// The transaction in blocks from `from` to `to` that used a nonce.
    pub fn nonce_use(&self, account: Address, nonce: u64, from: u64, to: u64) -> Option<NonceUse> {
        let blocks = self.blocks.iter().filter(|block| (from..=to).contains(&block.head.number));
        blocks.flat_map(|block| block.txs.iter().map(move |mined| (block.head, mined))).find_map(
            |(block, mined)| {
                let is_it = mined.sender == account && mined.nonce == nonce;
                is_it.then_some(NonceUse { tx_hash: mined.hash, block })
            },
        )
    }

    /// True if a transaction with this calldata went through at or below `highest`.
    pub fn has_effect(&self, data: &Bytes, highest: u64) -> bool {
        let blocks = self.blocks.iter().filter(|block| block.head.number <= highest);
        blocks.flat_map(|block| &block.txs).any(|mined| mined.success && mined.data == *data)
    }

    /// Takes raw bytes, by the rules of real pools.
    pub fn send(&mut self, raw: &[u8]) -> SendOutcome {
        let Some(tx) = FakeTx::decode(raw).filter(|tx| tx.tx.chain_id == self.chain_id) else {
            return SendOutcome::Rejected("not a transaction of this chain".to_owned());
        };
        let hash = keccak256(raw);
        let slot = (tx.sender, tx.tx.nonce);
        if tx.tx.nonce < self.account_nonce(tx.sender) {
            return SendOutcome::NonceTooLow;
        }
        if let Some((pooled, old)) = self.pool.get(&slot) {
            if *pooled == hash {
                return SendOutcome::AlreadyKnown;
            }
            if !raises(old.tx.fees, tx.tx.fees) {
                return SendOutcome::Underpriced;
            }
        }
        let gas_cost = U256::from(tx.tx.fees.max_fee()).saturating_mul(U256::from(tx.tx.gas_limit));
        let funds = self.balances.get(&tx.sender).copied().unwrap_or(U256::MAX);
        if tx.tx.value.saturating_add(gas_cost) > funds {
            return SendOutcome::InsufficientFunds;
        }
        self.pool.insert(slot, (hash, tx));
        SendOutcome::Accepted
    }

    /// Mines a block of everything in the pool that can go in.
    pub fn mine(&mut self) {
        let mut txs: Vec<MinedTx> = Vec::new();
        let pooled: Vec<_> = self.pool.keys().copied().collect();
        for (sender, nonce) in pooled {
            let in_block = txs.iter().filter(|mined| mined.sender == sender).count();
            let next = self
                .account_nonce(sender)
                .saturating_add(u64::try_from(in_block).unwrap_or(u64::MAX));
            let pays = self
                .pool
                .get(&(sender, nonce))
                .is_some_and(|(_, tx)| tx.tx.fees.max_fee() >= self.base_fee);
            if nonce == next
                && pays
                && let Some((hash, tx)) = self.pool.remove(&(sender, nonce))
            {
                let success = !self.reverting.contains(&tx.to());
                txs.push(MinedTx { hash, sender, nonce, data: tx.tx.data, success });
            }
        }
        self.push_block(txs);
    }

    /// Replaces the newest `depth` blocks by as many empty ones and one more. Their transactions
    /// go back to the pool, or nowhere.
    pub fn reorg(&mut self, depth: u64, keep: bool, pool: &[Bytes]) {
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        let depth = depth.min(self.blocks.len().saturating_sub(1));
        let gone = self.blocks.split_off(self.blocks.len().saturating_sub(depth));
        self.branch = self.branch.saturating_add(1);
        for _ in 0..=depth {
            self.push_block(Vec::new());
        }
        let lost: HashSet<B256> =
            gone.iter().flat_map(|block| &block.txs).map(|mined| mined.hash).collect();
        if keep {
            for raw in pool.iter().filter(|raw| lost.contains(&keccak256(raw))) {
                self.send(raw);
            }
        }
    }

    /// Forgets the `index`-th transaction of the pool, as a full pool does.
    pub fn evict(&mut self, index: usize) {
        let length = self.pool.len().max(1);
        let key = self.pool.keys().nth(index.checked_rem(length).unwrap_or(0)).copied();
        if let Some(key) = key {
            self.pool.remove(&key);
        }
    }

    /// Mines a transaction of the account that another program signed.
    pub fn mine_foreign(&mut self, sender: Address) {
        let nonce = self.account_nonce(sender);
        self.pool.remove(&(sender, nonce));
        let seed = [sender.as_slice(), &nonce.to_be_bytes(), &self.branch.to_be_bytes()].concat();
        let hash = keccak256(seed);
        let data = Bytes::from_static(b"foreign");
        self.push_block(vec![MinedTx { hash, sender, nonce, data, success: true }]);
    }

    fn push_block(&mut self, txs: Vec<MinedTx>) {
        let number = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        let hash = keccak256([number.to_be_bytes(), self.branch.to_be_bytes()].concat());
        // Two seconds a block, from some day in 2023.
        let timestamp = UnixSeconds::new(1_700_000_000).unwrap_or_default();
        let timestamp = timestamp.plus(number.saturating_mul(2));
        let base_fee = (!self.legacy).then_some(self.base_fee);
        let head = BlockRef { number, hash, timestamp, base_fee };
        self.blocks.push(Block { head, txs });
    }
}

/// The rule of geth and reth: a tenth more in every field.
fn raises(old: Fees, new: Fees) -> bool {
    let is_more =
        |old: u128, new: u128| new > old && new.saturating_mul(10) >= old.saturating_mul(11);
    let tip = |fees: Fees| fees.priority_fee().unwrap_or(fees.max_fee());
    is_more(old.max_fee(), new.max_fee()) && is_more(tip(old), tip(new))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}
