//! The policy's file: every mistake in it is told at once.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Selector;
use capstan_base::{Address, ChainId, U256};
use capstan_kit::problems::Problems;
use serde::Deserialize;

use super::{AgentPolicy, Calls, ChainPolicy, Policy};
use crate::protocol::ChildPath;

const ADDRESS_BITS: usize = 160;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    agents: BTreeMap<String, Agent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Agent {
    path: Vec<u32>,
    address: Option<String>,
    approvers: Vec<String>,
    quorum: usize,
    requests_per_hour: u64,
    #[serde(default)]
    chains: BTreeMap<String, Chain>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    max_value: String,
    max_value_per_day: String,
    max_gas_cost: String,
    #[serde(default)]
    recipients: BTreeMap<String, Vec<String>>,
}

/// Reads a policy; see the module for its form.
///
/// # Errors
/// Every mistake, with the place where it is.
pub fn parse(text: &str) -> Result<Policy, Problems> {
    let mut problems = Problems::new();
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            problems.add("policy", error.to_string().trim_end(), "");
            return Err(problems);
        }
    };
    let mut agents = BTreeMap::new();
    for (name, agent) in file.agents {
        let path = format!("agents.{name}");
        match number(&name) {
            Some(id) => {
                let known =
                    agents.insert(id, read_agent(&path, id, agent, &mut problems)).is_some();
                if known {
                    problems.add(path, "is there twice, written in two ways", "");
                }
            }
            None => problems.add(
                path,
                "is no agent's id",
                "its token in the registry, as 0x... or decimal",
            ),
        }
    }
    if problems.is_empty() { Ok(Policy { agents }) } else { Err(problems) }
}

fn read_agent(path: &str, id: U256, agent: Agent, problems: &mut Problems) -> AgentPolicy {
    let address = read_address(path, id, agent.address.as_deref(), problems);
    if agent.path.is_empty() || agent.path.iter().any(|child| *child >= 1 << 31) {
        let hint = "at least one number, each below 2^31";
        problems.add(format!("{path}.path"), "is no path of children", hint);
    }
    let mut approvers = BTreeSet::new();
    for text in &agent.approvers {
        match text.parse::<Address>() {
            Ok(approver) => {
                approvers.insert(approver);
            }
            Err(_) => {
                problems.add(format!("{path}.approvers"), format!("`{text}` is no address"), "")
            }
        }
    }
    let quorum = agent.quorum;
    if quorum == 0 || quorum > approvers.len() {
        let hint = "with no quorum whoever reaches this machine could have anything signed";
        let message = format!("must be from 1 to the number of approvers, {}", approvers.len());
        problems.add(format!("{path}.quorum"), message, hint);
    }
    let mut chains = BTreeMap::new();
    for (name, chain) in agent.chains {
        let path = format!("{path}.chains.{name}");
        match name.parse::<u64>() {
            Ok(id) if id != 0 => {
                chains.insert(ChainId(id), read_chain(&path, &chain, problems));
            }
            _ => problems.add(path, "is no chain id", "a decimal number from 1"),
        }
    }
    let (path, requests_per_hour) = (ChildPath::new(agent.path), agent.requests_per_hour);
    AgentPolicy { path, address, approvers, quorum, requests_per_hour, chains }
}

/// The agent's id is its first address, as a number.
fn read_address(path: &str, id: U256, text: Option<&str>, problems: &mut Problems) -> Address {
    let Some(text) = text else {
        if id.bit_len() > ADDRESS_BITS {
            let hint = "its id in the registry is its first address";
            problems.add(path, "is no address, as an agent's id is", hint);
        }
        return Address::from_word(id.into());
    };
    text.parse().unwrap_or_else(|_| {
        problems.add(format!("{path}.address"), format!("`{text}` is no address"), "");
        Address::ZERO
    })
}

fn read_chain(path: &str, chain: &Chain, problems: &mut Problems) -> ChainPolicy {
    let mut wei = |field: &str, text: &str| {
        number(text).unwrap_or_else(|| {
            problems.add(
                format!("{path}.{field}"),
                format!("`{text}` is no amount"),
                "wei, as a string",
            );
            U256::ZERO
        })
    };
    let max_value = wei("max_value", &chain.max_value);
    let max_value_per_day = wei("max_value_per_day", &chain.max_value_per_day);
    let max_gas_cost = wei("max_gas_cost", &chain.max_gas_cost);
    let mut recipients = BTreeMap::new();
    for (name, calls) in &chain.recipients {
        let path = format!("{path}.recipients.{name}");
        let recipient = match name.as_str() {
            "any" => None,
            name => match name.parse::<Address>() {
                Ok(address) => Some(address),
                Err(_) => {
                    problems.add(
                        path,
                        "is no address",
                        "or `any`, for all that have no line of their own",
                    );
                    continue;
                }
            },
        };
        recipients.insert(recipient, read_calls(&path, calls, problems));
    }
    ChainPolicy { max_value, max_value_per_day, max_gas_cost, recipients }
}

fn read_calls(path: &str, names: &[String], problems: &mut Problems) -> Calls {
    let mut calls = Calls::default();
    for name in names {
        match (name.as_str(), name.parse::<Selector>()) {
            ("any", _) => calls.any = true,
            ("plain", _) => calls.plain = true,
            (text, Ok(selector)) if text.starts_with("0x") => {
                calls.selectors.insert(selector);
            }
            (text, _) => {
                let hint =
                    "a selector of four bytes as 0xa9059cbb, `plain` for no calldata, or `any`";
                problems.add(path, format!("`{text}` is no call"), hint);
            }
        }
    }
    calls
}

/// Decimal or 0x-hex, without signs or separators.
fn number(text: &str) -> Option<U256> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    U256::from_str_radix(digits, u64::from(radix)).ok()
}
