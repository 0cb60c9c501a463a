//! How calls of the simulated contract share a transaction.

use capstan_base::Address;
use capstan_chain::{Call, Receipt};

use crate::batching::{Batching, Group, ItemOutcome};
use crate::fake::contracts::{CONTRACT, failed_items, merged};

/// The contract's own batch: calls of one kind without value.
#[derive(Debug)]
pub(super) struct ContractBatch;

impl Batching for ContractBatch {
    fn group(&self, _sender: Address, call: &Call) -> Option<Group> {
        let kind = *call.data.first()?;
        (call.to == CONTRACT && call.value.is_zero()).then_some(Group { to: call.to, kind })
    }

    fn merge(&self, _sender: Address, calls: &[Call]) -> Option<Call> {
        let data = merged(calls.iter().map(|call| &call.data))?;
        Some(Call { to: CONTRACT, value: Default::default(), data })
    }

    fn outcomes(&self, _sender: Address, _calls: &[Call], receipt: &Receipt) -> Vec<ItemOutcome> {
        let outcome = |failed| match failed {
            false => ItemOutcome::Done,
            true => ItemOutcome::Failed("its call reverted".to_owned()),
        };
        failed_items(receipt).unwrap_or_default().into_iter().map(outcome).collect()
    }
}
