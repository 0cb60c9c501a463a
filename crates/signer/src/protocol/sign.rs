//! Signing: as many members as it takes, in three rounds.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Signature, U256};
use capstan_base::{B256, UnsignedTransaction};
use dkls23::protocols::PartyIndex;
use dkls23::protocols::signing::{
    Broadcast3to4, KeepPhase1to2, KeepPhase2to3, SignData, TransmitPhase1to2, TransmitPhase2to3,
    UniqueKeep1to2, UniqueKeep2to3,
};
use k256_0_14::Secp256k1;

use capstan_base::signature::recoverable;

use super::ceremony::{Ceremony, Outgoing, Received, Rounds, Sent, Step, decoded, encoded};
use super::fault::Fault;
use super::member::MemberIndex;
use super::setup;
use super::share::KeyShare;

/// Signers that cannot sign together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// Fewer or more than the committee asks for, one twice, or one that is no member.
    #[error("{given:?} are not {threshold} different members")]
    WrongSigners {
        /// Who was named.
        given: Vec<MemberIndex>,
        /// How many it takes.
        threshold: u8,
    },
    /// This member is to sign, and is not among the signers.
    #[error("member {0} is not among the signers")]
    NotASigner(MemberIndex),
    /// The protocol did not begin.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What is kept from one round for the next: of ourselves, and of each other signer.
type KeptFirst = (UniqueKeep1to2<Secp256k1>, BTreeMap<PartyIndex, KeepPhase1to2<Secp256k1>>);
type KeptSecond = (UniqueKeep2to3<Secp256k1>, BTreeMap<PartyIndex, KeepPhase2to3<Secp256k1>>);

/// One member's side of one signature; gives the [`Signature`], which it has checked against the key.
pub struct Signing {
    me: MemberIndex,
    share: KeyShare,
    data: SignData,
    signer: Address,
    first: Option<KeptFirst>,
    second: Option<KeptSecond>,
    x_coordinate: Option<String>,
}

impl Signing {
    /// Begins to sign a transaction, and nothing but a transaction. `id` names this one attempt, and is
    /// the same for every signer; `signers` are as many as the committee asks for.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn begin(
        id: [u8; 32],
        share: KeyShare,
        signers: &[MemberIndex],
        transaction: &UnsignedTransaction,
    ) -> Result<(Ceremony<Self>, Vec<Outgoing>), SigningError> {
        Self::begin_digest(id, share, signers, transaction.digest())
    }

    pub(super) fn begin_digest(
        id: [u8; 32],
        share: KeyShare,
        signers: &[MemberIndex],
        digest: B256,
    ) -> Result<(Ceremony<Self>, Vec<Outgoing>), SigningError> {
        let (me, committee) = (share.member(), share.committee());
        let mut sorted = signers.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let are_members = sorted.iter().all(|signer| committee.member(signer.get()).is_ok());
        let threshold = committee.threshold();
        if sorted.len() != signers.len() || sorted.len() != usize::from(threshold) || !are_members {
            return Err(SigningError::WrongSigners { given: signers.to_vec(), threshold });
        }
        if !sorted.contains(&me) {
            return Err(SigningError::NotASigner(me));
        }
        sorted.retain(|signer| *signer != me);
        let party = |member: &MemberIndex| member.party();
        let counterparties = sorted.iter().map(party).collect::<Result<Vec<_>, _>>();
        let counterparties = counterparties.map_err(|error| Fault::ourselves(error.to_string()))?;
        let data = SignData { sign_id: id.to_vec(), counterparties, message_hash: digest.0 };
        let signer = share.address();
        let protocol =
            Self { me, share, data, signer, first: None, second: None, x_coordinate: None };
        Ok(Ceremony::begin(id, me, sorted, protocol)?)
    }

    fn second(&mut self, received: &Received) -> Result<Sent, Fault> {
        let mut parts = Vec::new();
        for (from, direct) in &received.direct {
            let part: TransmitPhase1to2 = decoded(*from, direct)?;
            setup::between(*from, self.me, &part.parties)?;
            parts.push(part);
        }
        let (unique, kept) = self.first.take().ok_or_else(out_of_order)?;
        let (unique, kept, out) = self.share.party.sign_phase2(&self.data, unique, kept, &parts)?;
        self.second = Some((unique, kept));
        let direct = setup::direct(out, |part| part.parties.receiver)?;
        Ok(Sent { direct, ..Sent::default() })
    }

    fn third(&mut self, received: &Received) -> Result<Sent, Fault> {
        let mut parts = Vec::new();
        for (from, direct) in &received.direct {
            let part: TransmitPhase2to3<Secp256k1> = decoded(*from, direct)?;
            setup::between(*from, self.me, &part.parties)?;
            parts.push(part);
        }
        let (unique, kept) = self.second.take().ok_or_else(out_of_order)?;
        let (x, broadcast) = self.share.party.sign_phase3(&self.data, unique, kept, &parts)?;
        self.x_coordinate = Some(x);
        Ok(Sent { broadcast: encoded(&broadcast)?.to_vec(), ..Sent::default() })
    }

    fn signature(&mut self, received: &Received) -> Result<Signature, Fault> {
        let mut parts = Vec::new();
        for (from, broadcast) in &received.broadcasts {
            let part: Broadcast3to4<Secp256k1> = decoded(*from, broadcast)?;
            parts.push(part);
        }
        let x = self.x_coordinate.take().ok_or_else(out_of_order)?;
        let (s, _) = self.share.party.sign_phase4(&self.data, &x, &parts, true)?;
        let number = |hex: &str| {
            U256::from_str_radix(hex, 16).map_err(|_| Fault::ourselves("a number is not in hex"))
        };
        // Checked with other code than what made it, and in the form that the chain takes.
        recoverable(B256::from(self.data.message_hash), number(&x)?, number(&s)?, self.signer)
            .map_err(|error| Fault::of_nobody(error.to_string()))
    }
}

impl Rounds for Signing {
    type Output = Signature;
    const LAST: u8 = 3;

    fn begin(&mut self) -> Result<Sent, Fault> {
        let (unique, kept, out) = self.share.party.sign_phase1(&self.data)?;
        self.first = Some((unique, kept));
        let direct = setup::direct(out, |part| part.parties.receiver)?;
        Ok(Sent { direct, ..Sent::default() })
    }

    fn advance(&mut self, round: u8, received: Received) -> Result<Step<Signature>, Fault> {
        match round {
            1 => self.second(&received).map(Step::Send),
            2 => self.third(&received).map(Step::Send),
            _ => self.signature(&received).map(Step::Done),
        }
    }
}

fn out_of_order() -> Fault {
    Fault::ourselves("a step of signing came out of order")
}
