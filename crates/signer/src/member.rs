//! One member of a committee: what it agrees to sign, and what it remembers. No sockets here.

use std::collections::BTreeMap;

use capstan_base::{Address, ChainId, SignatureError, U256, UnixSeconds};
use capstan_store::{NewSigning, SigningJournal, SigningOutcome, StoreError};

use crate::policy::{Policy, Refused, Usage};
use crate::protocol::{
    Blame, Ceremony, Fault, KeyShare, MemberIndex, Outgoing, ShareError, Signing, SigningError,
};
use crate::request::{Derived, RequestError, SignRequest};

/// Where agents are registered, which is part of what approvers sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Its chain.
    pub chain_id: ChainId,
    /// The contract.
    pub address: Address,
}

/// Everything by which a member decides.
#[derive(Debug)]
pub struct Member {
    registry: Registry,
    policy: Policy,
    journal: SigningJournal,
    shares: BTreeMap<u64, KeyShare>,
}

/// A ceremony that a member takes part in, with its first messages.
#[derive(Debug)]
pub struct Begun {
    /// Its id: messages of it go under this name.
    pub id: [u8; 32],
    /// Our side.
    pub ceremony: Ceremony<Signing>,
    /// For the other signers.
    pub outgoing: Vec<Outgoing>,
    /// What is being signed.
    pub derived: Derived,
}

/// Why a member does not sign.
#[derive(Debug, thiserror::Error)]
pub enum Declined {
    /// The request asks for no transaction.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An approval is no signature.
    #[error("an approval is no signature")]
    Approval(#[source] SignatureError),
    /// The member's own policy.
    #[error(transparent)]
    Policy(#[from] Refused),
    /// The same request was signed for another call.
    #[error(
        "request {request_id:#x} was signed for another transaction, and is never signed for a second"
    )]
    Conflict {
        /// The request.
        request_id: U256,
    },
    /// The journal was restored and is not whole.
    #[error(
        "this member was restored and does not know yet what it signed: let it learn from the others first"
    )]
    NotWhole,
    /// A signer is banned here.
    #[error("member {member} is banned: {reason}")]
    Banned {
        /// Who.
        member: MemberIndex,
        /// Since what.
        reason: String,
    },
    /// The share of that epoch is not here.
    #[error("this member has no share of epoch {0}")]
    UnknownEpoch(u64),
    /// The agent's key cannot be derived.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The agent's key is not its address.
    #[error("agent {agent:#x} is {expected} by the policy, and its key is that of {found}")]
    OtherKey {
        /// The agent.
        agent: U256,
        /// Address in the policy.
        expected: Address,
        /// Address of the derived key.
        found: Address,
    },
    /// The signers cannot sign together.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The journal did not answer: without its word nothing is signed.
    #[error("the signing journal did not take it")]
    Journal(#[from] StoreError),
}

impl Member {
    /// With the shares of every epoch that is stored here.
    pub fn new(
        registry: Registry,
        policy: Policy,
        journal: SigningJournal,
        shares: BTreeMap<u64, KeyShare>,
    ) -> Self {
        Self { registry, policy, journal, shares }
    }

    /// Takes part in a signature, if policy and journal allow it: checked and recorded before this member
    /// says a word of it.
    ///
    /// # Errors
    /// [`Declined`]; nothing has been signed then.
    pub fn begin(&self, request: &SignRequest, now: UnixSeconds) -> Result<Begun, Declined> {
        let derived = request.derive()?;
        let agent = request.output.output.agent_id;
        self.check_signers(&request.signers)?;
        let share = self.shares.get(&request.epoch);
        let share = share.ok_or(Declined::UnknownEpoch(request.epoch))?;
        let (path, expected) = self.policy.key_of(agent).ok_or_else(|| unknown(agent))?;
        let child = share.child(&path)?;
        let found = child.address();
        if found != expected {
            return Err(Declined::OtherKey { agent, expected, found });
        }
        self.record(request, &derived, agent, now)?;
        let digest = derived.transaction.digest();
        let id = request.ceremony_id(share.epoch(), &path, digest);
        let (ceremony, outgoing) =
            Signing::begin(id, child, &request.signers, &derived.transaction)?;
        Ok(Begun { id, ceremony, outgoing, derived })
    }

    /// Remembers what follows from a fault, before anything else is done.
    ///
    /// # Errors
    /// [`StoreError`]: a ban that is not on disk. The member must stop then.
    pub fn note(&self, fault: &Fault, now: UnixSeconds) -> Result<(), StoreError> {
        match fault.blame {
            Blame::Ban(member) => self.journal.ban(member.get(), &fault.reason, now),
            Blame::Nobody | Blame::Member(_) | Blame::Ourselves => Ok(()),
        }
    }

    fn check_signers(&self, signers: &[MemberIndex]) -> Result<(), Declined> {
        for (banned, reason) in self.journal.banned()? {
            if let Some(member) = signers.iter().copied().find(|signer| signer.get() == banned) {
                return Err(Declined::Banned { member, reason });
            }
        }
        Ok(())
    }

    fn record(
        &self,
        request: &SignRequest,
        derived: &Derived,
        agent: U256,
        now: UnixSeconds,
    ) -> Result<(), Declined> {
        let Registry { chain_id, address } = self.registry;
        let approvers = request.output.approvers(chain_id, address).map_err(Declined::Approval)?;
        let transaction = &derived.transaction;
        let new = NewSigning {
            request_id: request.output.output.request_id,
            action: request.action,
            call: derived.call,
            digest: transaction.digest(),
            agent,
            chain_id: derived.chain_id,
            value: derived.value,
        };
        let check = |usage: &Usage| self.policy.check(agent, transaction, &approvers, usage);
        let outcome = self.journal.record(&new, now, |lately| {
            check(&Usage {
                requests_last_hour: lately.actions_last_hour,
                value_last_day: lately.value_last_day,
            })
        })?;
        match outcome {
            SigningOutcome::Recorded | SigningOutcome::Known => Ok(()),
            SigningOutcome::Conflict => Err(Declined::Conflict { request_id: new.request_id }),
            SigningOutcome::NotWhole => Err(Declined::NotWhole),
            SigningOutcome::Refused(refused) => Err(refused.into()),
        }
    }
}

fn unknown(agent: U256) -> Declined {
    Refused(vec![format!("agent {agent:#x} is unknown here")]).into()
}
