//! Closing from the renter's side: ask the host first, and exit alone if it does not answer.

use std::sync::Arc;

use capstan_base::{Amount, SessionKey};
use capstan_chain::{BlockTag, ChainClient, SessionState, SessionStatus, calls};
use capstan_engine::Engine;
use capstan_store::{Closing, Inclusion, IntentState, Rental, RentalState, Store};

use crate::error::RenterError;
use crate::open::intent;

/// What one step towards a close found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseStep {
    /// Closed on chain, with the figures of the closing event.
    Closed(Closing),
    /// The renter's request is on its way or mined; final after `challenge_end`.
    Closing(SessionState),
    /// Still active: the host was not asked, or has not settled yet.
    Active(SessionState),
    /// The chain knows no such session: its opening never happened.
    NeverOpened,
}

/// Closes sessions on one chain.
pub struct Closer {
    /// Chain.
    pub chain: Arc<ChainClient>,
    /// Rentals.
    pub store: Store,
    /// Sends.
    pub engine: Engine,
}

impl Closer {
    /// Compares a rental with the chain and writes down how it closed, if it has.
    pub async fn look(&self, rental: &Rental) -> Result<CloseStep, RenterError> {
        let state = self.chain.session(rental.key.session_id, BlockTag::Latest).await?;
        match state.status {
            SessionStatus::None => Ok(CloseStep::NeverOpened),
            SessionStatus::Active => Ok(CloseStep::Active(state)),
            SessionStatus::Closing => Ok(CloseStep::Closing(state)),
            SessionStatus::Closed => self.record(rental).await,
        }
    }

    /// Starts a unilateral close, acknowledging the newest voucher's amount; the host has the
    /// challenge window to show a higher one.
    pub async fn request(&self, rental: &Rental) -> Result<(), RenterError> {
        let owed = rental.voucher.as_ref().map_or(Amount::ZERO, |newest| newest.voucher.amount);
        let call = calls::request_session_close(rental.key.marketplace, &rental.terms, owed);
        let intent = intent(&rental.key, rental.terms.renter, "request-close", call);
        self.store.close_rental(rental.key, "renter", Some(intent)).await?;
        self.engine.notify();
        Ok(())
    }

    /// Finalises a close whose challenge window is over.
    pub async fn finalize(&self, rental: &Rental) -> Result<(), RenterError> {
        let call = calls::finalize_session(rental.key.marketplace, &rental.terms);
        let mut what = "finalize".to_owned();
        loop {
            let wish = intent(&rental.key, rental.terms.renter, &what, call.clone());
            let id = self.engine.submit(wish).await?;
            let reverted = |inclusion: Inclusion| !inclusion.success;
            let found = self.engine.status(id).await?;
            let dead = match found.state {
                IntentState::Failed => true,
                IntentState::Final => found.inclusion.is_some_and(reverted),
                IntentState::Queued | IntentState::InFlight | IntentState::Included => false,
            };
            if !dead {
                return Ok(());
            }
            // It came too early, or the endpoint was behind. Nothing else would ever pay this out.
            what = format!("finalize-after-{}", id.0);
        }
    }

    /// Notes that the host was told to settle.
    pub async fn ended(&self, key: SessionKey, reason: &str) -> Result<(), RenterError> {
        self.store.close_rental(key, reason, None).await?;
        Ok(())
    }

    async fn record(&self, rental: &Rental) -> Result<CloseStep, RenterError> {
        if let Some(closing) = rental.closing {
            return Ok(CloseStep::Closed(closing));
        }
        let from = match rental.open_tx {
            Some(tx) if !tx.is_zero() => {
                self.chain.receipt(tx).await?.map_or(0, |receipt| receipt.block_number)
            }
            _ => 0,
        };
        let found = self.chain.closing_of(rental.key.session_id, from).await?;
        let closing = found.ok_or_else(|| {
            RenterError::Over(
                "closed on chain, its event is not served by this endpoint yet".into(),
            )
        })?;
        let closing = Closing {
            paid: closing.host_paid,
            fee: closing.fee,
            refund: closing.refund,
            close_tx: closing.tx_hash,
        };
        self.store.finish_rental(rental.key, closing).await?;
        Ok(CloseStep::Closed(closing))
    }
}

/// True if nothing more can happen to a rental.
pub fn is_done(rental: &Rental) -> bool {
    rental.state == RentalState::Closed
}
