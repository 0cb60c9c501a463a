//! The end: one transaction that closes the session here and puts its settlement in the outbox.

use core::time::Duration;

use capstan_base::Amount;
use capstan_store::StoreError;
use capstan_wire::session::{EndReason, FinishReason, FromHost};

use super::SessionActor;
use crate::settlement::claim_of;

/// Pause between tries to write the outbox. The disk may be full for a while; the voucher is
/// stored already, and a restart would settle it too.
const RETRY: Duration = Duration::from_secs(5);

impl SessionActor {
    /// Ends the session for `reason`; returns when the outbox holds its settlement.
    pub(super) async fn settle(&mut self, reason: EndReason) {
        if self.running.is_some() {
            self.finish(FinishReason::Cancelled);
        }
        self.send(FromHost::Ended { reason });
        self.drop_connection();
        let claim = loop {
            match self.end(reason).await {
                Ok(claim) => break claim,
                Err(error) => {
                    tracing::error!(%error, "settlement not stored; trying again");
                    tokio::time::sleep(RETRY).await;
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
    async fn end(&mut self, reason: EndReason) -> Result<Amount, StoreError> {
        let (mut newest, mut claim) = (self.meter.newest().cloned(), self.meter.claim());
        if let Some(record) = self.context.store.session(self.key).await?
            && let Some(stored) = &record.voucher
            && stored.voucher.amount > self.meter.signed()
        {
            claim = claim.max(claim_of(&record));
            newest = record.voucher;
        }
        let outbox = &self.context.outbox;
        outbox.end(self.key, &self.terms, newest.as_ref(), claim, reason).await?;
        Ok(claim)
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
