//! Key generation: a key that comes into being in parts, and is never anywhere whole.

use std::collections::BTreeMap;

use dkls23::DkgSession;
use dkls23::protocols::dkg::{
    BroadcastDerivationPhase2to4, BroadcastDerivationPhase3to4, ProofCommitment,
    TransmitInitZeroSharePhase2to4,
};
use dkls23::protocols::{Party, PublicKeyPackage};
use k256_0_14::{Scalar, Secp256k1};
use zeroize::Zeroizing;

use super::ceremony::{Ceremony, Outgoing, Received, Rounds, Sent, Step, decoded, encoded};
use super::fault::Fault;
use super::member::{Committee, MemberIndex};
use super::setup::{self, Commitments};
use super::share::KeyShare;

/// One member's side of key generation; gives its [`KeyShare`]. Takes every member of the committee.
pub struct KeyGeneration {
    me: MemberIndex,
    committee: Committee,
    /// Taken by the last phase.
    session: Option<DkgSession<Secp256k1>>,
    own_fragment: Option<Zeroizing<Scalar>>,
    /// Ours, told after everybody has committed to theirs.
    proof: Option<ProofCommitment<Secp256k1>>,
    commitments: Commitments,
    zero_commitments: Vec<TransmitInitZeroSharePhase2to4>,
    chain_commitments: BTreeMap<MemberIndex, BroadcastDerivationPhase2to4>,
    share: Option<KeyShare>,
}

type Second = (setup::Commitment, BroadcastDerivationPhase2to4);
type Third = (ProofCommitment<Secp256k1>, BroadcastDerivationPhase3to4);

impl KeyGeneration {
    /// Begins. `id` names this one attempt: every member is given the same, and no attempt another's.
    ///
    /// # Errors
    /// [`Fault`], if this machine cannot begin.
    pub fn begin(
        id: [u8; 32],
        committee: Committee,
        me: MemberIndex,
    ) -> Result<(Ceremony<Self>, Vec<Outgoing>), Fault> {
        let party = me.party().map_err(|error| Fault::ourselves(error.to_string()))?;
        let protocol = Self {
            me,
            committee,
            session: Some(DkgSession::new(committee.parameters(), party, id.to_vec())),
            own_fragment: None,
            proof: None,
            commitments: Commitments::new(),
            zero_commitments: Vec::new(),
            chain_commitments: BTreeMap::new(),
            share: None,
        };
        let others = committee.all().filter(|member| *member != me).collect();
        Ceremony::begin(id, me, others, protocol)
    }

    fn session(&mut self) -> Result<&mut DkgSession<Secp256k1>, Fault> {
        self.session.as_mut().ok_or_else(|| Fault::ourselves("key generation is over"))
    }

    fn second(&mut self, received: &Received) -> Result<Sent, Fault> {
        let fragments =
            setup::fragments(self.committee, self.me, self.own_fragment.as_ref(), received)?;
        let (proof, zero, chain) = self.session()?.phase2(&fragments)?;
        let broadcast = encoded(&(proof.commitment, chain))?.to_vec();
        let direct = setup::direct(zero, |part| part.parties.receiver)?;
        self.proof = Some(proof);
        Ok(Sent { broadcast, direct })
    }

    fn third(&mut self, received: Received) -> Result<Sent, Fault> {
        for (from, broadcast) in &received.broadcasts {
            let (commitment, chain): Second = decoded(*from, broadcast)?;
            setup::sent_by(*from, chain.sender_index.into())?;
            self.commitments.insert(*from, commitment);
            self.chain_commitments.insert(*from, chain);
        }
        self.zero_commitments = setup::zero_commitments(self.me, &received)?;
        let proof = self.proof.take().ok_or_else(|| Fault::ourselves("no proof was made"))?;
        let (zero, mul, chain) = self.session()?.phase3()?;
        let broadcast = encoded(&(proof, chain))?.to_vec();
        let direct = setup::direct_pairs(
            zero,
            |part| part.parties.receiver,
            mul,
            |part| part.parties.receiver,
        )?;
        Ok(Sent { broadcast, direct })
    }

    fn last(&mut self, received: Received) -> Result<Sent, Fault> {
        let (mut proofs, mut chain) = (Vec::new(), BTreeMap::new());
        for (from, broadcast) in &received.broadcasts {
            let (proof, part): Third = decoded(*from, broadcast)?;
            setup::sent_by(*from, part.sender_index.into())?;
            setup::kept_word(*from, &self.commitments, &proof)?;
            chain.insert(part.sender_index, part);
            proofs.push(proof);
        }
        let (zero, mul) = setup::openings(self.me, &received)?;
        let commitments = core::mem::take(&mut self.chain_commitments).into_iter();
        let chain_commitments = commitments.map(|(_, part)| (part.sender_index, part)).collect();
        let session =
            self.session.take().ok_or_else(|| Fault::ourselves("key generation is over"))?;
        let (party, package): (Party<Secp256k1>, PublicKeyPackage<Secp256k1>) = session.phase4(
            &proofs,
            &self.zero_commitments,
            &zero,
            &mul,
            &chain_commitments,
            &chain,
            |_| String::new(),
        )?;
        let share = KeyShare { party, package };
        let broadcast = setup::confirmation(&share)?;
        self.share = Some(share);
        Ok(Sent { broadcast, ..Sent::default() })
    }
}

impl Rounds for KeyGeneration {
    type Output = KeyShare;
    const LAST: u8 = 4;

    fn begin(&mut self) -> Result<Sent, Fault> {
        let fragments = self.session()?.phase1();
        let (own, direct) = setup::fragments_out(self.committee, self.me, fragments)?;
        self.own_fragment = Some(own);
        Ok(Sent { direct, ..Sent::default() })
    }

    fn advance(&mut self, round: u8, received: Received) -> Result<Step<KeyShare>, Fault> {
        match round {
            1 => self.second(&received).map(Step::Send),
            2 => self.third(received).map(Step::Send),
            3 => self.last(received).map(Step::Send),
            _ => setup::confirmed(&received, self.share.take()).map(Step::Done),
        }
    }
}
