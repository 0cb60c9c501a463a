//! Preimages and raw transactions: against another implementation, and against alloy's decoder.

use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{
    Transaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy, TypedTransaction,
};
use alloy_eips::eip2718::Decodable2718;
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use capstan_base::{SignatureError, TransactionError, UnsignedTransaction};
use k256::ecdsa::SigningKey;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    address: Address,
    transactions: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    r#type: u8,
    chain_id: u64,
    nonce: u64,
    gas_limit: u64,
    gas_price: Option<U256>,
    max_fee: Option<U256>,
    priority_fee: Option<U256>,
    to: Option<Address>,
    value: U256,
    data: Bytes,
    #[serde(default)]
    access_list: AccessList,
    #[serde(default)]
    authorization: Vec<SignedAuthorization>,
    preimage: Bytes,
    digest: B256,
    r: U256,
    s: U256,
    raw: Bytes,
    hash: B256,
}

impl Vector {
    fn unsigned(&self) -> UnsignedTransaction {
        let price = |price: Option<U256>| price.unwrap().to::<u128>();
        let to = self.to.map_or(TxKind::Create, TxKind::Call);
        let (nonce, gas_limit, value) = (self.nonce, self.gas_limit, self.value);
        let (input, access_list, chain_id) =
            (self.data.clone(), self.access_list.clone(), self.chain_id);
        let unsigned = match self.r#type {
            0 => {
                let (chain_id, gas_price) = (Some(chain_id), price(self.gas_price));
                TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input }.try_into()
            }
            1 => {
                let gas_price = price(self.gas_price);
                TxEip2930 { chain_id, nonce, gas_price, gas_limit, to, value, access_list, input }
                    .try_into()
            }
            2 => TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: price(self.max_fee),
                max_priority_fee_per_gas: price(self.priority_fee),
                to,
                value,
                access_list,
                input,
            }
            .try_into(),
            4 => TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: price(self.max_fee),
                max_priority_fee_per_gas: price(self.priority_fee),
                to: self.to.unwrap(),
                value,
                access_list,
                authorization_list: self.authorization.clone(),
                input,
            }
            .try_into(),
            other => panic!("type {other}"),
        };
        unsigned.unwrap()
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/transactions.json")).unwrap()
}

#[test]
fn preimages_and_raw_transactions_are_those_of_another_implementation() {
    let Vectors { address, transactions } = vectors();
    assert_eq!(transactions.len(), 8);
    for vector in &transactions {
        let unsigned = vector.unsigned();
        assert_eq!(Bytes::from(unsigned.preimage()), vector.preimage, "{}", vector.name);
        assert_eq!(unsigned.digest(), vector.digest, "{}", vector.name);
        let signed = unsigned.finalize_without_recovery_id(vector.r, vector.s, address).unwrap();
        assert_eq!(signed.raw, vector.raw, "{}", vector.name);
        assert_eq!(signed.hash, vector.hash, "{}", vector.name);
        // A wrong recovery id is put right.
        for parity in [false, true] {
            let signature = Signature::new(vector.r, vector.s, parity);
            assert_eq!(unsigned.finalize(&signature, address).unwrap(), signed, "{}", vector.name);
        }
    }
}

#[test]
fn a_signature_of_another_key_or_transaction_finalises_nothing() {
    let Vectors { address, transactions } = vectors();
    let (one, other) = (&transactions[0], &transactions[3]);
    let refused = one.unsigned().finalize_without_recovery_id(other.r, other.s, address);
    assert!(
        matches!(refused, Err(SignatureError::WrongSigner { expected, .. }) if expected == address)
    );
    let stranger = Address::repeat_byte(1);
    assert!(one.unsigned().finalize_without_recovery_id(one.r, one.s, stranger).is_err());
}

#[test]
fn what_every_chain_would_refuse_is_no_transaction() {
    let legacy = TxLegacy { chain_id: Some(1), ..Default::default() };
    let refused = |transaction: TxLegacy| UnsignedTransaction::try_from(transaction).unwrap_err();
    let no_chain = TxLegacy { chain_id: None, ..legacy.clone() };
    assert_eq!(refused(no_chain), TransactionError::NoChain);
    let zero = TxLegacy { chain_id: Some(0), ..legacy.clone() };
    assert_eq!(refused(zero), TransactionError::NoChain);
    let last = TxLegacy { nonce: u64::MAX, ..legacy };
    assert_eq!(refused(last), TransactionError::LastNonce);
    let inverted = TxEip1559 {
        chain_id: 1,
        max_fee_per_gas: 1,
        max_priority_fee_per_gas: 2,
        ..Default::default()
    };
    let expected = TransactionError::PriorityAboveMaximum { priority_fee: 2, max_fee: 1 };
    assert_eq!(UnsignedTransaction::try_from(inverted), Err(expected));
    let empty = TxEip7702 { chain_id: 1, ..Default::default() };
    assert_eq!(UnsignedTransaction::try_from(empty), Err(TransactionError::NoAuthorization));
}

proptest! {
    /// Whatever is signed decodes, with alloy's decoder, to the same fields and the right sender.
    #[test]
    fn raw_transactions_decode_to_their_fields_and_their_signer(
        kind in 0..3_u8, seed: [u8; 32], chain_id in 1..u64::MAX / 2 - 36, nonce in 0..u64::MAX,
        gas_limit: u64, price: u128, priority: u128, to: Option<[u8; 20]>, value: [u8; 32],
        data: Vec<u8>, slots: Vec<[u8; 32]>,
    ) {
        let Ok(key) = SigningKey::from_slice(&seed) else { return Ok(()) };
        let signer = Address::from_public_key(key.verifying_key());
        let (to, value) = (to.map_or(TxKind::Create, |to| TxKind::Call(to.into())), U256::from_be_bytes(value));
        let input = Bytes::from(data);
        let storage_keys = slots.into_iter().map(B256::from).collect();
        let item = alloy_eips::eip2930::AccessListItem { address: signer, storage_keys };
        let access_list = AccessList(vec![item]);
        let priority = priority.min(price);
        let typed = match kind {
            0 => TypedTransaction::from(TxLegacy {
                chain_id: Some(chain_id), nonce, gas_price: price, gas_limit, to, value, input,
            }),
            1 => TxEip2930 { chain_id, nonce, gas_price: price, gas_limit, to, value, access_list, input }.into(),
            _ => TxEip1559 {
                chain_id, nonce, gas_limit, max_fee_per_gas: price, max_priority_fee_per_gas: priority,
                to, value, access_list, input,
            }.into(),
        };
        let unsigned: UnsignedTransaction = match typed.clone() {
            TypedTransaction::Legacy(legacy) => legacy.try_into().unwrap(),
            TypedTransaction::Eip2930(eip2930) => eip2930.try_into().unwrap(),
            TypedTransaction::Eip1559(eip1559) => eip1559.try_into().unwrap(),
            other => panic!("{other:?}"),
        };
        let (signature, id) = key.sign_prehash_recoverable(unsigned.digest().as_slice()).unwrap();
        let signed = unsigned.finalize(&Signature::from((signature, id)), signer).unwrap();
        let decoded = TxEnvelope::decode_2718_exact(&signed.raw).unwrap();
        prop_assert_eq!(*decoded.tx_hash(), signed.hash);
        prop_assert_eq!(decoded.recover_signer().unwrap(), signer);
        prop_assert_eq!(decoded.chain_id(), Some(chain_id));
        prop_assert_eq!(TypedTransaction::from(decoded), typed);
    }
}
