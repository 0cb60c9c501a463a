//! What settling may cost on a chain, and when settlements go together.

use capstan_base::{Amount, U256};
use capstan_kit::{Problems, Section};

/// Decimals of every native coin's base unit, wei.
const WEI_DECIMALS: u8 = 18;

/// Most closes in one transaction that still fits every chain here.
const MOST_TOGETHER: u64 = 100;

/// Longest wait for company, seconds: nobody waits a day for money that is due.
const LONGEST_WAIT: u64 = 86_400;

/// Costs and batches of settlements on one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementPolicy {
    /// Most wei that settling one session may cost; its share, in a batch.
    pub max_cost: Option<U256>,
    /// A settlement waits while it brings less than so many percent of its share of the cost; 0: it
    /// never waits.
    pub worth_percent: u64,
    /// Most settlements in one transaction.
    pub batch_max: usize,
    /// Seconds after which one waits for no more company.
    pub batch_wait: u64,
    /// Wei of worth that are enough to go at once.
    pub batch_worth: Option<U256>,
}

impl Default for SettlementPolicy {
    fn default() -> Self {
        // Beyond fifty the gas of each falls by little, and one revert costs more.
        Self { max_cost: None, worth_percent: 0, batch_max: 50, batch_wait: 2, batch_worth: None }
    }
}

/// Reads `[chains.<name>.settlement]`.
pub(crate) fn read(policy: &mut SettlementPolicy, section: &Section<'_>, problems: &mut Problems) {
    let mut coins = |key, field: &mut Option<U256>| {
        if let Some(wei) = wei(section, key, problems) {
            *field = Some(wei);
        }
    };
    coins("max_cost", &mut policy.max_cost);
    coins("batch_worth", &mut policy.batch_worth);
    let mut number = |key, most: u64, hint: &str| {
        let value = section.unsigned(key, problems)?;
        if value <= most {
            return Some(value);
        }
        problems.add(section.path_of(key), "is out of range", hint);
        None
    };
    if let Some(percent) = number("worth_percent", 10_000, "0 to 10000") {
        policy.worth_percent = percent;
    }
    if let Some(seconds) = number("batch_wait_seconds", LONGEST_WAIT, "0 to 86400") {
        policy.batch_wait = seconds;
    }
    if let Some(items) = number("batch_max", MOST_TOGETHER, "1 to 100") {
        // One at least: a batch of none settles nothing.
        policy.batch_max = usize::try_from(items.max(1)).unwrap_or(1);
    }
}

/// An amount of the native coin, such as `"0.0003"`, in wei.
pub(crate) fn wei(
    section: &Section<'_>,
    key: &'static str,
    problems: &mut Problems,
) -> Option<U256> {
    let text = section.text(key, problems)?;
    match Amount::parse_decimal(text.trim(), WEI_DECIMALS) {
        Ok(amount) => Some(amount.into()),
        Err(error) => {
            problems.add(
                section.path_of(key),
                error.to_string(),
                "native coin as text, such as \"0.001\"",
            );
            None
        }
    }
}
