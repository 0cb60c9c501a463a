//! Bodies of the host's own endpoints: health, session information.

use capstan_base::{Amount, ChainId, SessionId};
use serde::{Deserialize, Serialize};

/// `GET /v1/session/{id}/info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Session.
    pub session_id: SessionId,
    /// Chain it lies on.
    pub chain_id: ChainId,
    /// Its name.
    pub chain_name: String,
    /// `open`, `detached`, `settling`, `settled` or `abandoned`.
    pub status: String,
    /// Tokens covered by the newest voucher.
    pub tokens_used: u64,
    /// Amount of the newest voucher.
    pub signed: Amount,
    /// Symbol of the chain's coin.
    pub native_token: String,
    /// Why it ended, once it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
}

/// `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, `degraded` or `draining`.
    pub status: String,
    /// What is wrong, in words.
    pub issues: Vec<String>,
    /// One entry per chain.
    pub chains: Vec<ChainHealth>,
}

/// One chain's part of [`Health`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHealth {
    /// EIP-155 id.
    pub chain_id: ChainId,
    /// Its name.
    pub name: String,
    /// True if the chain answers.
    pub reachable: bool,
    /// `ok`, `degraded`, or `down` if it does not answer.
    pub status: String,
    /// Newest block seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
    /// Seconds since that block was made, by this host's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_age: Option<u64>,
    /// Blocks the chain should have made since, at its usual pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_lag: Option<u64>,
    /// False while the host cannot pay for settling here: new sessions are refused.
    pub takes_sessions: bool,
    /// Settlements that the host's balance pays for; absent until it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runway: Option<u64>,
    /// Sessions that are not settled yet: running, detached or settling.
    pub unsettled_sessions: u64,
    /// Seconds since the oldest unfinished transaction was asked for; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_intent: Option<u64>,
}
