//! Vouchers: asked for in time, verified, stored, and only then counted.

use core::time::Duration;

use capstan_base::SignedVoucher;
use capstan_base::tally::TallyState;
use capstan_store::VoucherOutcome;
use capstan_wire::session::{EndReason, FromHost};
use capstan_wire::{ApiError, ErrorCode};

use super::SessionActor;

impl SessionActor {
    /// Verifies, judges and stores a voucher.
    pub(super) async fn take_voucher(&mut self, signed: SignedVoucher) -> Result<(), ApiError> {
        self.refresh_deposit_for(signed.voucher.amount).await;
        // Judged first: a replayed voucher costs a comparison, not a signature check.
        let state = self.meter.judge(&signed.voucher)?;
        signed.verify(&self.key, self.terms.voucher_key).map_err(|error| {
            ApiError::new(ErrorCode::BadSignature, format!("voucher refused: {error}"))
        })?;
        self.store_voucher(signed, state).await
    }

    /// Stores a judged and verified voucher; it covers nothing before that.
    pub(super) async fn store_voucher(
        &mut self,
        signed: SignedVoucher,
        state: TallyState,
    ) -> Result<(), ApiError> {
        let outcome = self
            .context
            .store
            .record_voucher(self.key, &signed, &state)
            .await
            .map_err(|error| self.storage_failed("voucher", &error))?;
        match outcome {
            VoucherOutcome::Stored => {
                self.meter.accept(signed);
                self.replay.prune(self.meter.acknowledged());
                Ok(())
            }
            VoucherOutcome::NotHigher => Err(ApiError::new(
                ErrorCode::VoucherNotHigher,
                "a voucher of at least this amount is stored already",
            )),
            VoucherOutcome::Elsewhere => {
                // This side's meter is out of date. Whoever comes back here gets one from the store.
                self.end_when_covered(EndReason::Disconnect, Duration::ZERO);
                Err(ApiError::new(ErrorCode::SessionTaken, "another host serves this session now"))
            }
            VoucherOutcome::UnknownSession | VoucherOutcome::Closed => {
                Err(ApiError::new(ErrorCode::SessionClosed, "the session is being settled"))
            }
        }
    }

    /// Asks for a voucher when half the window is used, or at once if `whole` and anything is open.
    /// Half, so that the voucher is under way while the other half is served.
    pub(super) fn request_voucher_if_due(&mut self, whole: bool) {
        let tokens = self.meter.tally().tokens();
        let since = tokens.saturating_sub(self.requested.max(self.meter.covered()));
        let due = if whole { 1 } else { (self.context.config.window / 2).max(1) };
        if since < due {
            return;
        }
        if let Some(statement) = self.meter.statement() {
            self.requested = tokens;
            self.send(FromHost::VoucherRequest {
                amount: statement.amount,
                tokens: statement.tokens,
                transcript_root: statement.transcript_root,
            });
        }
    }

    /// Logs a storage fault and tells the renter no more than that there was one.
    pub(super) fn storage_failed(
        &self,
        operation: &'static str,
        error: &dyn std::error::Error,
    ) -> ApiError {
        tracing::error!(operation, %error, "storage failed");
        ApiError::new(ErrorCode::Internal, "the host could not store this; nothing was counted")
    }
}
