//! Connections come and go; the session stays.

use core::time::Duration;

use capstan_base::tally::TallyState;
use capstan_base::{SignedVoucher, Tally};
use capstan_store::Transition;
use capstan_wire::session::{EndReason, FromHost, NewestVoucher, SessionReady};
use capstan_wire::{ApiError, ErrorCode};

use super::SessionActor;
use crate::session::request::Sink;
use crate::session::{Connection, ConnectionId};

impl SessionActor {
    /// Attaches a connection that proved to hold the voucher key; an older one is told and let go.
    pub(super) async fn attach(
        &mut self,
        connection: Connection,
        newest: Option<NewestVoucher>,
        have: u64,
    ) -> Result<SessionReady, ApiError> {
        if let Some(newest) = newest
            && newest.voucher.voucher.amount > self.meter.signed()
        {
            self.adopt(newest).await?;
        }
        // The renter may hold tokens past its newest voucher; they are good if this side still
        // counts them too. After a restart it does not, and the renter drops its tail.
        let lowest = self.meter.acknowledged().max(self.replay.floor());
        let counted = lowest..=self.meter.tally().tokens();
        let tokens = if counted.contains(&have) { have } else { lowest };
        let attached = self.context.store.attach_session(self.key).await;
        if attached.map_err(|error| self.storage_failed("attach", &error))? != Transition::Done {
            // Another host of the same key has it, or ended it.
            self.end_when_covered(EndReason::Disconnect, Duration::ZERO);
            return Err(ApiError::new(
                ErrorCode::SessionClosed,
                "the session goes on at another host, or is over",
            ));
        }
        let taken = ApiError::new(ErrorCode::SessionTaken, "another connection took this session");
        self.send(FromHost::Error { error: taken, request_id: None, fatal: true });
        self.drop_connection();
        let replayed: Vec<_> = self.replay.since(tokens).cloned().collect();
        self.connection = Some(connection);
        self.touch();
        let ready = SessionReady {
            chain_id: self.key.chain_id,
            session_id: self.key.session_id,
            tokens,
            resumed: self.meter.tally().tokens() > 0,
            running: self
                .running
                .as_ref()
                .filter(|running| matches!(running.sink, Sink::Connection))
                .map(|running| running.request_id),
        };
        self.send(FromHost::SessionReady(ready.clone()));
        for frame in replayed {
            self.send(frame);
        }
        self.requested = 0;
        self.request_voucher_if_due(true);
        Ok(ready)
    }

    /// The connection is gone; the session waits for the grace period.
    pub(super) async fn detach(&mut self, connection: ConnectionId) {
        if self.connection.as_ref().map(|attached| attached.id) != Some(connection) {
            return;
        }
        self.drop_connection();
        let now = self.context.clock.now();
        if let Err(error) = self.context.store.detach_session(self.key, now).await {
            // Losing this costs only the reason: a session found open at start is detached anyway.
            tracing::warn!(%error, "detach not recorded");
        }
    }

    /// Takes over a voucher that the renter signed and this side never stored: lost on the way, or
    /// lost by a restart before its commit.
    async fn adopt(&mut self, newest: NewestVoucher) -> Result<(), ApiError> {
        self.refresh_deposit_for(newest.voucher.voucher.amount).await;
        if let Ok(state) = self.meter.judge(&newest.voucher.voucher) {
            return self.store_voucher(newest.voucher, state).await;
        }
        if newest.tally.frontier.size <= self.meter.tally().tokens() {
            return Err(mismatch("it states another transcript than the host's"));
        }
        let NewestVoucher { voucher, tally } = newest;
        if voucher.voucher.amount > self.meter.deposit() {
            return Err(ApiError::new(ErrorCode::VoucherOverDeposit, "above the deposit"));
        }
        if !states_exactly(&voucher, &tally, self.meter.tally()) {
            return Err(mismatch("its tally does not hash to it"));
        }
        self.store_voucher(voucher.clone(), tally.clone()).await?;
        self.meter.resume(voucher, tally).map_err(|error| mismatch(&error.to_string()))?;
        self.replay.restart(self.meter.tally().tokens());
        self.running = None;
        Ok(())
    }
}

/// True if resuming from `state` gives exactly the tally that the voucher states.
fn states_exactly(signed: &SignedVoucher, state: &TallyState, current: &Tally) -> bool {
    Tally::resume(current.price(), state.clone())
        .ok()
        .and_then(|tally| tally.voucher(signed.voucher.session_id).ok())
        .is_some_and(|voucher| voucher == signed.voucher)
}

fn mismatch(why: &str) -> ApiError {
    ApiError::new(ErrorCode::VoucherMismatch, format!("the newest voucher is not accepted: {why}"))
}
