//! The table of gas: operations, their budgets, and what a public system pays for the same.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::forge::Figures;

/// One operation of the table.
struct Operation {
    /// Its name in the snapshots and in the JSON.
    key: &'static str,
    label: &'static str,
    /// The most it may cost, as designed. The gas tests assert limits of their own.
    budget: u64,
    /// The public system's figure.
    public: Option<u64>,
}

const fn operation(
    key: &'static str,
    label: &'static str,
    budget: u64,
    public: Option<u64>,
) -> Operation {
    Operation { key, label, budget, public }
}

/// Budgets, and the public system's gas for the nearest transaction: session of a native coin or of
/// an ERC-20, close for the first and for a later session of a host, timeout with one proof.
const OPERATIONS: [Operation; 20] = [
    operation("open_native", "open, native coin", 65_000, Some(375_986)),
    operation("open_erc20", "open, ERC-20", 100_000, Some(440_742)),
    operation("open_erc20_next", "open, ERC-20, next", 100_000, Some(389_442)),
    operation("open_permit", "open, ERC-20 by permit", 140_000, None),
    operation("top_up", "top up", 45_000, None),
    operation("complete_first", "complete, first of a host, native", 95_000, Some(285_649)),
    operation("complete_first_erc20", "complete, first of a host, ERC-20", 95_000, Some(309_990)),
    operation("complete", "complete, native", 65_000, None),
    operation("complete_erc20", "complete, ERC-20", 65_000, Some(241_590)),
    operation("complete_batch_50_each", "complete, each of 50, native", 28_000, None),
    operation("complete_batch_50_each_erc20", "complete, each of 50, ERC-20", 28_000, None),
    operation(
        "complete_batch_50_each_one_renter",
        "complete, each of 50, one renter",
        28_000,
        None,
    ),
    operation("self_batch_50_each", "self-batch, each of 50, native", 36_000, None),
    operation("self_batch_50_each_erc20", "self-batch, each of 50, ERC-20", 36_000, None),
    operation("request_close", "close asked by the renter", 45_000, None),
    operation("finalize", "close finalised", 65_000, None),
    operation("timeout", "timeout by anyone", 65_000, Some(243_405)),
    operation("withdraw", "withdraw, native", 45_000, Some(58_823)),
    operation("withdraw_erc20", "withdraw, ERC-20", 55_000, Some(80_008)),
    operation("register", "register a host with one model", 115_000, Some(436_041)),
];

/// The public system pays this for every checkpoint of a session; vouchers need no transaction.
const PUBLIC_CHECKPOINT: u64 = 270_502;

fn gas_of(figures: &Figures, key: &str) -> Option<u64> {
    let named = figures.iter().find(|(name, _)| operation_of(name) == key);
    named.map(|(_, gas)| *gas)
}

/// The name without its contract.
fn operation_of(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, operation)| operation)
}

/// Operations of the table that are missing from the figures or above their budget.
pub(super) fn over_budget(figures: &Figures) -> Vec<&'static str> {
    let within = |operation: &&Operation| {
        gas_of(figures, operation.key).is_some_and(|gas| gas <= operation.budget)
    };
    OPERATIONS
        .iter()
        .filter(|operation| !within(operation))
        .map(|operation| operation.key)
        .collect()
}

/// Everything measured, in a table or not.
pub(super) fn json(figures: &Figures) -> Map<String, Value> {
    figures.iter().map(|(name, gas)| (operation_of(name).to_owned(), Value::from(*gas))).collect()
}

/// The table as Markdown, which is also how README.md shows it.
pub(super) fn table(figures: &Figures) -> String {
    let mut text = String::new();
    let mut line = |label: &str, ours: &str, budget: &str, public: &str| {
        let _ = writeln!(text, "| {label:34} | {ours:>8} | {budget:>8} | {public:>13} |");
    };
    line("operation", "ours", "budget", "public system");
    line(&"-".repeat(34), "-------:", "-------:", "------------:");
    let shown = |gas: Option<u64>| gas.map_or_else(|| "-".to_owned(), grouped);
    for operation in &OPERATIONS {
        let ours = shown(gas_of(figures, operation.key));
        line(operation.label, &ours, &grouped(operation.budget), &shown(operation.public));
    }
    line("checkpoint of a running session", "none", "none", &grouped(PUBLIC_CHECKPOINT));
    text
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Figures, OPERATIONS, grouped, json, over_budget, table};

    fn all_at(gas: u64) -> Figures {
        OPERATIONS.iter().map(|operation| (format!("Market.{}", operation.key), gas)).collect()
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(65_000), "65,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn a_budget_is_held() {
        assert_eq!(over_budget(&all_at(28_000)), [""; 0]);
        let broken = over_budget(&all_at(28_001));
        assert_eq!(
            broken,
            [
                "complete_batch_50_each",
                "complete_batch_50_each_erc20",
                "complete_batch_50_each_one_renter",
            ]
        );
        assert_eq!(over_budget(&Figures::new()).len(), OPERATIONS.len());
    }

    #[test]
    fn json_names_operations() {
        let object = json(&all_at(7));
        assert_eq!(object.get("open_native").and_then(|gas| gas.as_u64()), Some(7));
    }

    #[test]
    fn the_table_has_a_row_for_each() {
        let text = table(&all_at(58_001));
        assert_eq!(text.lines().count(), OPERATIONS.len() + 3);
        assert!(text.contains("58,001"), "{text}");
        let widths: Vec<_> = text.lines().map(str::len).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
