//! What a member is willing to sign. It is the member's own: nothing that a request carries changes it.
//!
//! ```toml
//! [agents."0x00000000000000000000000000000000000000a9"]
//! path = [0, 7]                # its key below the committee's, BIP-32
//! approvers = ["0x1111111111111111111111111111111111111111"]
//! quorum = 1
//! requests_per_hour = 60
//!
//! [agents."0x00000000000000000000000000000000000000a9".chains.84532]
//! max_value = "1000000000000000000"          # wei in one transaction
//! max_value_per_day = "5000000000000000000"  # wei in any 24 hours
//! max_gas_cost = "10000000000000000"         # gas limit times highest price, wei
//! recipients."0x2222222222222222222222222222222222222222" = ["plain", "0xa9059cbb"]
//! recipients.any = ["plain"]
//! ```
//!
//! An agent's id is its first address. One that has moved on from it has `address = "0x..."` as well.
//!
//! What is not allowed is refused: an agent, a chain, a recipient or a call that is not named.

use std::collections::{BTreeMap, BTreeSet};

use alloy_consensus::Transaction;
use alloy_primitives::Selector;
use capstan_base::{Address, ChainId, U256, UnsignedTransaction};

use crate::protocol::ChildPath;

mod config;

pub use config::parse;

/// Everything one member allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    agents: BTreeMap<U256, AgentPolicy>,
}

/// What one agent may do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AgentPolicy {
    path: ChildPath,
    address: Address,
    approvers: BTreeSet<Address>,
    quorum: usize,
    requests_per_hour: u64,
    chains: BTreeMap<ChainId, ChainPolicy>,
}

/// What it may do on one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ChainPolicy {
    max_value: U256,
    max_value_per_day: U256,
    max_gas_cost: U256,
    /// By recipient; `None` is any that has no line of its own.
    recipients: BTreeMap<Option<Address>, Calls>,
}

/// Which calldata may go to a recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Calls {
    /// Any at all.
    any: bool,
    /// None.
    plain: bool,
    selectors: BTreeSet<Selector>,
}

/// What this member has signed for an agent lately, this request not included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests on all chains within the last hour.
    pub requests_last_hour: u64,
    /// Wei sent on the transaction's chain within the last 24 hours.
    pub value_last_day: U256,
}

/// Every reason why a transaction is not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not allowed: {}", .0.join("; "))]
pub struct Refused(pub Vec<String>);

impl Policy {
    /// Where the agent's key is, below the committee's, and the address it has to have.
    pub fn key_of(&self, agent: U256) -> Option<(ChildPath, Address)> {
        self.agents.get(&agent).map(|policy| (policy.path.clone(), policy.address))
    }

    /// Succeeds if `agent` may have `transaction` signed, `approvers` having approved of the output that
    /// asks for it.
    ///
    /// # Errors
    /// [`Refused`] with all reasons at once.
    pub fn check(
        &self,
        agent: U256,
        transaction: &UnsignedTransaction,
        approvers: &[Address],
        usage: &Usage,
    ) -> Result<(), Refused> {
        let Some(policy) = self.agents.get(&agent) else {
            return Err(Refused(vec![format!("agent {agent:#x} is unknown here")]));
        };
        let mut reasons = Vec::new();
        policy.check_request(approvers, usage, &mut reasons);
        match policy.chains.get(&transaction.chain_id()) {
            Some(chain) => chain.check(transaction, usage, &mut reasons),
            None => {
                reasons.push(format!("chain {} is not among its chains", transaction.chain_id()))
            }
        }
        if reasons.is_empty() { Ok(()) } else { Err(Refused(reasons)) }
    }
}

impl AgentPolicy {
    fn check_request(&self, approvers: &[Address], usage: &Usage, reasons: &mut Vec<String>) {
        let approved: BTreeSet<_> =
            approvers.iter().filter(|each| self.approvers.contains(*each)).collect();
        if approved.len() < self.quorum {
            reasons.push(format!("{} of {} approvals", approved.len(), self.quorum));
        }
        if usage.requests_last_hour >= self.requests_per_hour {
            reasons.push(format!("{} requests within the hour", self.requests_per_hour));
        }
    }
}

impl ChainPolicy {
    fn check(&self, transaction: &UnsignedTransaction, usage: &Usage, reasons: &mut Vec<String>) {
        let fields = transaction.fields();
        if fields.authorization_list().is_some() {
            // It would hand the account to code that no limit here looks at.
            reasons.push("it changes the code of an account (EIP-7702)".to_owned());
        }
        match fields.to() {
            None => reasons.push("it creates a contract".to_owned()),
            Some(to) => self.check_call(to, fields.input(), reasons),
        }
        let value = fields.value();
        if value > self.max_value {
            reasons.push(format!("value {value} wei is above {}", self.max_value));
        }
        let day = usage.value_last_day.checked_add(value);
        if day.is_none_or(|day| day > self.max_value_per_day) {
            reasons.push(format!(
                "value within 24 hours would be above {} wei",
                self.max_value_per_day
            ));
        }
        let price = U256::from(fields.max_fee_per_gas());
        let cost = U256::from(fields.gas_limit()).checked_mul(price);
        if cost.is_none_or(|cost| cost > self.max_gas_cost) {
            reasons.push(format!("gas could cost more than {} wei", self.max_gas_cost));
        }
    }

    fn check_call(&self, to: Address, data: &[u8], reasons: &mut Vec<String>) {
        let own = self.recipients.get(&Some(to));
        let Some(calls) = own.or_else(|| self.recipients.get(&None)) else {
            reasons.push(format!("recipient {to} is not among its recipients"));
            return;
        };
        if !calls.allow(data) {
            let shown = data.get(..4).map(Selector::from_slice);
            let call = shown.map_or_else(|| "this calldata".to_owned(), |call| call.to_string());
            let call = if data.is_empty() { "a plain transfer".to_owned() } else { call };
            reasons.push(format!("{call} to {to} is not among its calls"));
        }
    }
}

impl Calls {
    fn allow(&self, data: &[u8]) -> bool {
        let selector = data.get(..4).map(Selector::from_slice);
        self.any
            || (self.plain && data.is_empty())
            || selector.is_some_and(|selector| self.selectors.contains(&selector))
    }
}
