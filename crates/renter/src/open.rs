//! Opening a session: the registry is read, the deposit checked, the terms stored, and only then
//! is anything sent.

use core::time::Duration;
use std::sync::Arc;

use capstan_base::{
    Address, Amount, B256, ModelId, Price, SessionKey, SessionTerms, U256, UnixSeconds,
};
use capstan_chain::{BlockTag, Call, ChainClient, LocalSigner, SessionStatus, calls};
use capstan_engine::Engine;
use capstan_store::{IntentId, IntentState, LaneKey, NewIntent, NewRental, RentalInsert, Store};

use crate::error::RenterError;

/// Pause between looks at the chain while a transaction is on its way.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Seconds an opening may take until it is sent, and its permit stays valid. A deposit that was
/// asked for by a process that is long gone must not leave with the next one.
const OPEN_WITHIN: u64 = 3600;

/// What a renter wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// Who serves.
    pub host: Address,
    /// Where it listens; the registry's endpoint if absent.
    pub host_url: Option<String>,
    /// What it serves.
    pub model: ModelId,
    /// Payment token; zero is the native coin.
    pub token: Address,
    /// The most a million tokens may cost, if the host was picked by a price: it may have changed since.
    pub max_price: Option<Price>,
    /// Deposit.
    pub deposit: Amount,
    /// Life of the session, seconds.
    pub lifetime: u64,
}

/// What the registry says about a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// Price of the model in the token.
    pub price: Price,
    /// Registered endpoint.
    pub endpoint: Option<String>,
}

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its key.
    pub key: SessionKey,
    /// Its terms.
    pub terms: SessionTerms,
    /// Where its host listens.
    pub host_url: String,
    /// Price it was opened at.
    pub price: Price,
}

/// Opens sessions on one chain for one account.
pub struct Opener {
    /// Chain.
    pub chain: Arc<ChainClient>,
    /// Rentals are stored here before anything is sent.
    pub store: Store,
    /// Sends.
    pub engine: Engine,
    /// The renter's key; it signs vouchers too.
    pub signer: Arc<LocalSigner>,
}

impl Opener {
    /// The host's entry, or why it cannot be rented.
    pub async fn host_entry(
        &self,
        host: Address,
        model: ModelId,
        token: Address,
    ) -> Result<HostEntry, RenterError> {
        let refuse = |why: String| RenterError::HostNotServing {
            host,
            chain_id: self.chain.chain_id(),
            why,
        };
        let Some(node) = self.chain.node(host).await? else {
            return Err(refuse("it is not registered".into()));
        };
        if let Some(when) = node.unbonds_at {
            return Err(refuse(format!("it takes no new session, its stake unbonds at {when}")));
        }
        let Some(price) = self.chain.price_of(host, model, token).await? else {
            return Err(refuse("it does not offer this model in this token".into()));
        };
        if !self.chain.is_serving(host, model, token).await? {
            return Err(refuse("its stake is below the minimum".into()));
        }
        let endpoint = self.chain.node_info(host).await?.map(|info| info.endpoint);
        Ok(HostEntry { price, endpoint: endpoint.filter(|endpoint| is_base_url(endpoint)) })
    }

    /// Opens a session and waits until the chain shows it active.
    pub async fn open(
        &self,
        request: &OpenRequest,
        now: UnixSeconds,
    ) -> Result<Opened, RenterError> {
        let entry = self.host_entry(request.host, request.model, request.token).await?;
        if request
            .max_price
            .is_some_and(|most| entry.price.input > most.input || entry.price.output > most.output)
        {
            return Err(RenterError::HostNotServing {
                host: request.host,
                chain_id: self.chain.chain_id(),
                why: "it raised its price a moment ago; nothing was paid in".into(),
            });
        }
        let host_url = request.host_url.clone().or(entry.endpoint).ok_or_else(|| {
            RenterError::HostNotServing {
                host: request.host,
                chain_id: self.chain.chain_id(),
                why: "it registered no usable endpoint; name one with --host-url".into(),
            }
        })?;
        let account = self.signer.address();
        self.check_funds(account, request).await?;
        let terms = SessionTerms {
            host: request.host,
            renter: account,
            token: request.token,
            deposit: request.deposit,
            expiry: now.plus(request.lifetime),
            voucher_key: account,
            model: request.model,
            salt: B256::random(),
        };
        let key = SessionKey {
            chain_id: self.chain.chain_id(),
            marketplace: self.chain.marketplace()?,
            session_id: terms.id(),
        };
        let call = self.opening_call(&key, &terms, now).await?;
        let rental =
            NewRental { key, terms: terms.clone(), host_url: host_url.clone(), price: entry.price };
        let intent = opening(&key, account, call, now);
        let inserted = self.store.insert_rental(rental, Some(intent)).await?;
        self.engine.notify();
        if let RentalInsert::Created(Some(intent)) = inserted {
            let active = self.wait_active(&key, intent).await;
            if let Err(RenterError::Refused { why, .. }) = &active {
                self.store.abandon_rental(key, why.clone()).await?;
            }
            active?;
        }
        Ok(Opened { key, terms, host_url, price: entry.price })
    }

    async fn check_funds(
        &self,
        account: Address,
        request: &OpenRequest,
    ) -> Result<(), RenterError> {
        let held = if request.token.is_zero() {
            self.chain.balance(account).await?
        } else {
            self.chain.token_balance(request.token, account).await?
        };
        if held < U256::from(request.deposit.base_units()) {
            return Err(RenterError::InsufficientFunds {
                account,
                held: held.to_string(),
                deposit: request.deposit,
            });
        }
        Ok(())
    }

    /// Native coin and permit tokens open in one transaction; other tokens are approved first.
    async fn opening_call(
        &self,
        key: &SessionKey,
        terms: &SessionTerms,
        now: UnixSeconds,
    ) -> Result<Call, RenterError> {
        if terms.token.is_zero() {
            return Ok(calls::create_session_job(key.marketplace, terms));
        }
        let deposit = U256::from(terms.deposit.base_units());
        let allowance = self.chain.allowance(terms.token, terms.renter, key.marketplace).await?;
        if allowance >= deposit {
            return Ok(calls::create_session_job(key.marketplace, terms));
        }
        if let (Ok(nonce), Ok(domain)) = (
            self.chain.permit_nonce(terms.token, terms.renter).await,
            self.chain.domain_separator(terms.token).await,
        ) {
            let deadline = U256::from(now.plus(OPEN_WITHIN).get());
            let digest = calls::permit_digest(
                domain,
                terms.renter,
                key.marketplace,
                terms.deposit,
                nonce,
                deadline,
            );
            let signature = self.signer.sign_digest(digest)?;
            return Ok(calls::create_session_job_with_permit(
                key.marketplace,
                terms,
                deadline,
                &signature,
            ));
        }
        let approve = calls::erc20_approve(terms.token, key.marketplace, deposit);
        let intent = self.engine.submit(intent(key, terms.renter, "approve", approve)).await?;
        loop {
            self.check_not_failed("the token's approval", intent).await?;
            if self.chain.allowance(terms.token, terms.renter, key.marketplace).await? >= deposit {
                return Ok(calls::create_session_job(key.marketplace, terms));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits for the session's state on chain, which is what the host will look at.
    async fn wait_active(&self, key: &SessionKey, intent: IntentId) -> Result<(), RenterError> {
        loop {
            let state = self.chain.session(key.session_id, BlockTag::Latest).await?;
            if state.status != SessionStatus::None
                && let Some(tx_hash) = self.opened_in(intent).await?
            {
                self.store.rental_opened(*key, tx_hash).await?;
                return Ok(());
            }
            self.check_not_failed("opening the session", intent).await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The transaction that opened the session that is on the chain: only this intent can have. An
    /// attempt that the engine did not follow to its end may have come back and done it.
    async fn opened_in(&self, id: IntentId) -> Result<Option<B256>, RenterError> {
        let Some(intent) = self.store.intent(id).await? else { return Ok(None) };
        let mined = intent.inclusion.filter(|mined| mined.success).map(|mined| mined.tx_hash);
        if mined.is_some() || !intent.is_dead() {
            return Ok(mined);
        }
        let attempts = self.store.attempts(id).await?;
        Ok(attempts.first().map(|attempt| attempt.signed.tx_hash))
    }

    async fn check_not_failed(
        &self,
        what: &'static str,
        intent: IntentId,
    ) -> Result<(), RenterError> {
        let Some(intent) = self.store.intent(intent).await? else { return Ok(()) };
        match (intent.state, intent.inclusion, intent.failure) {
            (IntentState::Failed, _, Some(failure)) => {
                Err(RenterError::Refused { what, why: failure.detail })
            }
            (IntentState::Final, Some(inclusion), _) if !inclusion.success => {
                Err(RenterError::Refused { what, why: "the transaction reverted".into() })
            }
            _ => Ok(()),
        }
    }
}

/// A host writes what it likes into the registry, and this is printed to terminals and shells.
pub fn is_base_url(endpoint: &str) -> bool {
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_plain))
}

/// The intent that pays the deposit in: the one that must not be sent late.
fn opening(key: &SessionKey, sender: Address, call: Call, now: UnixSeconds) -> NewIntent {
    NewIntent { deadline: Some(now.plus(OPEN_WITHIN)), ..intent(key, sender, "open", call) }
}

/// An intent of a session, unique by what it does.
pub(crate) fn intent(key: &SessionKey, sender: Address, what: &str, call: Call) -> NewIntent {
    let lane = LaneKey { chain_id: key.chain_id, sender };
    NewIntent {
        // Each of them is refused by the session's own state the second time.
        repeat_safe: true,
        label: format!("{what} {}", key.session_id.short()),
        ..NewIntent::new(format!("{what}/{key}"), lane, call.to, call.value, call.data)
    }
}

#[cfg(test)]
mod tests {
    use capstan_base::{ChainId, SessionId};

    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_url() {
        for plain in ["http://127.0.0.1:8080", "https://host.example/capstan/v1", "http://[::1]:1"]
        {
            assert!(is_base_url(plain), "{plain}");
        }
        for other in [
            "",
            "https://",
            "ftp://host.example",
            "https://host.example\nrm -rf ~",
            "https://host.example/$(id)",
            "https://host.example/;id",
            "https://host.example/\u{1b}[2J",
        ] {
            assert!(!is_base_url(other), "{other}");
        }
    }

    #[test]
    fn an_opening_is_never_sent_late() {
        let key = SessionKey {
            chain_id: ChainId(1),
            marketplace: Address::ZERO,
            session_id: SessionId(B256::ZERO),
        };
        let call = Call { to: Address::ZERO, value: U256::ZERO, data: Default::default() };
        let now = UnixSeconds::new(1_000).unwrap();
        assert_eq!(opening(&key, Address::ZERO, call, now).deadline, UnixSeconds::new(4_600).ok());
    }
}
