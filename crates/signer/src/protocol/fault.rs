//! Why a ceremony ended without a result, and what follows for whom.

use dkls23::protocols::{Abort, AbortKind, AbortReason};

use super::member::MemberIndex;

/// What follows from a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nobody can be named: try again, with other signers if there are.
    Nobody,
    /// This member sent what an honest one does not send: try again without it.
    Member(MemberIndex),
    /// This member failed a check whose repetition would leak the key, bit by bit. It takes no part in
    /// anything again, and that is written down before anything else is done.
    Ban(MemberIndex),
    /// The fault is on this machine: a share that does not fit, a step out of order.
    Ourselves,
}

/// A ceremony that ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// What follows.
    pub blame: Blame,
    /// What happened. Holds no secret.
    pub reason: String,
}

impl Fault {
    pub(super) fn of(member: MemberIndex, reason: impl Into<String>) -> Self {
        Self { blame: Blame::Member(member), reason: reason.into() }
    }

    pub(super) fn of_nobody(reason: impl Into<String>) -> Self {
        Self { blame: Blame::Nobody, reason: reason.into() }
    }

    pub(super) fn ourselves(reason: impl Into<String>) -> Self {
        Self { blame: Blame::Ourselves, reason: reason.into() }
    }
}

impl From<Abort> for Fault {
    fn from(abort: Abort) -> Self {
        let blame = match abort.kind {
            AbortKind::BanCounterparty(party) => Blame::Ban(party.into()),
            AbortKind::Recoverable => blame_of(&abort.reason),
        };
        Self { blame, reason: abort.description() }
    }
}

fn blame_of(reason: &AbortReason) -> Blame {
    match reason {
        AbortReason::UnexpectedSender { sender } | AbortReason::DuplicateSender { sender } => {
            Blame::Member((*sender).into())
        }
        AbortReason::SessionBindingMismatch { counterparty }
        | AbortReason::ProofVerificationFailed { counterparty }
        | AbortReason::CommitmentMismatch { counterparty }
        | AbortReason::TrivialInstancePoint { counterparty }
        | AbortReason::OtConsistencyCheckFailed { counterparty }
        | AbortReason::MultiplicationVerificationFailed { counterparty, .. }
        | AbortReason::GammaUInconsistency { counterparty }
        | AbortReason::ZeroShareDecommitFailed { counterparty } => {
            Blame::Member((*counterparty).into())
        }
        AbortReason::MissingCommittedPoint { party }
        | AbortReason::ChainCodeCommitmentFailed { party } => Blame::Member((*party).into()),
        AbortReason::MissingMulState { .. }
        | AbortReason::InvalidLocalState { .. }
        | AbortReason::PhaseCalledOutOfOrder { .. }
        | AbortReason::WrongCounterpartyCount { .. }
        | AbortReason::DuplicateCounterparty { .. }
        | AbortReason::SelfInCounterparties
        | AbortReason::InvalidPartyIndex { .. } => Blame::Ourselves,
        // A sum of everybody's parts is wrong: any of them may be.
        _ => Blame::Nobody,
    }
}
