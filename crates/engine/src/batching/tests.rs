//! Which calls share a transaction, and what is read out of its receipt.

use alloy_primitives::{LogData, keccak256};
use capstan_base::{
    Amount, B256, ModelId, SessionTerms, SignedVoucher, U256, UnixSeconds, Voucher,
};
use capstan_chain::types::Log;
use capstan_chain::{LocalSigner, calls};

use super::*;

const MARKET: Address = Address::repeat_byte(0xaa);
const HOST: Address = Address::repeat_byte(0xbb);
const SINGLES: ContractBatches = ContractBatches { marketplace: Some(MARKET), is_delegated: false };
const DELEGATED: ContractBatches =
    ContractBatches { marketplace: Some(MARKET), is_delegated: true };

fn amount(units: u128) -> Amount {
    Amount::new(units).unwrap()
}

fn close_at(market: Address, salt: u8, renter: u8) -> Call {
    let key = LocalSigner::from_bytes("test", &[9; 32]).unwrap();
    let terms = SessionTerms {
        host: HOST,
        renter: Address::repeat_byte(renter),
        token: Address::ZERO,
        deposit: amount(1_000),
        expiry: UnixSeconds::new(1_900_000_000).unwrap(),
        voucher_key: key.address(),
        model: ModelId(B256::repeat_byte(6)),
        salt: B256::repeat_byte(salt),
    };
    let voucher = Voucher {
        session_id: terms.id(),
        amount: amount(500),
        tokens: 12,
        transcript_root: B256::repeat_byte(7),
    };
    let signature = key.sign_digest_65(voucher.session_id.0).unwrap();
    let signed = SignedVoucher { voucher, signature };
    calls::complete_session_job(market, &terms, Some(&signed), amount(500))
}

fn close(salt: u8) -> Call {
    close_at(MARKET, salt, 3)
}

fn transfer(to: u8) -> Call {
    calls::native_transfer(Address::repeat_byte(to), U256::from(1))
}

fn receipt(logs: Vec<Log>) -> Receipt {
    Receipt {
        tx_hash: B256::ZERO,
        block_number: 1,
        block_hash: B256::ZERO,
        success: true,
        gas_used: 1,
        effective_gas_price: 1,
        l1_fee: 0,
        contract_address: None,
        logs,
    }
}

#[test]
fn closes_share_a_transaction_of_their_marketplace_and_nothing_else_does() {
    let group = SINGLES.group(HOST, &close(1)).unwrap();
    assert_eq!(group.to, MARKET);
    assert_eq!(SINGLES.group(HOST, &close(2)), Some(group));
    assert_eq!(SINGLES.group(HOST, &transfer(1)), None);
    // A contract with the same calls elsewhere is none of ours.
    assert_eq!(SINGLES.group(HOST, &close_at(Address::repeat_byte(0xcc), 1, 3)), None);
    let nowhere = ContractBatches { marketplace: None, is_delegated: false };
    assert_eq!(nowhere.group(HOST, &close(1)), None);
}

#[test]
fn an_account_with_code_of_its_own_shares_what_has_no_batch_of_its_own() {
    let group = DELEGATED.group(HOST, &transfer(1)).unwrap();
    assert_eq!(group.to, HOST);
    assert_eq!(DELEGATED.group(HOST, &transfer(2)), Some(group));
    assert_ne!(DELEGATED.group(HOST, &close(1)), Some(group), "closes keep the cheaper way");
    assert_eq!(DELEGATED.group(HOST, &close(1)), SINGLES.group(HOST, &close(1)));
    let to_itself = calls::native_transfer(HOST, U256::ZERO);
    assert_eq!(DELEGATED.group(HOST, &to_itself), None, "a gap is filled alone");
    let merged = DELEGATED.merge(HOST, &[transfer(1), transfer(2)]).unwrap();
    assert_eq!((merged.to, merged.value), (HOST, U256::ZERO));
}

#[test]
fn calls_of_two_kinds_are_not_merged() {
    assert!(SINGLES.merge(HOST, &[close(1), transfer(1)]).is_none());
    assert!(SINGLES.merge(HOST, &[transfer(1), transfer(2)]).is_none());
    assert!(SINGLES.merge(HOST, &[]).is_none());
    assert_eq!(SINGLES.merge(HOST, &[close(1), close(2)]).unwrap().to, MARKET);
}

#[test]
fn neighbours_of_one_renter_have_one_key() {
    let (one, same, other) =
        (close_at(MARKET, 1, 3), close_at(MARKET, 2, 3), close_at(MARKET, 3, 4));
    assert_eq!(SINGLES.sort_key(&one), SINGLES.sort_key(&same));
    assert!(SINGLES.sort_key(&one) < SINGLES.sort_key(&other));
    assert!(SINGLES.sort_key(&transfer(1)).is_empty());
}

#[test]
fn what_an_accounts_own_code_did_is_read_though_nobody_knows_of_the_code_any_more() {
    // As after a restart while no endpoint can say what the account runs: paid once is enough.
    let words = [U256::from(2), U256::ZERO].map(|word| word.to_be_bytes::<32>()).concat();
    let topics = vec![keccak256("BatchExecuted(uint256,uint256)")];
    let data = LogData::new_unchecked(topics, words.into());
    let log = Log { address: HOST, data, block_number: 1, tx_hash: B256::ZERO };
    let calls = [transfer(1), transfer(2)];
    for batches in [SINGLES, DELEGATED] {
        let outcomes = batches.outcomes(HOST, &calls, &receipt(vec![log.clone()]));
        assert_eq!(outcomes, [ItemOutcome::Done, ItemOutcome::Done]);
    }
}

#[test]
fn a_receipt_that_names_no_call_says_that_none_was_done() {
    for (batches, calls) in
        [(SINGLES, [close(1), close(2)]), (DELEGATED, [transfer(1), transfer(2)])]
    {
        let outcomes = batches.outcomes(HOST, &calls, &receipt(Vec::new()));
        assert_eq!(outcomes.len(), 2);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, ItemOutcome::Failed(_))));
    }
}
