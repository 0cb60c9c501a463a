//! What goes wrong with one endpoint of the simulated network.

use capstan_chain::{Receipt, SendOutcome};

/// Counts of answers that go wrong; each wrong answer uses one up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// No answer to anything, as an error, a reset connection or a deadline that passed.
    pub(crate) errors: u32,
    /// Sends that never arrive.
    pub(crate) lose_sends: u32,
    /// Sends that arrive, with no answer.
    pub(crate) lose_replies: u32,
    /// Receipts that are denied although they exist.
    pub(crate) null_receipts: u32,
    /// Nonces from before: too low.
    pub(crate) stale_nonces: u32,
    /// Nonces that are too high.
    pub(crate) high_nonces: u32,
    /// Answers of another chain.
    pub(crate) wrong_chain: u32,
    /// Blocks with another hash.
    pub(crate) wrong_hashes: u32,
    /// Sends refused without a reason, and how.
    pub(crate) refusals: (u32, Refusal),
    /// Gas prices that are this many times too high, or too low.
    pub(crate) price_lies: (u32, PriceLie),
    /// Calls that are said to revert.
    pub(crate) false_reverts: u32,
    /// Used nonces that are said to be unused.
    pub(crate) hidden_uses: u32,
    /// Receipts that say something else than what happened, and what.
    pub(crate) receipt_lies: (u32, ReceiptLie),
    /// Effects that are denied, or claimed.
    pub(crate) effect_lies: u32,
}

/// How a receipt is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReceiptLie {
    /// Success where it reverted, and the other way round.
    #[default]
    Status,
    /// It ran out of gas.
    RanDry,
    /// No log.
    NoLogs,
}

impl ReceiptLie {
    pub(crate) const ALL: [Self; 3] = [Self::Status, Self::RanDry, Self::NoLogs];

    /// What is said instead of the truth.
    pub(crate) fn tell(self, truth: Receipt, gas_limit: u64) -> Receipt {
        match self {
            Self::Status => Receipt { success: !truth.success, ..truth },
            Self::RanDry => {
                Receipt { success: false, gas_used: gas_limit, logs: Vec::new(), ..truth }
            }
            Self::NoLogs => Receipt { logs: Vec::new(), ..truth },
        }
    }
}

/// How a send is refused that should not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Refusal {
    #[default]
    Underpriced,
    AlreadyKnown,
    PoolFull,
    NonceTooLow,
    Rejected,
    Poor,
}

/// How a gas price is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PriceLie {
    #[default]
    High,
    Low,
}

impl Refusal {
    pub(crate) const ALL: [Self; 6] = [
        Self::Underpriced,
        Self::AlreadyKnown,
        Self::PoolFull,
        Self::NonceTooLow,
        Self::Rejected,
        Self::Poor,
    ];

    pub(crate) fn outcome(self) -> SendOutcome {
        match self {
            Self::Underpriced => SendOutcome::Underpriced,
            Self::AlreadyKnown => SendOutcome::AlreadyKnown,
            Self::PoolFull => SendOutcome::PoolFull,
            Self::NonceTooLow => SendOutcome::NonceTooLow,
            Self::Rejected => SendOutcome::Rejected("invalid sender".to_owned()),
            Self::Poor => SendOutcome::InsufficientFunds,
        }
    }
}

/// True while there is one left to use.
pub(crate) fn use_one(left: &mut u32) -> bool {
    let had = *left > 0;
    *left = left.saturating_sub(1);
    had
}
