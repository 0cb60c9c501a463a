//! The seam to whoever knows how calls share a transaction.

use core::fmt;

use capstan_base::Address;
use capstan_chain::{BatchKind, Call, Receipt, batch};

/// What calls must have in common to share a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// Who makes the shared call's calls.
    pub to: Address,
    /// In which of its ways.
    pub kind: u8,
}

/// What became of one call of a shared transaction that was mined and did not revert as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It had its effect.
    Done,
    /// It had none; why, as far as the chain says.
    Failed(String),
}

/// How several calls become one, such that each may fail alone. Pure: it looks at nothing but its
/// arguments, and gives the same answer each time, or a replacement would do something else than
/// the attempt it replaces.
pub trait Batching: fmt::Debug + Send + Sync + 'static {
    /// The calls it may share a transaction with; `None`: it goes alone.
    fn group(&self, sender: Address, call: &Call) -> Option<Group>;
    /// Calls of a group are put in the order of this key, where neighbours are cheaper.
    fn sort_key(&self, _call: &Call) -> Vec<u8> {
        Vec::new()
    }
    /// One call that makes all of these, two or more of one group, in this order; `None` if it
    /// cannot be done.
    fn merge(&self, sender: Address, calls: &[Call]) -> Option<Call>;
    /// What became of each, from the receipt of the merged call, whatever is configured by then.
    fn outcomes(&self, sender: Address, calls: &[Call], receipt: &Receipt) -> Vec<ItemOutcome>;
}

/// Every call goes alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Singles;

impl Batching for Singles {
    fn group(&self, _sender: Address, _call: &Call) -> Option<Group> {
        None
    }

    fn merge(&self, _sender: Address, _calls: &[Call]) -> Option<Call> {
        None
    }

    fn outcomes(&self, _sender: Address, _calls: &[Call], _receipt: &Receipt) -> Vec<ItemOutcome> {
        Vec::new()
    }
}

/// By what contracts offer: the marketplace's own batch call, or the account's own code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContractBatches {
    /// The marketplace, whose closes share a transaction.
    pub(crate) marketplace: Option<Address>,
    /// The account has been given code that makes many calls (EIP-7702).
    pub(crate) is_delegated: bool,
}

impl ContractBatches {
    fn kind(&self, sender: Address, call: &Call) -> Option<BatchKind> {
        let native = batch::native_kind(call).filter(|_| Some(call.to) == self.marketplace);
        let own = BatchKind::SelfCall { account: sender };
        native.or_else(|| (self.is_delegated && call.to != sender).then_some(own))
    }
}

impl Batching for ContractBatches {
    fn group(&self, sender: Address, call: &Call) -> Option<Group> {
        self.kind(sender, call).map(|kind| match kind {
            BatchKind::Completions { marketplace } => Group { to: marketplace, kind: 0 },
            BatchKind::SelfCall { account } => Group { to: account, kind: 1 },
        })
    }

    fn sort_key(&self, call: &Call) -> Vec<u8> {
        let key = batch::sort_key(call);
        key.map(|(token, renter)| [token, renter].concat()).unwrap_or_default()
    }

    fn merge(&self, sender: Address, calls: &[Call]) -> Option<Call> {
        let kind = self.kind(sender, calls.first()?)?;
        batch::merge(kind, &calls.iter().collect::<Vec<_>>())
    }

    /// Whichever way the calls went, only the contract that made them can have left its word: the
    /// account may have ended its delegation since, and the marketplace be another.
    fn outcomes(&self, sender: Address, calls: &[Call], receipt: &Receipt) -> Vec<ItemOutcome> {
        let calls: Vec<&Call> = calls.iter().collect();
        let own = batch::outcomes(BatchKind::SelfCall { account: sender }, &calls, receipt);
        let native = calls.first().and_then(|call| batch::native_kind(call));
        let native = native.map(|kind| batch::outcomes(kind, &calls, receipt));
        let either = |(own, native)| match (own, native) {
            (batch::ItemOutcome::Done, _) | (_, batch::ItemOutcome::Done) => ItemOutcome::Done,
            (_, batch::ItemOutcome::Failed { reason }) => ItemOutcome::Failed(reason.to_string()),
        };
        own.clone().into_iter().zip(native.unwrap_or(own)).map(either).collect()
    }
}

#[cfg(test)]
mod tests;
