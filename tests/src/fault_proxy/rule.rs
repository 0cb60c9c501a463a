//! What a proxy may do to a request, to which, and how often.

use std::time::Duration;

/// One way in which an endpoint fails its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request never reaches the node; the connection closes without an answer.
    DropBefore,
    /// The node carries the request out; the connection closes without an answer.
    DropAfter,
    /// Carried out at once, answered late.
    Delay(Duration),
    /// Taken, not passed on, never answered.
    Hang,
    /// HTTP 429, asking for a pause of so many seconds.
    TooManyRequests(u64),
    /// HTTP 503.
    Unavailable,
    /// Carried out; a gateway's HTML page comes back under HTTP 200.
    Html,
    /// Carried out; half of the answer, as a whole body.
    Truncated,
    /// Carried out; half of the answer, then the connection breaks.
    BrokenOff,
    /// Another chain id.
    WrongChain(u64),
    /// The node of so many blocks ago: heads, state and receipts are of then.
    Stale(u64),
    /// No receipt for the first so many polls of each transaction.
    NoReceipt(u32),
    /// Account nonces too low or too high by this.
    Nonce(i64),
    /// `replacement transaction underpriced`, not passed on.
    Underpriced,
    /// `already known`, although the node has never seen it.
    AlreadyKnown,
    /// Passed on, and answered `already known`.
    AlreadyHad,
    /// `txpool is full`, not passed on.
    PoolFull,
    /// The refusal of a second transaction of an account with EIP-7702 code, not passed on.
    InFlightLimit,
    /// Carried out; the answer bears another id, in a batch a neighbour's.
    ForeignId,
    /// Carried out; the answer has no id.
    NoId,
    /// Carried out; the answer comes twice.
    Twice,
    /// Carried out; the entry's answer is left out.
    Absent,
    /// Answers of a batch come in another order, which JSON-RPC allows.
    Shuffled,
    /// Carried out; the result is of another type.
    WrongType,
}

impl Fault {
    /// One word for counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::DropBefore => "drop_before",
            Self::DropAfter => "drop_after",
            Self::Delay(_) => "delay",
            Self::Hang => "hang",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::Unavailable => "unavailable",
            Self::Html => "html",
            Self::Truncated => "truncated",
            Self::BrokenOff => "broken_off",
            Self::WrongChain(_) => "wrong_chain",
            Self::Stale(_) => "stale",
            Self::NoReceipt(_) => "no_receipt",
            Self::Nonce(_) => "nonce",
            Self::Underpriced => "underpriced",
            Self::AlreadyKnown => "already_known",
            Self::AlreadyHad => "already_had",
            Self::PoolFull => "pool_full",
            Self::InFlightLimit => "in_flight_limit",
            Self::ForeignId => "foreign_id",
            Self::NoId => "no_id",
            Self::Twice => "twice",
            Self::Absent => "absent",
            Self::Shuffled => "shuffled",
            Self::WrongType => "wrong_type",
        }
    }

    /// True if it can be done to this method, in a batch or alone.
    pub fn fits(self, method: &str, in_batch: bool) -> bool {
        match self {
            Self::WrongChain(_) => method == "eth_chainId",
            Self::NoReceipt(_) => method == "eth_getTransactionReceipt",
            Self::Nonce(_) => method == "eth_getTransactionCount",
            Self::Underpriced
            | Self::AlreadyKnown
            | Self::AlreadyHad
            | Self::PoolFull
            | Self::InFlightLimit => method == "eth_sendRawTransaction",
            Self::Stale(_) => method != "eth_sendRawTransaction" && method.starts_with("eth_"),
            Self::Shuffled => in_batch,
            _ => true,
        }
    }

    /// True if the node gets to see the request.
    pub(super) fn is_carried_out(self) -> bool {
        !matches!(
            self,
            Self::DropBefore | Self::Hang | Self::TooManyRequests(_) | Self::Unavailable
        ) && self.refusal().is_none()
    }

    /// What a node says instead of taking a transaction, in geth's words.
    pub(super) fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Underpriced => Some("replacement transaction underpriced"),
            Self::AlreadyKnown => Some("already known"),
            Self::PoolFull => Some("txpool is full"),
            Self::InFlightLimit => {
                Some("in-flight transaction limit reached for delegated accounts")
            }
            _ => None,
        }
    }
}

/// A fault, the requests it is for, and how often it strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    method: Option<&'static str>,
    fault: Fault,
    per_mille: u32,
    left: Option<u32>,
}

impl Rule {
    /// For every request the fault fits, each time.
    pub const fn all(fault: Fault) -> Self {
        Self { method: None, fault, per_mille: 1000, left: None }
    }

    /// For one method, each time.
    pub const fn on(method: &'static str, fault: Fault) -> Self {
        Self { method: Some(method), fault, per_mille: 1000, left: None }
    }

    /// With this chance, in thousandths.
    pub const fn chance(self, per_mille: u32) -> Self {
        Self { per_mille, ..self }
    }

    /// So many times and no more.
    pub const fn times(self, times: u32) -> Self {
        Self { left: Some(times), ..self }
    }

    /// Draws whether it strikes this request.
    pub(super) fn strikes(
        &mut self,
        method: &str,
        in_batch: bool,
        dice: &mut fastrand::Rng,
    ) -> Option<Fault> {
        let is_meant = self.method.is_none_or(|meant| meant == method)
            && self.fault.fits(method, in_batch)
            && self.left != Some(0)
            && dice.u32(0..1000) < self.per_mille;
        if is_meant && let Some(left) = &mut self.left {
            *left -= 1;
        }
        is_meant.then_some(self.fault)
    }
}
