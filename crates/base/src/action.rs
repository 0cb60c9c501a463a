//! What an agent asks for: structured actions, from JSON to the transaction that is signed.
//!
//! ```json
//! { "actions": [ {
//!     "action_type": "transaction",
//!     "chain_id": 1,
//!     "to": "0x1111111111111111111111111111111111111111",
//!     "value": "0x3e8",
//!     "data": "0x",
//!     "gas_limit": "21000",
//!     "gas_price": "0x3b9aca00",
//!     "nonce": "0x0",
//!     "tx_type": "legacy"
//! } ] }
//! ```
//!
//! Numbers are JSON integers, or strings in decimal or 0x-hex. Left out: `value` and `nonce` are 0,
//! `gas_limit` is 21000, `gas_price` 1 gwei, `max_fee_per_gas` the gas price, `max_priority_fee_per_gas`
//! 1 gwei or all of a smaller maximum, `tx_type` eip1559. What is there and cannot be read is refused,
//! with one exception: malformed `data` counts as empty, and is reported.

use alloy_consensus::{TxEip1559, TxEip2930, TxLegacy};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::ChainId;
use crate::transaction::{TransactionError, UnsignedTransaction};

mod numbers;
#[cfg(test)]
mod tests;

use numbers::number;

const GWEI: u128 = 1_000_000_000;
/// What a plain transfer costs.
const DEFAULT_GAS_LIMIT: u64 = 21_000;
const DEFAULT_GAS_PRICE: u128 = GWEI;
const DEFAULT_PRIORITY_FEE: u128 = GWEI;

/// Both say the same: the second name is older.
const ACTION_TYPES: [&str; 2] = ["transaction", "multi_chain_transaction"];

/// How a transaction pays for gas, wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActionFees {
    /// EIP-155.
    Legacy {
        /// Price.
        gas_price: u128,
    },
    /// EIP-2930.
    Eip2930 {
        /// Price.
        gas_price: u128,
    },
    /// EIP-1559.
    Eip1559 {
        /// At most, base fee included.
        max_fee: u128,
        /// Of that to the block's producer.
        priority_fee: u128,
    },
}

/// One transaction that an agent asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Chain it is for.
    pub chain_id: ChainId,
    /// Account or contract that is called.
    pub to: Address,
    /// Wei that goes along.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
    /// Gas units at most.
    pub gas_limit: u64,
    /// Kind of the transaction, and its price.
    pub fees: ActionFees,
    /// Nonce of the agent's account, as the agent gave it.
    pub nonce: u64,
    /// Slots that the transaction says it will touch; none with [`ActionFees::Legacy`].
    pub access_list: AccessList,
}

/// An action, and what was passed over while it was read: to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The action.
    pub action: Action,
    /// One sentence each.
    pub warnings: Vec<String>,
}

/// Why there is no transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The output is not JSON.
    #[error("output is not JSON: {0}")]
    NotJson(String),
    /// The output has another shape.
    #[error("output has no list `actions`")]
    NoActions,
    /// An action is something other than an object.
    #[error("action is no JSON object")]
    NotAnObject,
    /// A field that has no default is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field is there and says nothing that could be signed.
    #[error("`{field}` {problem}")]
    Invalid {
        /// Its name.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Two fields contradict each other.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
}

/// The actions of an output, in order: what is wrong with one keeps none of the others from being read.
///
/// # Errors
/// [`ActionError::NotJson`] or [`ActionError::NoActions`], and for each action its own.
pub fn parse_output(output: &[u8]) -> Result<Vec<Result<Parsed, ActionError>>, ActionError> {
    let output: Value =
        serde_json::from_slice(output).map_err(|error| ActionError::NotJson(error.to_string()))?;
    let actions = output.get("actions").and_then(Value::as_array).ok_or(ActionError::NoActions)?;
    Ok(actions.iter().map(Action::parse).collect())
}

impl Action {
    /// Reads one action; see the module for the fields.
    ///
    /// # Errors
    /// [`ActionError`] with the field's name. A missing or malformed `to` is an error: creating a
    /// contract is nothing that a forgotten field may do.
    pub fn parse(action: &Value) -> Result<Parsed, ActionError> {
        let fields = Fields(action.as_object().ok_or(ActionError::NotAnObject)?);
        let mut warnings = fields.unknown();
        let action_type = fields.required_text("action_type")?;
        if !ACTION_TYPES.contains(&action_type) {
            let problem = format!("is `{action_type}`, not one of: {}", ACTION_TYPES.join(", "));
            return Err(ActionError::Invalid { field: "action_type", problem });
        }
        let chain_id: u64 = fields.number("chain_id")?.ok_or(ActionError::Missing("chain_id"))?;
        let action = Self {
            chain_id: ChainId(chain_id),
            to: fields.address("to")?,
            value: fields.number("value")?.unwrap_or_default(),
            data: fields.data(&mut warnings),
            gas_limit: fields.number("gas_limit")?.unwrap_or(DEFAULT_GAS_LIMIT),
            fees: fields.fees()?,
            nonce: fields.number("nonce")?.unwrap_or_default(),
            access_list: fields.access_list()?,
        };
        if matches!(action.fees, ActionFees::Legacy { .. }) && !action.access_list.is_empty() {
            let problem = "needs `tx_type` eip2930 or eip1559".to_owned();
            return Err(ActionError::Invalid { field: "access_list", problem });
        }
        // What could never be signed is refused here, where its agent is still told.
        action.transaction()?;
        Ok(Parsed { action, warnings })
    }

    /// The transaction with the nonce that the agent gave.
    ///
    /// # Errors
    /// [`TransactionError`] for fields that contradict each other.
    pub fn transaction(&self) -> Result<UnsignedTransaction, TransactionError> {
        let (chain_id, nonce, gas_limit) = (self.chain_id.0, self.nonce, self.gas_limit);
        let (to, value, input) = (TxKind::Call(self.to), self.value, self.data.clone());
        let access_list = self.access_list.clone();
        match self.fees {
            ActionFees::Legacy { gas_price } => {
                let chain_id = Some(chain_id);
                TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input }.try_into()
            }
            ActionFees::Eip2930 { gas_price } => {
                TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input }
                    .try_into()
            }
            ActionFees::Eip1559 { max_fee, priority_fee } => TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: max_fee,
                max_priority_fee_per_gas: priority_fee,
                to,
                value,
                access_list,
                input,
            }
            .try_into(),
        }
    }
}

const FIELDS: [&str; 12] = [
    "action_type",
    "chain_id",
    "to",
    "value",
    "data",
    "gas_limit",
    "gas_price",
    "tx_type",
    "max_fee_per_gas",
    "max_priority_fee_per_gas",
    "nonce",
    "access_list",
];

/// The object that an action is.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    /// A field that is there; null counts as left out.
    fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn unknown(&self) -> Vec<String> {
        let unknown = self.0.keys().filter(|key| !FIELDS.contains(&key.as_str()));
        unknown.map(|key| format!("`{}` is no field of an action", shown(key))).collect()
    }

    fn text(&self, field: &'static str) -> Result<Option<&str>, ActionError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| invalid(field, "is no string"))?;
        Ok(Some(text))
    }

    fn required_text(&self, field: &'static str) -> Result<&str, ActionError> {
        self.text(field)?.ok_or(ActionError::Missing(field))
    }

    fn number<T: TryFrom<U256>>(&self, field: &'static str) -> Result<Option<T>, ActionError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let parsed = number(value).map_err(|problem| invalid(field, problem))?;
        let fits = T::try_from(parsed).map_err(|_| invalid(field, "is too large"))?;
        Ok(Some(fits))
    }

    fn address(&self, field: &'static str) -> Result<Address, ActionError> {
        let text = self.required_text(field)?;
        // Twenty bytes with 0x; in mixed case it says by its case that it was copied right (EIP-55).
        let digits =
            text.strip_prefix("0x").ok_or_else(|| invalid(field, "does not begin with 0x"))?;
        let address: Address =
            digits.parse().map_err(|_| invalid(field, "is no address of 20 bytes in hex"))?;
        let mixed = digits.contains(|c: char| c.is_ascii_lowercase())
            && digits.contains(|c: char| c.is_ascii_uppercase());
        if mixed && address.to_checksum(None) != text {
            return Err(invalid(field, "has a wrong checksum (EIP-55)"));
        }
        Ok(address)
    }

    /// Malformed data counts as empty: what is signed then is a transfer to the same account.
    fn data(&self, warnings: &mut Vec<String>) -> Bytes {
        let Some(value) = self.get("data") else { return Bytes::new() };
        if let Some(data) = value.as_str().and_then(|text| hex::decode(text).ok()) {
            return data.into();
        }
        warnings.push("`data` is no hex string; it is taken as empty".to_owned());
        Bytes::new()
    }

    fn fees(&self) -> Result<ActionFees, ActionError> {
        let gas_price = self.number("gas_price")?.unwrap_or(DEFAULT_GAS_PRICE);
        match self.text("tx_type")?.unwrap_or("eip1559") {
            "legacy" => Ok(ActionFees::Legacy { gas_price }),
            "eip2930" => Ok(ActionFees::Eip2930 { gas_price }),
            "eip1559" => {
                let max_fee = self.number("max_fee_per_gas")?.unwrap_or(gas_price);
                let priority_fee = self.number("max_priority_fee_per_gas")?;
                let priority_fee = priority_fee.unwrap_or(DEFAULT_PRIORITY_FEE.min(max_fee));
                Ok(ActionFees::Eip1559 { max_fee, priority_fee })
            }
            other => {
                let problem =
                    format!("is `{}`, not one of: legacy, eip2930, eip1559", shown(other));
                Err(invalid("tx_type", problem))
            }
        }
    }

    /// The form of EIP-2930's JSON: `[{ "address": ..., "storageKeys": [...] }]`.
    fn access_list(&self) -> Result<AccessList, ActionError> {
        let Some(value) = self.get("access_list") else { return Ok(AccessList::default()) };
        serde_json::from_value(value.clone())
            .map_err(|error| invalid("access_list", format!("is no access list: {error}")))
    }
}

fn invalid(field: &'static str, problem: impl Into<String>) -> ActionError {
    ActionError::Invalid { field, problem: problem.into() }
}

/// Foreign text, short enough for a message.
fn shown(text: &str) -> String {
    const LENGTH: usize = 32;
    if text.chars().count() <= LENGTH {
        return text.escape_debug().to_string();
    }
    text.chars().take(LENGTH).flat_map(char::escape_debug).chain(['…']).collect()
}
