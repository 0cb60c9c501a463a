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
    /// What the first design documents of that system claim.
    claimed: Option<u64>,
}

const fn operation(
    key: &'static str,
    label: &'static str,
    budget: u64,
    public: Option<u64>,
    claimed: Option<u64>,
) -> Operation {
    Operation { key, label, budget, public, claimed }
}

/// Budgets, and the public system's gas for the nearest transaction: session of a native coin or of
/// an ERC-20, close for the first and for a later session of a host, timeout with one proof; for
/// jobs an earlier state of the same system, whose completion ignores its proof.
#[rustfmt::skip]
const OPERATIONS: [Operation; 42] = [
    operation("open_native", "open, native coin", 65_000, Some(375_986), Some(200_000)),
    operation("open_erc20", "open, ERC-20", 100_000, Some(440_742), Some(200_000)),
    operation("open_erc20_next", "open, ERC-20, next", 100_000, Some(389_442), Some(200_000)),
    operation("open_permit", "open, ERC-20 by permit", 140_000, None, None),
    operation("open_authorization", "open, ERC-20 by authorization", 140_000, None, None),
    operation("top_up", "top up", 45_000, None, None),
    operation("complete_first", "complete, first of a host, native", 95_000, Some(285_649), None),
    operation("complete_first_erc20", "complete, first of a host, ERC-20", 95_000, Some(309_990), None),
    operation("complete", "complete, native", 65_000, None, None),
    operation("complete_erc20", "complete, ERC-20", 65_000, Some(241_590), None),
    operation("complete_batch_50_each", "complete, each of 50, native", 28_000, None, None),
    operation("complete_batch_50_each_erc20", "complete, each of 50, ERC-20", 28_000, None, None),
    operation("complete_batch_50_each_one_renter", "complete, each of 50, one renter", 28_000, None, None),
    operation("self_batch_50_each", "self-batch, each of 50, native", 36_000, None, None),
    operation("self_batch_50_each_erc20", "self-batch, each of 50, ERC-20", 36_000, None, None),
    operation("request_close", "close asked by the renter", 45_000, None, None),
    operation("finalize", "close finalised", 65_000, None, None),
    operation("timeout", "timeout by anyone", 65_000, Some(243_405), None),
    operation("withdraw", "withdraw, native", 45_000, Some(58_823), None),
    operation("withdraw_erc20", "withdraw, ERC-20", 55_000, Some(80_008), None),
    operation("register", "register a host with one model", 115_000, Some(436_041), Some(150_000)),
    operation("job_create_first", "job: post, first of a renter", 75_000, Some(200_304), Some(200_000)),
    operation("job_create", "job: post", 75_000, Some(200_304), Some(200_000)),
    operation("job_claim_first", "job: claim, first of a host", 55_000, Some(135_742), Some(100_000)),
    operation("job_claim", "job: claim", 55_000, Some(135_742), Some(100_000)),
    operation("job_complete_no_proof", "job: complete without proof", 90_000, Some(260_583), None),
    operation("job_complete_ezkl", "job: complete with an EZKL proof", 480_000, None, Some(250_000)),
    operation("job_settle", "job: pay after the window", 90_000, Some(65_000), None),
    operation("consume_ezkl", "an EZKL proof alone", 460_000, None, None),
    operation("report_equivocation", "report two receipts", 150_000, None, None),
    operation("report_overclaim", "report a claim above a receipt", 140_000, None, None),
    operation("execute_slash", "slash after the appeal", 110_000, Some(106_001), None),
    operation("relay_register", "register a relay node", 240_000, None, None),
    operation("relay_commit_roots_each_of_10", "relay upkeep, each of 10", 33_000, None, None),
    operation("relay_claim_each_of_10", "relay rewards, each of 10", 12_000, None, None),
    operation("relay_challenge", "storage challenge", 100_000, None, None),
    operation("storage_proof_k5_d26", "storage proof, 5 of depth 26", 230_000, None, None),
    operation("register_agent", "register an agent", 160_000, None, None),
    operation("record_output", "record an agent's output", 38_000, None, None),
    operation("open_native_4337", "open by user operation, native", 165_000, None, None),
    operation("open_usdc_4337", "open by user operation, ERC-20", 185_000, None, None),
    operation("close_4337", "close asked by user operation", 127_000, None, None),
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
    let mut line = |label: &str, ours: &str, budget: &str, public: &str, claimed: &str| {
        let _ = writeln!(
            text,
            "| {label:34} | {ours:>8} | {budget:>8} | {public:>13} | {claimed:>10} |"
        );
    };
    line("operation", "ours", "budget", "public system", "it claimed");
    line(&"-".repeat(34), "-------:", "-------:", "------------:", "---------:");
    let shown = |gas: Option<u64>| gas.map_or_else(|| "-".to_owned(), grouped);
    for operation in &OPERATIONS {
        let ours = shown(gas_of(figures, operation.key));
        let (budget, public) = (grouped(operation.budget), shown(operation.public));
        line(operation.label, &ours, &budget, &public, &shown(operation.claimed));
    }
    let checkpoint = grouped(PUBLIC_CHECKPOINT);
    line("checkpoint of a running session", "none", "none", &checkpoint, "100,000");
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
        assert_eq!(over_budget(&all_at(12_000)), [""; 0]);
        let broken = over_budget(&all_at(28_001));
        assert_eq!(
            broken,
            [
                "complete_batch_50_each",
                "complete_batch_50_each_erc20",
                "complete_batch_50_each_one_renter",
                "relay_claim_each_of_10",
            ]
        );
        assert_eq!(over_budget(&Figures::new()).len(), OPERATIONS.len());
    }

    #[test]
    fn no_two_contracts_have_one_name_for_what_they_do() {
        let figures = crate::forge::committed(&crate::repo::Repo::find().unwrap()).unwrap();
        assert_eq!(json(&figures).len(), figures.len());
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
