//! The seam to a key.

use alloy_primitives::Bytes;
use async_trait::async_trait;
use capstan_base::Address;
use capstan_chain::{Call, LocalSigner, SignedTransaction, SignerError, TxFields};

/// A key that signs transactions of one account. Signing the same transaction twice may give other
/// bytes; the engine stores what it got and never signs again to send again.
#[async_trait]
pub trait LaneSigner: Send + Sync + 'static {
    /// The account.
    fn address(&self) -> Address;
    /// Signs.
    async fn sign(&self, tx: &TxFields) -> Result<SignedTransaction, SignerError>;
    /// The call that signed bytes make; `None` for what is none.
    fn call_of(&self, raw: &Bytes) -> Option<Call> {
        Call::of_raw(raw)
    }
}

#[async_trait]
impl LaneSigner for LocalSigner {
    fn address(&self) -> Address {
        LocalSigner::address(self)
    }

    async fn sign(&self, tx: &TxFields) -> Result<SignedTransaction, SignerError> {
        self.sign_transaction(tx)
    }
}
