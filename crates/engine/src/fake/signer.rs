//! A signer whose transactions the fake chain reads, and whose bytes cost no elliptic curve.

use alloy_primitives::{Bytes, keccak256};
use async_trait::async_trait;
use capstan_base::Address;

use super::model::FakeTx;
use crate::signer::{LaneSigner, SignedTx, SignerError, UnsignedTx};

/// Signs for one account by writing its address down.
#[derive(Clone, Copy, Debug)]
pub struct FakeSigner(pub Address);

#[async_trait]
impl LaneSigner for FakeSigner {
    fn address(&self) -> Address {
        self.0
    }

    async fn sign(&self, tx: &UnsignedTx) -> Result<SignedTx, SignerError> {
        let raw: Bytes = FakeTx { sender: self.0, tx: tx.clone() }.encode().into();
        let hash = keccak256(&raw);
        Ok(SignedTx { raw, hash })
    }
}
