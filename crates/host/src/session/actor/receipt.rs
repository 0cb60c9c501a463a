//! Receipts: what this host signs of a session, and only once it is stored.
//!
//! Two receipts that contradict each other cost the host a part of its stake, so none may ever be
//! signed that a crash could make untrue. A receipt states a voucher that is stored, and the store
//! lets neither amount nor tokens fall; the last one states the claim that is in the outbox.

use capstan_base::{Amount, Receipt, SignedReceipt};

use super::SessionActor;

impl SessionActor {
    /// A receipt for the newest stored voucher. None for a ceiling, which states no place of the
    /// transcript.
    pub(super) fn receipt(&self) -> Option<SignedReceipt> {
        let newest = self.meter.newest().filter(|newest| !newest.voucher.is_ceiling())?;
        self.sign(Receipt::of(&newest.voucher))
    }

    /// The last receipt, over the claim that the outbox holds.
    pub(super) fn last_receipt(&self, claim: Amount) -> Option<SignedReceipt> {
        let tally = self.meter.tally();
        let newest = self.meter.newest().map(|newest| newest.voucher);
        let uncovered = tally.owed().is_ok_and(|owed| owed > claim);
        let receipt = match newest.filter(|newest| uncovered && !newest.is_ceiling()) {
            // What was served beyond it is not claimed, and this place was stated before.
            Some(newest) => Receipt { last: true, ..Receipt::of(&newest) },
            None => Receipt {
                session_id: self.key.session_id,
                amount: claim,
                tokens: tally.tokens(),
                transcript_root: tally.root(),
                last: true,
            },
        };
        self.sign(receipt)
    }

    fn sign(&self, receipt: Receipt) -> Option<SignedReceipt> {
        let signer = self.context.receipts.as_ref()?;
        let digest = receipt.digest(self.key.chain_id, self.key.marketplace);
        match signer.sign_digest_65(digest) {
            Ok(signature) => Some(SignedReceipt { receipt, signature }),
            Err(error) => {
                tracing::warn!(%error, "receipt not signed");
                None
            }
        }
    }
}
