//! Actions: what is read, what is refused, and what comes of it.

use alloy_consensus::Transaction as _;
use alloy_primitives::{address, bytes};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const TO: &str = "0x2222222222222222222222222222222222222222";

fn with(field: &str, value: Value) -> Value {
    let mut action = json!({ "action_type": "transaction", "chain_id": 1, "to": TO });
    action[field] = value;
    action
}

fn parsed(action: &Value) -> Action {
    let parsed = Action::parse(action).unwrap();
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
    parsed.action
}

fn refusal(action: &Value) -> String {
    Action::parse(action).unwrap_err().to_string()
}

#[test]
fn a_minimal_action_has_the_defaults() {
    let action = parsed(&json!({ "action_type": "transaction", "chain_id": 1, "to": TO }));
    assert_eq!(action.gas_limit, 21_000);
    assert_eq!(action.fees, ActionFees::Eip1559 { max_fee: GWEI, priority_fee: GWEI });
    assert_eq!((action.value, action.nonce), (U256::ZERO, 0));
    assert_eq!(action.data, Bytes::new());
    let legacy = parsed(&with("tx_type", json!("legacy")));
    assert_eq!(legacy.fees, ActionFees::Legacy { gas_price: GWEI });
}

/// The two examples of the schema, against preimages that another implementation made (ethers 6).
#[test]
fn examples_have_the_preimages_that_wallets_sign() {
    let legacy = json!({
        "action_type": "transaction", "chain_id": 1, "data": "0x",
        "to": "0x1111111111111111111111111111111111111111", "value": "0x3e8",
        "gas_limit": "21000", "gas_price": "0x3b9aca00", "nonce": "0x0", "tx_type": "legacy",
    });
    let expected =
        bytes!("e580843b9aca008252089411111111111111111111111111111111111111118203e880018080");
    assert_eq!(Bytes::from(parsed(&legacy).transaction().unwrap().preimage()), expected);
    let eip1559 = json!({
        "action_type": "multi_chain_transaction", "chain_id": 1, "data": "0x", "to": TO,
        "value": "0x0", "gas_limit": "21000", "tx_type": "eip1559",
        "max_fee_per_gas": "0x77359400", "max_priority_fee_per_gas": "0x3b9aca00", "nonce": "0x1",
    });
    let expected = bytes!(
        "02e70101843b9aca0084773594008252089422222222222222222222222222222222222222228080c0"
    );
    assert_eq!(Bytes::from(parsed(&eip1559).transaction().unwrap().preimage()), expected);
}

#[test]
fn the_maximum_defaults_to_the_gas_price_and_the_priority_fee_stays_below_it() {
    let mut action = with("gas_price", json!("5000000000"));
    let fees = ActionFees::Eip1559 { max_fee: 5 * GWEI, priority_fee: GWEI };
    assert_eq!(parsed(&action).fees, fees);
    action["max_fee_per_gas"] = json!(7);
    assert_eq!(parsed(&action).fees, ActionFees::Eip1559 { max_fee: 7, priority_fee: 7 });
    action["max_priority_fee_per_gas"] = json!("0x8");
    assert_eq!(refusal(&action), "priority fee 8 is above the maximum fee 7");
}

#[test]
fn numbers_are_read_in_every_form_and_nothing_else_is_a_number() {
    for (value, expected) in [
        (json!(1000), 1000),
        (json!("1000"), 1000),
        (json!("0x3e8"), 1000),
        (json!("0X3E8"), 1000),
        (json!("007"), 7),
    ] {
        assert_eq!(parsed(&with("value", value)).value, U256::from(expected));
    }
    let most = format!("{:#x}", U256::MAX);
    assert_eq!(parsed(&with("value", json!(most))).value, U256::MAX);
    for value in [
        json!(-1),
        json!(1.5),
        json!(1e30),
        json!(""),
        json!("0x"),
        json!(" 1"),
        json!("1_000"),
        json!("-1"),
        json!("+1"),
        json!("1e3"),
        json!("0xg"),
        json!(true),
        json!([1]),
        json!(format!("{most}0")),
    ] {
        let refused = refusal(&with("value", value.clone()));
        assert!(refused.starts_with("`value` is "), "{value}: {refused}");
    }
    assert_eq!(
        refusal(&with("gas_limit", json!("18446744073709551616"))),
        "`gas_limit` is too large"
    );
    assert_eq!(refusal(&with("nonce", json!(most))), "`nonce` is too large");
    assert!(refusal(&with("nonce", json!(u64::MAX))).contains("last of all"));
}

#[test]
fn a_missing_or_invalid_recipient_is_refused() {
    let none = json!({ "action_type": "transaction", "chain_id": 1, "data": "0xdead" });
    assert_eq!(refusal(&none), "`to` is missing");
    assert_eq!(refusal(&with("to", Value::Null)), "`to` is missing");
    for to in ["", "0x", "0x22", "2222222222222222222222222222222222222222", &format!("{TO}22")] {
        assert!(refusal(&with("to", json!(to))).starts_with("`to` "), "{to}");
    }
    let checksummed = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let account = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    for to in [checksummed.to_owned(), checksummed.to_lowercase()] {
        assert_eq!(parsed(&with("to", json!(to))).to, account);
    }
    let mistyped = checksummed.replace("f39F", "f39f");
    assert_eq!(refusal(&with("to", json!(mistyped))), "`to` has a wrong checksum (EIP-55)");
}

#[test]
fn malformed_data_is_empty_and_reported() {
    for data in [json!("0xabc"), json!("0xzz"), json!(7)] {
        let parsed = Action::parse(&with("data", data)).unwrap();
        assert_eq!(parsed.action.data, Bytes::new());
        assert_eq!(parsed.warnings, ["`data` is no hex string; it is taken as empty"]);
    }
    for data in ["0xabcd", "abcd", "0xABCD"] {
        assert_eq!(parsed(&with("data", json!(data))).data, bytes!("abcd"));
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    assert_eq!(refusal(&json!([])), "action is no JSON object");
    assert_eq!(refusal(&json!({})), "`action_type` is missing");
    assert!(refusal(&with("action_type", json!("transfer"))).contains("not one of: transaction"));
    assert!(refusal(&with("tx_type", json!("eip4844"))).contains("not one of: legacy"));
    assert!(refusal(&with("chain_id", json!(0))).contains("names no chain"));
    assert_eq!(refusal(&with("chain_id", Value::Null)), "`chain_id` is missing");
    let warned = Action::parse(&with("vlaue", json!("1"))).unwrap().warnings;
    assert_eq!(warned, ["`vlaue` is no field of an action"]);
}

#[test]
fn access_lists_go_with_the_kinds_that_have_them() {
    let list = json!([{ "address": TO, "storageKeys": [format!("0x{}", "07".repeat(32))] }]);
    let mut action = with("access_list", list);
    assert_eq!(parsed(&action).access_list.len(), 1);
    action["tx_type"] = json!("eip2930");
    let transaction = parsed(&action).transaction().unwrap();
    assert_eq!(transaction.preimage().first(), Some(&1));
    assert_eq!(transaction.fields().access_list().map(|list| list.len()), Some(1));
    action["tx_type"] = json!("legacy");
    assert!(refusal(&action).contains("needs `tx_type`"));
    assert!(refusal(&with("access_list", json!(["0x"]))).contains("no access list"));
}

#[test]
fn one_bad_action_does_not_hide_the_others() {
    let output = json!({ "actions": [with("value", json!(1)), {}, with("value", json!(2))] });
    let actions = parse_output(output.to_string().as_bytes()).unwrap();
    let values =
        actions.iter().map(|action| action.as_ref().ok().map(|parsed| parsed.action.value));
    let expected = [Some(U256::from(1)), None, Some(U256::from(2))];
    assert_eq!(values.collect::<Vec<_>>(), expected);
    assert_eq!(parse_output(b"{}"), Err(ActionError::NoActions));
    assert!(matches!(parse_output(b"\xff"), Err(ActionError::NotJson(_))));
}

/// Anything that could stand where a field is.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "0x[0-9a-f]{0,70}".prop_map(Value::from),
        "[0-9]{1,80}".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(output: Vec<u8>) {
        let _ = parse_output(&output);
    }

    /// Whatever the fields hold: a refusal, or a transaction to the named account on the named chain.
    #[test]
    fn arbitrary_fields_give_a_refusal_or_what_they_say(
        changes in proptest::collection::vec((0..FIELDS.len(), any_value()), 0..4),
    ) {
        let mut action = json!({ "action_type": "transaction", "chain_id": 1, "to": TO });
        for (field, value) in changes {
            action[FIELDS[field]] = value;
        }
        if let Ok(parsed) = Action::parse(&action) {
            let transaction = parsed.action.transaction().unwrap();
            let to = action["to"].as_str().map(str::to_lowercase);
            prop_assert_eq!(to, Some(format!("{:#x}", parsed.action.to)));
            prop_assert_eq!(transaction.fields().to(), Some(parsed.action.to));
            prop_assert_eq!(transaction.chain_id(), parsed.action.chain_id);
            prop_assert_ne!(transaction.chain_id().0, 0);
        }
    }
}
