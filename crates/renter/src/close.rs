//! Closing from the renter's side: ask the host first, and exit alone if it does not answer.

use std::sync::Arc;

use capstan_base::{Amount, SessionKey, Tally};
use capstan_chain::{BlockTag, Call, ChainClient, SessionState, SessionStatus, calls};
use capstan_engine::Engine;
use capstan_store::{Closing, NewIntent, Rental, Store};

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
    /// The chain knows no such session yet, and its opening may still be mined.
    Opening,
    /// The chain knows no such session, and its opening can have no effect any more.
    NeverOpened,
}

/// Compares a rental with its chain and writes nothing: a store that is open to read only will do.
pub async fn look(
    chain: &ChainClient,
    store: &Store,
    rental: &Rental,
) -> Result<CloseStep, RenterError> {
    let state = chain.session_of(&rental.key, BlockTag::Latest).await?;
    match state.status {
        SessionStatus::None if may_open(store, rental).await? => Ok(CloseStep::Opening),
        SessionStatus::None => Ok(CloseStep::NeverOpened),
        SessionStatus::Active => Ok(CloseStep::Active(state)),
        SessionStatus::Closing => Ok(CloseStep::Closing(state)),
        SessionStatus::Closed => closed(chain, store, rental).await.map(CloseStep::Closed),
    }
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
        let step = look(&self.chain, &self.store, rental).await?;
        if let CloseStep::Closed(closing) = &step
            && rental.closing.is_none()
        {
            self.store.finish_rental(rental.key, *closing).await?;
        }
        Ok(step)
    }

    /// Starts a unilateral close, acknowledging the newest voucher's amount; the host has the
    /// challenge window to show a higher one.
    pub async fn request(&self, rental: &Rental) -> Result<(), RenterError> {
        let owed = acknowledged(rental);
        let call = calls::request_session_close(rental.key.marketplace, &rental.terms, owed);
        let intent = self.fresh(rental, "request-close", call).await?;
        self.store.close_rental(rental.key, "renter", Some(intent)).await?;
        self.engine.notify();
        Ok(())
    }

    /// Finalises a close whose challenge window is over.
    pub async fn finalize(&self, rental: &Rental) -> Result<(), RenterError> {
        let call = calls::finalize_session(rental.key.marketplace, &rental.terms);
        self.engine.submit(self.fresh(rental, "finalize", call).await?).await?;
        Ok(())
    }

    /// An intent under a key that none has which can have no effect any more: a refusal, as by an
    /// endpoint that lags, must not be the last word on an exit.
    async fn fresh(
        &self,
        rental: &Rental,
        what: &str,
        call: Call,
    ) -> Result<NewIntent, RenterError> {
        let mut fresh = intent(&rental.key, rental.terms.renter, what, call);
        let key = fresh.idempotency_key.clone();
        while let Some(known) = self.store.intent_by_key(&fresh.idempotency_key).await?
            && known.is_dead()
        {
            fresh.idempotency_key = format!("{key}/after-{}", known.id);
        }
        Ok(fresh)
    }

    /// Notes that the host was told to settle.
    pub async fn ended(&self, key: SessionKey, reason: &str) -> Result<(), RenterError> {
        self.store.close_rental(key, reason, None).await?;
        Ok(())
    }
}

async fn closed(
    chain: &ChainClient,
    store: &Store,
    rental: &Rental,
) -> Result<Closing, RenterError> {
    if let Some(closing) = rental.closing {
        return Ok(closing);
    }
    let from = opened_in(chain, store, rental).await?;
    let found = chain.closing_of(&rental.key, from).await?;
    let closing = found.ok_or_else(|| {
        RenterError::Over("closed on chain, its event is not served by this endpoint yet".into())
    })?;
    Ok(Closing {
        paid: closing.host_paid,
        fee: closing.fee,
        refund: closing.refund,
        close_tx: closing.tx_hash,
    })
}

/// That the chain shows no session is no evidence while its opening is on its way, or was mined
/// and this endpoint lags.
async fn may_open(store: &Store, rental: &Rental) -> Result<bool, RenterError> {
    let Some(id) = rental.open_intent else { return Ok(false) };
    Ok(store.intent(id).await?.is_some_and(|intent| !intent.is_dead()))
}

/// The block it was opened in: its closing lies no earlier, and a search from the chain's first
/// block would take days on a chain of millions.
async fn opened_in(
    chain: &ChainClient,
    store: &Store,
    rental: &Rental,
) -> Result<u64, RenterError> {
    let intent = match rental.open_intent {
        Some(id) => store.intent(id).await?,
        None => None,
    };
    if let Some(inclusion) = intent.and_then(|intent| intent.inclusion) {
        return Ok(inclusion.block_number);
    }
    let receipt = match rental.open_tx {
        Some(tx) => chain.receipt(tx).await?,
        None => None,
    };
    receipt.map(|receipt| receipt.block_number).ok_or_else(|| {
        RenterError::Over("closed on chain; the block it was opened in is not known yet".into())
    })
}

/// What a renter states as owed when it closes alone. A ceiling was signed ahead of the work and
/// says nothing of it: acknowledged, it would be paid in full, since the host may claim no less
/// than that. What was counted is owed; a host that served more under the ceiling shows it.
fn acknowledged(rental: &Rental) -> Amount {
    match &rental.voucher {
        None => Amount::ZERO,
        Some(newest) if newest.voucher.is_ceiling() => {
            Tally::resume(rental.price, rental.tally.clone())
                .ok()
                .and_then(|tally| tally.owed().ok())
                .unwrap_or(Amount::ZERO)
                .min(newest.voucher.amount)
        }
        Some(newest) => newest.voucher.amount,
    }
}

#[cfg(test)]
mod tests {
    use capstan_base::{
        Address, B256, ChainId, ModelId, Price, SessionTerms, Signature65, SignedVoucher,
        TallyState, UnixSeconds, Voucher,
    };
    use capstan_store::RentalState;

    use super::*;

    fn amount(units: u128) -> Amount {
        Amount::new(units).unwrap()
    }

    /// A rental of which five tokens were counted, at one base unit each.
    fn rental(voucher: impl FnOnce(&Tally, SessionKey) -> Option<Voucher>) -> Rental {
        let terms = SessionTerms {
            host: Address::repeat_byte(1),
            renter: Address::repeat_byte(2),
            token: Address::ZERO,
            deposit: amount(1000),
            expiry: UnixSeconds::MAX,
            voucher_key: Address::repeat_byte(2),
            model: ModelId(B256::ZERO),
            salt: B256::ZERO,
        };
        let key = SessionKey {
            chain_id: ChainId(1),
            marketplace: Address::repeat_byte(3),
            session_id: terms.id(),
        };
        let price = Price { input: amount(1_000_000), output: amount(1_000_000) };
        let mut tally = Tally::new(price);
        for token in 0..5 {
            tally.push_output(token, b"x");
        }
        let voucher = voucher(&tally, key);
        let signature = Signature65(vec![0; 65].into());
        Rental {
            key,
            terms,
            host_url: "http://host".into(),
            price,
            state: RentalState::Open,
            tally: if voucher.is_some() { tally.state() } else { TallyState::default() },
            voucher: voucher.map(|voucher| SignedVoucher { voucher, signature }),
            end_reason: None,
            created_at: UnixSeconds::MAX,
            updated_at: UnixSeconds::MAX,
            open_intent: None,
            open_tx: None,
            close_intent: None,
            closing: None,
            receipt: None,
            contradiction: None,
        }
    }

    #[test]
    fn what_was_counted_is_acknowledged_and_never_a_ceiling() {
        assert_eq!(acknowledged(&rental(|_, _| None)), Amount::ZERO);
        let exact = rental(|tally, key| tally.voucher(key.session_id).ok());
        assert_eq!(acknowledged(&exact), amount(5));
        let ceiling = rental(|_, key| Some(Voucher::ceiling(key.session_id, amount(1000))));
        assert_eq!(acknowledged(&ceiling), amount(5));
        let mut unused = ceiling;
        unused.tally = TallyState::default();
        assert_eq!(acknowledged(&unused), Amount::ZERO);
    }
}
