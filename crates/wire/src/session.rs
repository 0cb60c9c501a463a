//! Messages of the session WebSocket, `/v1/ws`: JSON text frames, each with its version.
//!
//! ```text
//! host   hello{challenge}                 renter session_init{terms, proof, have}
//! host   session_ready{tokens}            renter prompt{request_id, …}
//! host   prompt_accepted{index}           host   chunk{index, ids}…
//! host   voucher_request{amount, …}       renter voucher{…}
//! host   voucher_accepted                 host   finished          renter end
//! ```
//!
//! Positions (`index`, `tokens`, `have`) count transcript tokens, input and output together.

use alloy_primitives::B256;
use capstan_base::tally::TallyState;
use capstan_base::{
    Address, Amount, ChainId, Price, SessionId, SessionTerms, Signature65, SignedReceipt,
    SignedVoucher,
};
use serde::{Deserialize, Serialize};

use crate::error::{ApiError, ErrorCode};
use crate::openai::Prompt;

/// Version of these messages.
pub const PROTOCOL_VERSION: u16 = 1;

/// Longest frame either side accepts, bytes: a full context of text with room to spare.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// A frame: the version beside the message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame<M> {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub v: u16,
    /// The message itself.
    #[serde(flatten)]
    pub message: M,
}

/// From renter to host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromRenter {
    /// Attaches this connection to a session, first time or again.
    SessionInit(Box<SessionInit>),
    /// Asks for an answer.
    Prompt(PromptMessage),
    /// Pays.
    Voucher(SignedVoucher),
    /// Stops the running request; what was served stays owed.
    Cancel {
        /// Request to stop.
        request_id: u64,
    },
    /// Ends the session; the host settles.
    End,
    /// Keeps an idle connection alive.
    Ping,
}

/// From host to renter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromHost {
    /// First frame of every connection.
    Hello(Hello),
    /// The session is admitted and attached.
    SessionReady(SessionReady),
    /// The prompt was counted; its tokens begin at `index`.
    PromptAccepted {
        /// Request it belongs to.
        request_id: u64,
        /// Position of its first token.
        index: u64,
        /// How many tokens the host counted.
        input_tokens: u64,
    },
    /// Generated tokens.
    Chunk(Chunk),
    /// Asks for a voucher over exactly this; the renter compares it with its own tally.
    VoucherRequest {
        /// Owed so far.
        amount: Amount,
        /// Tokens so far.
        tokens: u64,
        /// Transcript root so far.
        transcript_root: B256,
    },
    /// The voucher is stored; its tokens are paid.
    VoucherAccepted {
        /// Amount of the newest stored voucher.
        amount: Amount,
        /// Tokens it covers.
        tokens: u64,
        /// The same, signed by the host; none for a ceiling, or if the host gives none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<SignedReceipt>,
    },
    /// The request is over.
    Finished {
        /// Request it belongs to.
        request_id: u64,
        /// Why.
        reason: FinishReason,
        /// Prompt tokens of this request.
        input_tokens: u64,
        /// Generated tokens of this request.
        output_tokens: u64,
    },
    /// The session is over; the host settles it.
    Ended {
        /// Why.
        reason: EndReason,
        /// The host's last receipt: it claims this and no more. None if its claim is not stored yet,
        /// or if the host gives none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<SignedReceipt>,
    },
    /// Something was refused. The connection stays open unless `fatal`.
    Error {
        /// What was refused.
        error: ApiError,
        /// Request it belongs to, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<u64>,
        /// True if the host closes the connection.
        fatal: bool,
    },
    /// Answer to a ping.
    Pong,
}

/// What the host says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Host address that terms must name.
    pub host: Address,
    /// Fresh per connection; signed in [`SessionInit::proof`].
    pub challenge: B256,
    /// Most tokens the host serves beyond the newest voucher.
    pub window: u64,
    /// Longest frame accepted, bytes.
    pub max_frame_bytes: usize,
}

/// Opens or resumes a session on this connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionInit {
    /// Chain the deposit lies on.
    pub chain_id: ChainId,
    /// Terms whose hash is the session's id.
    pub terms: SessionTerms,
    /// Signature by the voucher key over the connection's challenge.
    pub proof: Signature65,
    /// Price the renter read from the registry.
    pub price: Price,
    /// Newest voucher the renter signed, with the tally it states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<NewestVoucher>,
    /// Tokens the renter has counted, signed for or not: what to replay from.
    #[serde(default)]
    pub have: u64,
}

/// A voucher and the tally it states, so that a host that lost its memory can go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewestVoucher {
    /// The voucher.
    pub voucher: SignedVoucher,
    /// Its tally.
    pub tally: TallyState,
}

/// The host's answer to [`SessionInit`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionReady {
    /// Chain of the session.
    pub chain_id: ChainId,
    /// Its id.
    pub session_id: SessionId,
    /// Where the transcript goes on: the renter's `have`, or its newest voucher's count if the
    /// host has nothing later. Tokens after it follow as replayed messages.
    pub tokens: u64,
    /// True if the host knew the session already.
    pub resumed: bool,
    /// Request that still runs and goes on with this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<u64>,
}

/// A prompt and how to answer it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptMessage {
    /// Chosen by the renter, rising within a session.
    pub request_id: u64,
    /// Chat messages, raw text or token ids.
    pub prompt: Prompt,
    /// Most tokens to generate; the context's rest if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// 0 is greedy.
    #[serde(default)]
    pub temperature: f64,
    /// Nucleus; 1 is everything.
    #[serde(default = "whole_nucleus")]
    pub top_p: f64,
    /// Seed of the sampler.
    #[serde(default)]
    pub seed: u64,
    /// Texts that end the answer.
    #[serde(default)]
    pub stop: Vec<String>,
}

fn whole_nucleus() -> f64 {
    1.0
}

/// Generated tokens in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// Request they belong to.
    pub request_id: u64,
    /// Position of the first.
    pub index: u64,
    /// Token ids of the session's model.
    pub ids: Vec<u32>,
    /// Their text as far as it is whole UTF-8; for readers without a tokenizer.
    pub text: String,
    /// Natural-log probability of each id, if the backend tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logprobs: Vec<f64>,
}

/// Why a request is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its answer, or a stop text came.
    Stop,
    /// `max_tokens`, the context or the signed ceiling was reached.
    Length,
    /// The renter cancelled.
    Cancelled,
    /// The deposit covers no further token.
    DepositExhausted,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The renter said so.
    End,
    /// The connection dropped and did not come back within the grace period.
    Disconnect,
    /// Nothing was asked for too long.
    Idle,
    /// The deposit is used up.
    Exhausted,
    /// The session reached its expiry.
    Expired,
    /// The host restarted and the renter did not come back within the grace period.
    HostRestart,
    /// The host shut down in good order.
    HostShutdown,
    /// Somebody closed it on chain, or asked to.
    ClosedOnChain,
}

impl EndReason {
    /// The word on the wire and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Disconnect => "disconnect",
            Self::Idle => "idle",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::HostRestart => "host_restart",
            Self::HostShutdown => "host_shutdown",
            Self::ClosedOnChain => "closed_on_chain",
        }
    }
}

/// Writes a message as a frame of this version.
pub fn encode<M: Serialize>(message: M) -> String {
    // Plain data with string keys always serialises.
    serde_json::to_string(&Frame { v: PROTOCOL_VERSION, message }).unwrap_or_default()
}

/// Reads a frame; the version is judged before the message, so that a newer peer gets told so.
pub fn decode<M: for<'de> Deserialize<'de>>(text: &str) -> Result<M, ApiError> {
    #[derive(Deserialize)]
    struct Version {
        v: u16,
    }
    if text.len() > MAX_FRAME_BYTES {
        return Err(ApiError::new(
            ErrorCode::MessageTooLarge,
            format!("frame of {} bytes, at most {MAX_FRAME_BYTES} are read", text.len()),
        ));
    }
    let malformed = |error: serde_json::Error| {
        ApiError::new(ErrorCode::MalformedMessage, format!("not a session message: {error}"))
    };
    let Version { v } = serde_json::from_str(text).map_err(malformed)?;
    if v != PROTOCOL_VERSION {
        return Err(ApiError::new(
            ErrorCode::UnsupportedVersion,
            format!("protocol version {v} is not spoken here, use {PROTOCOL_VERSION}"),
        ));
    }
    serde_json::from_str::<Frame<M>>(text).map(|frame| frame.message).map_err(malformed)
}
