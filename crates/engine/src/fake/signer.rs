//! A signer whose transactions the fake chain reads, and whose bytes cost no elliptic curve.

use alloy_primitives::Bytes;
use async_trait::async_trait;
use capstan_base::Address;
use capstan_chain::{Call, SignedTransaction, SignerError, TxFields};

use super::tx::FakeTx;
use crate::signer::LaneSigner;

/// Signs for one account by writing its address down.
#[derive(Clone, Copy, Debug)]
pub struct FakeSigner(pub Address);

#[async_trait]
impl LaneSigner for FakeSigner {
    fn address(&self) -> Address {
        self.0
    }

    async fn sign(&self, tx: &TxFields) -> Result<SignedTransaction, SignerError> {
        let (raw, hash) = FakeTx { sender: self.0, tx: tx.clone() }.sign();
        Ok(SignedTransaction { raw, hash })
    }

    fn call_of(&self, raw: &Bytes) -> Option<Call> {
        let signed = FakeTx::decode(raw)?;
        Some(Call { to: signed.to(), value: signed.tx.value, data: signed.tx.data })
    }
}
