//! The one error that a client ever sees, over HTTP and over WebSocket.

use core::fmt;

use capstan_base::{Address, Amount, ChainId, Price};
use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $kind:literal;)*) => {
        /// What went wrong, as a stable word. Clients branch on this and never on the message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)*
        }

        impl ErrorCode {
            /// Every code, for pages and checks that must know them all.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The `type` field of OpenAI's error body.
            pub const fn kind(self) -> &'static str {
                match self { $(Self::$variant => $kind,)* }
            }
        }
    };
}

error_codes! {
    /// Not a message of this protocol.
    MalformedMessage = "malformed_message", 400, "invalid_request_error";
    /// A protocol version this side does not speak.
    UnsupportedVersion = "unsupported_version", 400, "invalid_request_error";
    /// Longer than the limit that the hello states.
    MessageTooLarge = "message_too_large", 413, "invalid_request_error";
    /// A field of the request is out of range or unsupported.
    InvalidRequest = "invalid_request", 400, "invalid_request_error";
    /// Prompt and answer do not fit the model's context.
    ContextLengthExceeded = "context_length_exceeded", 400, "invalid_request_error";
    /// This host does not serve that chain.
    UnknownChain = "unknown_chain", 400, "invalid_request_error";
    /// This host does not serve that model.
    ModelNotFound = "model_not_found", 404, "invalid_request_error";
    /// The terms name another host.
    WrongHost = "wrong_host", 400, "invalid_request_error";
    /// No such path.
    NotFound = "not_found", 404, "invalid_request_error";
    /// The credential is missing or unreadable.
    InvalidCredential = "invalid_api_key", 401, "authentication_error";
    /// A signature does not verify.
    BadSignature = "bad_signature", 401, "authentication_error";
    /// The peer does not hold the session's voucher key.
    NotYourSession = "not_your_session", 403, "permission_error";
    /// No such session on that chain, or not known here.
    UnknownSession = "unknown_session", 404, "invalid_request_error";
    /// The session is closing or closed.
    SessionClosed = "session_closed", 409, "invalid_request_error";
    /// The session has expired or expires too soon to serve.
    SessionExpired = "session_expired", 410, "invalid_request_error";
    /// Another connection took the session over.
    SessionTaken = "session_taken", 409, "invalid_request_error";
    /// The price the renter expects is not the host's.
    PriceMismatch = "price_mismatch", 409, "invalid_request_error";
    /// A request of this session is still running.
    RequestRunning = "request_running", 409, "invalid_request_error";
    /// The voucher does not state the host's tally.
    VoucherMismatch = "voucher_mismatch", 409, "invalid_request_error";
    /// The voucher states no more than the newest one.
    VoucherNotHigher = "voucher_not_higher", 409, "invalid_request_error";
    /// The voucher is above the deposit.
    VoucherOverDeposit = "voucher_over_deposit", 409, "invalid_request_error";
    /// Nothing is served without a voucher that covers it.
    PaymentRequired = "payment_required", 402, "payment_error";
    /// Too many requests at once.
    Overloaded = "overloaded", 503, "overloaded_error";
    /// The chain cannot be read at the moment; nothing was decided.
    ChainUnavailable = "chain_unavailable", 503, "server_error";
    /// The host's account cannot pay for settling on that chain; it takes no new session there.
    HostUnfunded = "host_unfunded", 503, "server_error";
    /// The inference backend failed.
    BackendFailed = "backend_failed", 502, "server_error";
    /// The host is shutting down.
    Draining = "draining", 503, "server_error";
    /// A fault of this side; the cause is in its log.
    Internal = "internal", 500, "server_error";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a client must sign to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentNeeded {
    /// Host to name in the terms.
    pub host: Address,
    /// Chains this host serves, with the marketplace on each.
    pub chains: Vec<PaymentChain>,
    /// What is still to be signed, if the session is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<PaymentSession>,
}

/// One chain a session may be opened on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentChain {
    /// EIP-155 id.
    pub chain_id: ChainId,
    /// Contract to open the session on.
    pub marketplace: Address,
}

/// Where a known session stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentSession {
    /// Price of the session's model in its token.
    pub price: Price,
    /// Owed for what was served.
    pub owed: Amount,
    /// Signed so far.
    pub signed: Amount,
    /// A voucher of at least this amount lets the request run to its end.
    pub needed: Amount,
}

/// An error as its receiver sees it: public words only, never a cause chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// Stable word.
    pub code: ErrorCode,
    /// What happened and what to do next.
    pub message: String,
    /// Request field at fault, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// With `payment_required`: what is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Box<PaymentNeeded>>,
}

impl ApiError {
    /// An error with its message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, payment: None }
    }

    /// Names the field at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// States what must be signed.
    #[must_use]
    pub fn with_payment(mut self, payment: PaymentNeeded) -> Self {
        self.payment = Some(Box::new(payment));
        self
    }

    /// OpenAI's error body: `{"error": {"message", "type", "param", "code"}}`.
    pub fn body(&self) -> serde_json::Value {
        let mut error = serde_json::json!({
            "message": self.message,
            "type": self.code.kind(),
            "param": self.param,
            "code": self.code,
        });
        if let (Some(payment), Some(fields)) = (&self.payment, error.as_object_mut()) {
            fields.insert("payment".into(), serde_json::json!(payment));
        }
        serde_json::json!({ "error": error })
    }
}
