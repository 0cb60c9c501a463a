//! A signer whose transactions the fake chain reads, and whose bytes cost no elliptic curve.

use alloy_primitives::{Bytes, keccak256};
use async_trait::async_trait;
use capstan_base::Address;
use capstan_chain::{SignedTransaction, SignerError, TxFields};

use super::model::FakeTx;
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
        let raw: Bytes = FakeTx { sender: self.0, tx: tx.clone() }.encode().into();
        let hash = keccak256(&raw);
        Ok(SignedTransaction { raw, hash })
    }
}
