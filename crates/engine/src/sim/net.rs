//! The endpoints of the simulated chain: what each one answers, faults included.

use alloy_primitives::{Bytes, keccak256};
use capstan_base::{Address, B256, U256};
use capstan_chain::{BlockRef, BlockTag, Call, GasPrice, NonceUse, Receipt, SendOutcome};
use capstan_store::MemoryStore;

use super::faults::{Faults, PriceLie, use_one};
use crate::chain::Estimate;
use crate::fake::contracts::Calls;
use crate::fake::model::{Model, Node};

/// Blocks without which an endpoint is late: what five seconds are on the simulated chain. An
/// endpoint that lacks more has no voice in what is not there.
const MAX_LATE: u64 = 2;

/// What a priority fee is suggested to be.
const PRIORITY: u128 = 10;

/// The chain, its endpoints, and who watches what they are sent.
pub(crate) struct Net {
    pub(crate) model: Model,
    /// By node of the model.
    pub(crate) faults: Vec<Faults>,
    /// What is sent has to be in it.
    pub(crate) store: MemoryStore,
    /// What was sent and is not.
    pub(crate) unstored: Vec<B256>,
    /// Sends so far.
    pub(crate) sends: u64,
    /// Everything that is to be printed of a run, if it is.
    pub(crate) trace: Option<Vec<String>>,
}

impl Net {
    pub(crate) fn log(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    /// Endpoints, the freshest first.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.faults.len()).collect();
        order.sort_by_key(|index| (core::cmp::Reverse(self.height(*index)), *index));
        order
    }

    /// Endpoints with a voice, the freshest first.
    pub(super) fn in_step(&self) -> Vec<usize> {
        let mut order = self.order();
        let top = order.first().map_or(0, |index| self.height(*index));
        order.retain(|index| self.height(*index).saturating_add(MAX_LATE) >= top);
        order
    }

    /// The head an endpoint is known to have.
    fn height(&self, index: usize) -> u64 {
        if self.is_away(index) {
            0
        } else {
            self.node(index).map_or(0, |node| node.branch.head().number)
        }
    }

    fn node(&self, index: usize) -> Option<&Node> {
        self.model.nodes.get(index)
    }

    fn fault(&mut self, index: usize, of: impl FnOnce(&mut Faults) -> &mut u32) -> bool {
        self.faults.get_mut(index).is_some_and(|faults| use_one(of(faults)))
    }

    /// True if it answers at all.
    fn answers(&mut self, index: usize) -> bool {
        !self.fault(index, |faults| &mut faults.errors)
    }

    fn is_elsewhere(&mut self, index: usize) -> bool {
        self.fault(index, |faults| &mut faults.wrong_chain)
    }

    /// A block; the outer `None` is no answer.
    pub(super) fn block(&mut self, index: usize, tag: BlockTag) -> Option<Option<BlockRef>> {
        if !self.answers(index) {
            return None;
        }
        let elsewhere = self.is_elsewhere(index);
        let wrong = self.fault(index, |faults| &mut faults.wrong_hashes);
        let final_height = self.final_height(index);
        let branch = &self.node(index)?.branch;
        let block = match tag {
            BlockTag::Latest => Some(branch.head()),
            BlockTag::Number(number) => branch.block(number).map(|block| block.head),
            BlockTag::Safe | BlockTag::Finalized => {
                final_height.and_then(|height| branch.block(height)).map(|block| block.head)
            }
        };
        Some(block.map(|block| {
            if elsewhere {
                let number = block.number.checked_div(2).unwrap_or(0);
                BlockRef { number, hash: keccak256(block.hash), ..block }
            } else if wrong {
                BlockRef { hash: keccak256(block.hash), ..block }
            } else {
                block
            }
        }))
    }

    fn final_height(&self, index: usize) -> Option<u64> {
        let own = self.height(index).checked_sub(self.model.final_depth)?;
        self.model.final_height().map(|height| height.min(own))
    }

    pub(super) fn account_nonce(&mut self, index: usize, account: Address) -> Option<u64> {
        if !self.answers(index) {
            return None;
        }
        let elsewhere = self.is_elsewhere(index);
        let stale = self.fault(index, |faults| &mut faults.stale_nonces);
        let high = self.fault(index, |faults| &mut faults.high_nonces);
        let nonce = self.node(index)?.branch.account(account).nonce;
        Some(match (elsewhere, stale, high) {
            (true, ..) => 0,
            (_, true, _) => nonce.saturating_sub(3),
            (.., true) => nonce.saturating_add(3),
            _ => nonce,
        })
    }

    pub(super) fn balance(&mut self, index: usize, account: Address) -> Option<U256> {
        if !self.answers(index) {
            return None;
        }
        if self.is_elsewhere(index) {
            return Some(U256::ZERO);
        }
        let spent = self.node(index)?.branch.account(account).spent;
        Some(self.model.funds(account).saturating_sub(spent))
    }

    pub(super) fn estimate(
        &mut self,
        index: usize,
        from: Address,
        call: &Call,
    ) -> Option<Estimate> {
        let balance = self.balance(index, from)?;
        let may_lie = self.faults.len() == 1 || self.is_outvoted(index);
        let false_revert = may_lie && self.fault(index, |faults| &mut faults.false_reverts);
        if call.value > balance {
            return None;
        }
        let branch = &self.node(index)?.branch;
        let calls = Calls::decode(call.to, &call.data);
        let (success, _) = branch.run(&calls, branch.head().timestamp.plus(2).get());
        Some(if success && !false_revert {
            Estimate::Gas { gas: calls.gas(), rollup_fee: self.model.l1_fee }
        } else {
            Estimate::Revert(Bytes::from_static(&[0x08, 0xc3, 0x79, 0xa0]))
        })
    }

    pub(super) fn gas_price(&mut self, index: usize) -> Option<GasPrice> {
        if !self.answers(index) {
            return None;
        }
        let faults = self.faults.get_mut(index)?;
        let lie = use_one(&mut faults.price_lies.0).then_some(faults.price_lies.1);
        let base = self.node(index)?.branch.head().base_fee.unwrap_or(self.model.base_fee);
        let base = match lie {
            Some(PriceLie::High) => base.saturating_mul(20),
            Some(PriceLie::Low) => base.checked_div(20).unwrap_or(1).max(1),
            None => base,
        };
        Some(if self.model.legacy {
            GasPrice::Legacy { gas_price: base.saturating_add(PRIORITY) }
        } else {
            GasPrice::Eip1559 { base, priority: PRIORITY }
        })
    }

    pub(super) fn send(&mut self, index: usize, raw: &Bytes) -> SendOutcome {
        let none = || SendOutcome::Unknown("no answer".to_owned());
        if !self.answers(index) || self.fault(index, |faults| &mut faults.lose_sends) {
            return none();
        }
        if self.is_elsewhere(index) {
            // The pool of endpoints does not send there.
            return none();
        }
        let Some(faults) = self.faults.get_mut(index) else { return none() };
        if use_one(&mut faults.refusals.0) {
            return faults.refusals.1.outcome();
        }
        let outcome = self.model.send_to(index, raw);
        let unanswered = self.fault(index, |faults| &mut faults.lose_replies);
        if unanswered { none() } else { outcome }
    }

    /// The outer `None` is no answer.
    pub(super) fn receipt(&mut self, index: usize, hash: B256) -> Option<Option<Receipt>> {
        if !self.answers(index) {
            return None;
        }
        if self.is_elsewhere(index) || self.fault(index, |faults| &mut faults.null_receipts) {
            return Some(None);
        }
        let truth = self.node(index)?.branch.receipt(hash, u64::MAX);
        let Some(truth) = truth else { return Some(None) };
        if !self.can_be_contradicted(index) {
            return Some(Some(truth));
        }
        let lies = self.faults.get_mut(index).map(|faults| &mut faults.receipt_lies)?;
        let lie = use_one(&mut lies.0).then_some(lies.1);
        let Some(lie) = lie else { return Some(Some(truth)) };
        let (_, mined) = self.node(index)?.branch.find(hash)?;
        Some(Some(lie.tell(truth, mined.tx.tx.gas_limit)))
    }

    /// True if another endpoint in step could tell otherwise. Nobody is safe from the only one.
    fn can_be_contradicted(&self, index: usize) -> bool {
        self.in_step().iter().any(|other| *other != index)
    }

    /// True if another endpoint in step could tell otherwise of the newest state, and none would say
    /// the same because it has an older one: that would be two that are wrong.
    fn is_outvoted(&self, index: usize) -> bool {
        let newest = self.model.head().hash;
        let is_newest =
            |other: usize| self.node(other).is_some_and(|node| node.branch.head().hash == newest);
        let in_step = self.in_step().into_iter();
        let mut others = in_step.filter(|other| *other != index).peekable();
        others.peek().is_some() && others.all(is_newest)
    }

    /// True if it answers for another chain now, and will not for long.
    pub(super) fn is_away(&self, index: usize) -> bool {
        self.faults.get(index).is_some_and(|faults| faults.wrong_chain > 0)
    }

    /// The outer `None` is no answer.
    pub(super) fn nonce_use(
        &mut self,
        index: usize,
        account: Address,
        nonce: u64,
        blocks: (u64, u64),
    ) -> Option<Option<NonceUse>> {
        if !self.answers(index) {
            return None;
        }
        if self.is_elsewhere(index) || self.fault(index, |faults| &mut faults.hidden_uses) {
            return Some(None);
        }
        let found = self.node(index)?.branch.nonce_use(account, nonce);
        let found = found.filter(|(block, _)| (blocks.0..=blocks.1).contains(&block.number));
        Some(found.map(|(block, tx_hash)| NonceUse { tx_hash, block }))
    }

    pub(super) fn has_effect(&mut self, index: usize, call: &Call, at: BlockTag) -> Option<bool> {
        if !self.answers(index) {
            return None;
        }
        if self.is_elsewhere(index) {
            return Some(false);
        }
        let highest = match at {
            BlockTag::Latest => u64::MAX,
            BlockTag::Number(number) => number,
            BlockTag::Safe | BlockTag::Finalized => match self.final_height(index) {
                Some(height) => height,
                None => return Some(false),
            },
        };
        let truth = self.node(index)?.branch.has_effect(&call.data, highest);
        let lies =
            self.can_be_contradicted(index) && self.fault(index, |faults| &mut faults.effect_lies);
        Some(truth != lies)
    }
}
