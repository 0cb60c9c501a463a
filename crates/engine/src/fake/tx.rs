//! Transactions of the fake chain: plain bytes instead of signatures.

use alloy_primitives::{Bytes, keccak256};
use capstan_base::{Address, B256, ChainId, U256};
use capstan_chain::{Call, Fees, TxFields, TxTarget};

/// A transaction of the fake chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeTx {
    /// Who signed it.
    pub sender: Address,
    /// What.
    pub tx: TxFields,
}

impl FakeTx {
    /// Whom it calls; this chain knows no creations.
    pub fn to(&self) -> Address {
        match self.tx.target {
            TxTarget::To(to) => to,
            TxTarget::Create => Address::ZERO,
        }
    }

    /// Its bytes and their hash.
    pub fn sign(&self) -> (Bytes, B256) {
        let raw: Bytes = self.encode().into();
        let hash = keccak256(&raw);
        (raw, hash)
    }

    /// Most wei it can take from its sender, a rollup's fee not counted.
    pub fn max_cost(&self) -> U256 {
        let gas = U256::from(self.tx.fees.max_fee()).saturating_mul(U256::from(self.tx.gas_limit));
        self.tx.value.saturating_add(gas)
    }

    /// Wei per gas it pays in a block of this base fee; `None` if it cannot be in it.
    pub fn price(&self, base_fee: Option<u128>) -> Option<u128> {
        let max_fee = self.tx.fees.max_fee();
        let base = base_fee.unwrap_or(0);
        let priority = self.tx.fees.priority_fee().unwrap_or(max_fee);
        (max_fee >= base).then_some(max_fee.min(base.saturating_add(priority)))
    }

    fn encode(&self) -> Vec<u8> {
        let tx = &self.tx;
        let mut bytes = self.sender.to_vec();
        bytes.extend(tx.chain_id.0.to_be_bytes());
        bytes.extend(tx.nonce.to_be_bytes());
        bytes.extend(tx.gas_limit.to_be_bytes());
        bytes.extend(tx.fees.max_fee().to_be_bytes());
        bytes.push(u8::from(tx.fees.priority_fee().is_some()));
        bytes.extend(tx.fees.priority_fee().unwrap_or(0).to_be_bytes());
        bytes.extend(self.to());
        bytes.extend(tx.value.to_be_bytes::<32>());
        bytes.extend(&tx.data);
        bytes
    }

    /// Reads its bytes back; `None` for anything else.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let sender = Address::from(take::<20>(&mut bytes)?);
        let chain_id = ChainId(u64::from_be_bytes(take(&mut bytes)?));
        let nonce = u64::from_be_bytes(take(&mut bytes)?);
        let gas_limit = u64::from_be_bytes(take(&mut bytes)?);
        let max_fee = u128::from_be_bytes(take(&mut bytes)?);
        let has_priority = take::<1>(&mut bytes)? == [1];
        let priority = u128::from_be_bytes(take(&mut bytes)?);
        let to = Address::from(take::<20>(&mut bytes)?);
        let value = U256::from_be_bytes(take::<32>(&mut bytes)?);
        let fees = Fees::from_parts(max_fee, has_priority.then_some(priority));
        let data = Bytes::copy_from_slice(bytes);
        let tx = TxFields::of_call(chain_id, nonce, &Call { to, value, data }, gas_limit, fees);
        Some(Self { sender, tx })
    }
}

/// The rule of geth and reth for replacements: a tenth more in every field.
pub fn raises(old: Fees, new: Fees) -> bool {
    let is_more =
        |old: u128, new: u128| new > old && new.saturating_mul(10) >= old.saturating_mul(11);
    let tip = |fees: Fees| fees.priority_fee().unwrap_or(fees.max_fee());
    is_more(old.max_fee(), new.max_fee()) && is_more(tip(old), tip(new))
}

/// Cuts so many bytes off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}
