//! The seam to whoever knows how calls share a transaction.

use core::fmt;

use capstan_base::Address;
use capstan_chain::{Call, Receipt};

/// What calls must have in common to share a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// Contract that is called.
    pub to: Address,
    /// Its function, by the first four bytes of the calldata.
    pub selector: [u8; 4],
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
    /// What became of each, from the receipt of the merged call.
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
