//! Receipts of the host: stored first, since they are evidence, then compared with this side's count.

use capstan_base::SignedReceipt;
use capstan_store::ReceiptOutcome;

use super::{Leave, Task};
use crate::book::Refusal;

impl Task {
    /// Takes what the host signed. One that proves nothing is left aside; one that contradicts this
    /// side's count, or an earlier receipt, ends the link.
    pub(super) async fn take_receipt(&mut self, signed: SignedReceipt) -> Result<(), Leave> {
        let key = self.context.key;
        let receipt = signed.receipt;
        if receipt.session_id != key.session_id {
            tracing::warn!(session = %receipt.session_id, "the host sent another session's receipt");
            return Ok(());
        }
        if let Err(error) = signed.verify(&key, self.context.terms.host) {
            tracing::warn!(%error, "the host's receipt proves nothing");
            return Ok(());
        }
        match self.context.store.record_receipt(key, &signed).await {
            Ok(ReceiptOutcome::Contradicts) => {
                return Err(Refusal::Equivocation { tokens: receipt.tokens }.into());
            }
            Ok(_) => {}
            // What it would have proved is lost, and no money.
            Err(error) => tracing::warn!(%error, "receipt not stored"),
        }
        Ok(self.context.book.check_receipt(&receipt)?)
    }
}
