//! Admission: the chain is read before the first token.

use std::collections::BTreeMap;
use std::sync::Arc;

use capstan_base::{Address, Amount, ChainId, Price, SessionKey, SessionTerms, UnixSeconds};
use capstan_chain::{BlockTag, ChainClient, SessionStatus};
use capstan_wire::{ApiError, ErrorCode};

use crate::served::ServedModel;

/// A session that may be served.
#[derive(Clone)]
pub struct Admitted {
    /// Its key.
    pub key: SessionKey,
    /// What it is served by.
    pub served: ServedModel,
    /// Price, agreed by both sides and fixed from here on.
    pub price: Price,
    /// Deposit with top-ups.
    pub deposit: Amount,
}

/// What a peer claims about a session.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// Chain it names.
    pub chain_id: ChainId,
    /// Terms it names.
    pub terms: &'a SessionTerms,
    /// Price it expects.
    pub price: Price,
}

/// Reads the chains a host serves.
#[derive(Clone)]
pub struct Admission {
    /// Own address: terms must name it.
    pub host: Address,
    /// Chains served.
    pub chains: BTreeMap<ChainId, Arc<ChainClient>>,
    /// Models served.
    pub models: Vec<ServedModel>,
    /// Shortest remaining life, seconds.
    pub min_lifetime: u64,
}

impl Admission {
    /// The chain, or an error that lists those served.
    pub fn chain(&self, chain_id: ChainId) -> Result<&Arc<ChainClient>, ApiError> {
        self.chains.get(&chain_id).ok_or_else(|| {
            let served: Vec<_> = self.chains.keys().map(ToString::to_string).collect();
            ApiError::new(
                ErrorCode::UnknownChain,
                format!("chain {chain_id} is not served here; served: {}", served.join(", ")),
            )
            .with_param("chain_id")
        })
    }

    /// The key of a claimed session, without reading the chain.
    pub fn key(&self, claim: &Claim<'_>) -> Result<SessionKey, ApiError> {
        let chain = self.chain(claim.chain_id)?;
        let marketplace = chain.marketplace().map_err(|error| unreadable(chain, &error))?;
        Ok(SessionKey { chain_id: claim.chain_id, marketplace, session_id: claim.terms.id() })
    }

    /// Checks what needs no chain: host, model, expiry.
    fn check_terms(
        &self,
        terms: &SessionTerms,
        now: UnixSeconds,
    ) -> Result<&ServedModel, ApiError> {
        if terms.host != self.host {
            return Err(ApiError::new(
                ErrorCode::WrongHost,
                format!("the terms name host {}, this is {}", terms.host, self.host),
            )
            .with_param("terms.host"));
        }
        if terms.voucher_key == Address::ZERO {
            return Err(ApiError::new(ErrorCode::BadSignature, "the terms name no voucher key"));
        }
        if terms.expiry < now.plus(self.min_lifetime) {
            return Err(ApiError::new(
                ErrorCode::SessionExpired,
                format!(
                    "the session expires at {}, less than {} s from now",
                    terms.expiry, self.min_lifetime
                ),
            ));
        }
        self.served(terms)
    }

    /// The model that terms name, if it is served here.
    pub fn served(&self, terms: &SessionTerms) -> Result<&ServedModel, ApiError> {
        self.models.iter().find(|served| served.id() == terms.model).ok_or_else(|| {
            ApiError::new(
                ErrorCode::ModelNotFound,
                format!("model {} is not served here; see /v1/models", terms.model),
            )
            .with_param("terms.model")
        })
    }

    /// Reads the chain: the session exists and is active, the price is the registered one.
    pub async fn admit(&self, claim: &Claim<'_>, now: UnixSeconds) -> Result<Admitted, ApiError> {
        let chain = self.chain(claim.chain_id)?;
        let key = self.key(claim)?;
        let served = self.check_terms(claim.terms, now)?.clone();
        let state = chain
            .session_of(&key, BlockTag::Latest)
            .await
            .map_err(|error| unreadable(chain, &error))?;
        match state.status {
            SessionStatus::Active => {}
            SessionStatus::None => {
                return Err(ApiError::new(
                    ErrorCode::UnknownSession,
                    format!(
                        "chain {} holds no session {}; if it was just opened, wait for its block",
                        claim.chain_id, key.session_id
                    ),
                ));
            }
            SessionStatus::Closing | SessionStatus::Closed => {
                return Err(ApiError::new(
                    ErrorCode::SessionClosed,
                    format!("session {} is closing or closed on chain", key.session_id),
                ));
            }
        }
        let terms = claim.terms;
        let price = chain
            .price_of(terms.host, terms.model, terms.token)
            .await
            .map_err(|error| unreadable(chain, &error))?;
        if price != Some(claim.price) {
            let registered = price.map_or_else(
                || "no price is registered for this model in this token".to_owned(),
                |price| format!("registered are {} in, {} out", price.input, price.output),
            );
            return Err(ApiError::new(
                ErrorCode::PriceMismatch,
                format!(
                    "{registered} per million tokens; the claim says {} and {}",
                    claim.price.input, claim.price.output
                ),
            )
            .with_param("price"));
        }
        let deposit = terms.deposit.checked_add(state.top_up).ok_or_else(|| {
            ApiError::new(ErrorCode::InvalidRequest, "deposit and top-ups are out of range")
        })?;
        Ok(Admitted { key, served, price: claim.price, deposit })
    }
}

/// A chain that cannot be read decides nothing.
pub fn unreadable(chain: &ChainClient, error: &capstan_chain::ChainError) -> ApiError {
    tracing::warn!(chain_id = chain.chain_id().0, %error, "chain unreadable");
    ApiError::new(
        ErrorCode::ChainUnavailable,
        format!("chain {} cannot be read at the moment; try again", chain.chain_id()),
    )
}
