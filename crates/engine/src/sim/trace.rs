//! How things are written in the trace of a run.

use capstan_base::B256;

use crate::fake::contracts::Calls;
use crate::fake::tx::FakeTx;
use alloy_primitives::keccak256;

/// The first bytes of a hash.
pub(super) fn short(hash: B256) -> String {
    alloy_primitives::hex::encode(hash.first_chunk::<4>().copied().unwrap_or_default())
}

/// A transaction by its bytes.
pub(super) fn transaction(raw: &[u8]) -> String {
    let hash = short(keccak256(raw));
    let Some(tx) = FakeTx::decode(raw) else { return hash };
    let calls = Calls::decode(tx.to(), &tx.tx.data);
    let effects: Vec<u64> = calls.items().iter().map(|item| item.effect).collect();
    format!("{hash} nonce {} max fee {} effects {effects:?}", tx.tx.nonce, tx.tx.fees.max_fee())
}
