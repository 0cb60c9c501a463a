//! The end: one transaction that closes the session here and puts its settlement in the outbox.

use core::time::Duration;

use capstan_base::Amount;
use capstan_store::{SettleOutcome, StoreError};
use capstan_wire::session::{EndReason, FinishReason, FromHost};

use super::SessionActor;
use crate::settlement::claim_of;

/// Pause between tries to write the outbox. The disk may be full for a while; the voucher is
/// stored already, and a restart would settle it too.
const RETRY: Duration = Duration::from_secs(5);

/// What an end came to.
struct Ended {
    /// What is claimed.
    claim: Amount,
    /// The same, if this actor's own count settled it: then nothing above it is ever claimed.
    settled: Option<Amount>,
}

impl SessionActor {
    /// Ends the session for `reason`; returns when the outbox holds its settlement.
    pub(super) async fn settle(&mut self, reason: EndReason) {
        if self.running.is_some() {
            self.finish(FinishReason::Cancelled);
        }
        // Told after the first try, whatever came of it: a renter must not wait for a disk.
        let mut ended = self.end(reason).await;
        let last = ended.as_ref().ok().and_then(|ended| ended.settled);
        let receipt = last.and_then(|claim| self.last_receipt(claim));
        self.send(FromHost::Ended { reason, receipt });
        self.drop_connection();
        let claim = loop {
            match ended {
                Ok(Ended { claim, .. }) => break claim,
                Err(error) => {
                    tracing::error!(%error, "settlement not stored; trying again");
                    tokio::time::sleep(RETRY).await;
                    ended = self.end(reason).await;
                }
            }
        };
        tracing::info!(
            reason = reason.as_str(),
            tokens = self.meter.tally().tokens(),
            %claim,
            "session ended"
        );
    }

    /// Puts the settlement in the outbox, and tells what it claims: by the newest voucher of the meter,
    /// or by a higher one in the store, whose write was made and its answer lost.
    async fn end(&mut self, reason: EndReason) -> Result<Ended, StoreError> {
        let (mut newest, mut claim) = (self.meter.newest().cloned(), self.meter.claim());
        let mut known = true;
        if let Some(record) = self.context.store.session(self.key).await?
            && let Some(stored) = &record.voucher
            && stored.voucher.amount > self.meter.signed()
        {
            claim = claim.max(claim_of(&record));
            newest = record.voucher;
            known = false;
        }
        let outbox = &self.context.outbox;
        let outcome = outbox.end(self.key, &self.terms, newest.as_ref(), claim, reason).await?;
        // Otherwise it ended elsewhere or before, at a claim that is not this one.
        let here = matches!(outcome, SettleOutcome::Settling(_) | SettleOutcome::Abandoned);
        Ok(Ended { claim, settled: (here && known).then_some(claim) })
    }

    /// Stores the tally under a ceiling, which states none: it bounds the claim after a crash.
    pub(super) async fn record_tally(&mut self) {
        let Some(newest) = self.meter.newest() else { return };
        let state = self.meter.tally().state();
        if let Err(error) = self.context.store.record_voucher(self.key, newest, &state).await {
            self.storage_failed("tally", &error);
        }
    }
}
