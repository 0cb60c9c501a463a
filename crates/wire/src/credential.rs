//! The bearer credential: a session's terms and a signed ceiling in one API key.
//!
//! `capstan_` + base64url (no padding) of JSON. Whoever holds it can spend up to the ceiling at
//! the one host that the terms name; nobody else can redeem it. Treat it like any API key.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capstan_base::{ChainId, Price, SessionTerms, SignedVoucher};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "capstan_";

/// Longest credential read, bytes: several times what a true one takes.
const MAX_LENGTH: usize = 4096;

/// What the API key says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Chain the deposit lies on.
    pub chain_id: ChainId,
    /// Terms of the session.
    pub terms: SessionTerms,
    /// Price the renter agreed to.
    pub price: Price,
    /// Ceiling: the most that may be claimed, and so the most that is served.
    pub voucher: SignedVoucher,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("chain_id", &self.chain_id)
            .field("session_id", &self.terms.id())
            .finish_non_exhaustive()
    }
}

/// An API key that is no credential. Never repeats the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Does not start with `capstan_`.
    #[error("the API key is not a Capstan credential; make one with `capstan voucher`")]
    NotOurs,
    /// Too long, not base64url, or not the right JSON.
    #[error("the Capstan credential is damaged; make a new one with `capstan voucher`")]
    Damaged,
}

impl Credential {
    /// Text form, to be used as API key.
    pub fn encode(&self) -> String {
        // Plain data with string keys always serialises.
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads the text form.
    pub fn decode(text: &str) -> Result<Self, CredentialError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(CredentialError::NotOurs)?;
        if encoded.len() > MAX_LENGTH {
            return Err(CredentialError::Damaged);
        }
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| CredentialError::Damaged)?;
        serde_json::from_slice(&json).map_err(|_| CredentialError::Damaged)
    }
}
