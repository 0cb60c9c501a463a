//! What a member allows, and what it refuses.

use alloy_consensus::{TxEip1559, TxEip7702};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, Bytes, TxKind, U256, address, bytes};
use capstan_base::UnsignedTransaction;
use capstan_signer::policy::{Policy, Usage, parse};

const TEXT: &str = r#"
[agents."0xa9"]
path = [0, 7]
approvers = ["0x1111111111111111111111111111111111111111", "0x3333333333333333333333333333333333333333"]
quorum = 2
requests_per_hour = 10

[agents."0xa9".chains.84532]
max_value = "1000"
max_value_per_day = "2500"
max_gas_cost = "630000"
recipients."0x2222222222222222222222222222222222222222" = ["plain", "0xa9059cbb"]
recipients."0x4444444444444444444444444444444444444444" = ["any"]

[agents."0xa9".chains.5611]
max_value = "0x3e8"
max_value_per_day = "2500"
max_gas_cost = "630000"
recipients.any = ["plain"]
recipients."0x2222222222222222222222222222222222222222" = []
"#;

const TO: Address = address!("2222222222222222222222222222222222222222");
const OPEN: Address = address!("4444444444444444444444444444444444444444");
const APPROVERS: [Address; 2] = [
    address!("1111111111111111111111111111111111111111"),
    address!("3333333333333333333333333333333333333333"),
];

fn policy() -> Policy {
    parse(TEXT).unwrap()
}

fn plain() -> TxEip1559 {
    TxEip1559 {
        chain_id: 84532,
        nonce: 7,
        gas_limit: 21_000,
        max_fee_per_gas: 30,
        max_priority_fee_per_gas: 2,
        to: TxKind::Call(TO),
        value: U256::from(1000),
        ..Default::default()
    }
}

fn agent() -> U256 {
    U256::from(0xa9)
}

/// Why it is refused; empty if it is not.
fn reasons(
    transaction: impl TryInto<UnsignedTransaction>,
    approvers: &[Address],
    usage: Usage,
) -> String {
    let transaction = transaction.try_into().ok().unwrap();
    let checked = policy().check(agent(), &transaction, approvers, &usage);
    checked.map_or_else(|refused| refused.0.join("|"), |()| String::new())
}

fn refused(transaction: TxEip1559) -> String {
    reasons(transaction, &APPROVERS, Usage::default())
}

#[test]
fn what_is_named_is_allowed_up_to_every_limit() {
    assert_eq!(refused(plain()), "");
    let call = TxEip1559 { input: bytes!("a9059cbb00"), ..plain() };
    assert_eq!(refused(call), "");
    let open = TxEip1559 { to: TxKind::Call(OPEN), input: bytes!("01"), ..plain() };
    assert_eq!(refused(open), "");
    let elsewhere =
        TxEip1559 { chain_id: 5611, to: TxKind::Call(Address::repeat_byte(9)), ..plain() };
    assert_eq!(refused(elsewhere), "");
    let usage = Usage { requests_last_hour: 9, value_last_day: U256::from(1500) };
    assert_eq!(reasons(plain(), &APPROVERS, usage), "");
}

#[test]
fn one_step_beyond_a_limit_is_refused() {
    let value = TxEip1559 { value: U256::from(1001), ..plain() };
    assert_eq!(refused(value), "value 1001 wei is above 1000");
    let usage = Usage { requests_last_hour: 9, value_last_day: U256::from(1501) };
    assert_eq!(
        reasons(plain(), &APPROVERS, usage),
        "value within 24 hours would be above 2500 wei"
    );
    let usage = Usage { requests_last_hour: 10, value_last_day: U256::ZERO };
    assert_eq!(reasons(plain(), &APPROVERS, usage), "10 requests within the hour");
    let gas = TxEip1559 { gas_limit: 21_001, ..plain() };
    assert_eq!(refused(gas), "gas could cost more than 630000 wei");
    let price = TxEip1559 { max_fee_per_gas: u128::MAX, gas_limit: u64::MAX, ..plain() };
    assert_eq!(refused(price), "gas could cost more than 630000 wei");
    let sum = Usage { requests_last_hour: 0, value_last_day: U256::MAX };
    assert!(!reasons(plain(), &APPROVERS, sum).is_empty());
}

#[test]
fn what_is_not_named_is_refused() {
    let chain = TxEip1559 { chain_id: 1, ..plain() };
    assert_eq!(refused(chain), "chain 1 is not among its chains");
    let to = TxEip1559 { to: TxKind::Call(Address::repeat_byte(9)), ..plain() };
    assert!(refused(to).contains("is not among its recipients"));
    for data in [bytes!("a9059cbc"), bytes!("a9059c"), bytes!("00")] {
        let call = TxEip1559 { input: data, ..plain() };
        assert!(refused(call).contains("is not among its calls"));
    }
    // A line of its own counts, and not the one for all others.
    let own = TxEip1559 { chain_id: 5611, ..plain() };
    assert!(refused(own).contains("a plain transfer to"));
    let create = TxEip1559 { to: TxKind::Create, ..plain() };
    assert_eq!(refused(create), "it creates a contract");
    let other =
        policy().check(U256::from(1), &plain().try_into().unwrap(), &APPROVERS, &Usage::default());
    assert_eq!(other.unwrap_err().0, ["agent 0x1 is unknown here"]);
}

#[test]
fn code_is_handed_to_nobody() {
    let authorization = Authorization { chain_id: U256::from(84532), address: OPEN, nonce: 8 };
    let signed = SignedAuthorization::new_unchecked(authorization, 0, U256::from(1), U256::from(1));
    let eip7702 = TxEip7702 {
        chain_id: 84532,
        gas_limit: 21_000,
        max_fee_per_gas: 30,
        to: OPEN,
        authorization_list: vec![signed],
        input: Bytes::new(),
        ..Default::default()
    };
    assert!(reasons(eip7702, &APPROVERS, Usage::default()).contains("EIP-7702"));
}

#[test]
fn a_quorum_is_of_different_approvers_that_this_member_knows() {
    let stranger = Address::repeat_byte(8);
    for too_few in
        [&[][..], &APPROVERS[..1], &[APPROVERS[0], APPROVERS[0]], &[APPROVERS[0], stranger]]
    {
        let said = reasons(plain(), too_few, Usage::default());
        assert!(said.ends_with("of 2 approvals"), "{said}");
    }
}

#[test]
fn every_reason_is_told_at_once() {
    let all =
        TxEip1559 { value: U256::from(9000), to: TxKind::Create, gas_limit: 50_000, ..plain() };
    let said = reasons(all, &[], Usage { requests_last_hour: 99, value_last_day: U256::ZERO });
    assert_eq!(said.split('|').count(), 6, "{said}");
}

#[test]
fn every_mistake_in_a_file_is_told_at_once() {
    let text = r#"
[agents.nobody]
path = [0, 7]
approvers = ["0x12"]
quorum = 1
requests_per_hour = 1

[agents."7"]
path = [0, 7]
approvers = ["0x1111111111111111111111111111111111111111"]
quorum = 2
requests_per_hour = 1
[agents."7".chains.base]
max_value = "1"
max_value_per_day = "1"
max_gas_cost = "1"
[agents."7".chains.1]
max_value = "1 ether"
max_value_per_day = "-1"
max_gas_cost = "1_000"
recipients.everybody = ["plain"]
recipients.any = ["transfer", "a9059cbb"]
[agents."0x7"]
path = []
address = "0x12"
approvers = ["0x1111111111111111111111111111111111111111"]
quorum = 0
requests_per_hour = 1
"#;
    let problems = parse(text).unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    let expected = [
        "agents.0x7.address",
        "agents.0x7.path",
        "agents.0x7.quorum",
        "agents.7.quorum",
        "agents.7.chains.1.max_value",
        "agents.7.chains.1.max_value_per_day",
        "agents.7.chains.1.max_gas_cost",
        "agents.7.chains.1.recipients.any",
        "agents.7.chains.1.recipients.any",
        "agents.7.chains.1.recipients.everybody",
        "agents.7.chains.base",
        "agents.7",
        "agents.nobody",
    ];
    assert_eq!(paths, expected, "{problems}");
    assert!(parse("agents = 1").is_err());
    assert!(parse("[agents.\"1\"]\nquorm = 1").is_err());
    assert_eq!(parse("").unwrap(), Policy::default());
}
