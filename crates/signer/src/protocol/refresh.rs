//! Refresh: new shares of the same key. Shares of before do not sign with shares of after, so what
//! leaked of one member before is worth nothing once all others have erased theirs.

use std::collections::BTreeMap;

use dkls23::protocols::PartyIndex;
use dkls23::protocols::dkg::{
    KeepInitMulPhase3to4, KeepInitZeroSharePhase2to3, KeepInitZeroSharePhase3to4, ProofCommitment,
    TransmitInitZeroSharePhase2to4,
};
use k256_0_14::{Scalar, Secp256k1};
use zeroize::Zeroizing;

use super::ceremony::{Ceremony, Outgoing, Received, Rounds, Sent, Step, decoded, encoded};
use super::fault::Fault;
use super::member::{Committee, MemberIndex};
use super::setup::{self, Commitment, Commitments};
use super::share::KeyShare;

/// One member's side of a refresh; gives the new [`KeyShare`]. Takes every member of the committee, also
/// one whose share was [assembled](super::assemble) anew and cannot sign before.
///
/// It is complete: the state for signing is made anew with the shares, which a repaired member needs.
pub struct Refresh {
    id: [u8; 32],
    me: MemberIndex,
    committee: Committee,
    old: KeyShare,
    own_fragment: Option<Zeroizing<Scalar>>,
    correction: Zeroizing<Scalar>,
    proof: Option<ProofCommitment<Secp256k1>>,
    commitments: Commitments,
    zero_commitments: Vec<TransmitInitZeroSharePhase2to4>,
    zero_second: BTreeMap<PartyIndex, KeepInitZeroSharePhase2to3>,
    zero_third: BTreeMap<PartyIndex, KeepInitZeroSharePhase3to4>,
    mul_third: BTreeMap<PartyIndex, KeepInitMulPhase3to4<Secp256k1>>,
    share: Option<KeyShare>,
}

impl Refresh {
    /// Begins. `id` names this one attempt.
    ///
    /// # Errors
    /// [`Fault`], if this machine cannot begin: with a child's share, which is derived and never kept.
    pub fn begin(id: [u8; 32], old: KeyShare) -> Result<(Ceremony<Self>, Vec<Outgoing>), Fault> {
        if old.party.derivation_data.depth != 0 {
            return Err(Fault::ourselves("a child's share is derived, not refreshed"));
        }
        let (me, committee) = (old.member(), old.committee());
        let protocol = Self {
            id,
            me,
            committee,
            old,
            own_fragment: None,
            correction: Zeroizing::new(Scalar::ZERO),
            proof: None,
            commitments: Commitments::new(),
            zero_commitments: Vec::new(),
            zero_second: BTreeMap::new(),
            zero_third: BTreeMap::new(),
            mul_third: BTreeMap::new(),
            share: None,
        };
        let others = committee.all().filter(|member| *member != me).collect();
        Ceremony::begin(id, me, others, protocol)
    }

    fn second(&mut self, received: &Received) -> Result<Sent, Fault> {
        let fragments =
            setup::fragments(self.committee, self.me, self.own_fragment.as_ref(), received)?;
        let (correction, proof, zero_kept, zero) =
            self.old.party.refresh_complete_phase2(&self.id, &fragments);
        let broadcast = encoded(&proof.commitment)?.to_vec();
        let direct = setup::direct(zero, |part| part.parties.receiver)?;
        (self.correction, self.proof, self.zero_second) =
            (Zeroizing::new(correction), Some(proof), zero_kept);
        Ok(Sent { broadcast, direct })
    }

    fn third(&mut self, received: &Received) -> Result<Sent, Fault> {
        for (from, broadcast) in &received.broadcasts {
            let commitment: Commitment = decoded(*from, broadcast)?;
            self.commitments.insert(*from, commitment);
        }
        self.zero_commitments = setup::zero_commitments(self.me, received)?;
        let proof = self.proof.take().ok_or_else(|| Fault::ourselves("no proof was made"))?;
        let (zero_kept, zero, mul_kept, mul) =
            self.old.party.refresh_complete_phase3(&self.id, &self.zero_second);
        (self.zero_third, self.mul_third) = (zero_kept, mul_kept);
        let broadcast = encoded(&proof)?.to_vec();
        let direct = setup::direct_pairs(
            zero,
            |part| part.parties.receiver,
            mul,
            |part| part.parties.receiver,
        )?;
        Ok(Sent { broadcast, direct })
    }

    fn last(&mut self, received: &Received) -> Result<Sent, Fault> {
        let mut proofs = Vec::new();
        for (from, broadcast) in &received.broadcasts {
            let proof: ProofCommitment<Secp256k1> = decoded(*from, broadcast)?;
            setup::kept_word(*from, &self.commitments, &proof)?;
            proofs.push(proof);
        }
        let (zero, mul) = setup::openings(self.me, received)?;
        let party = self.old.party.refresh_complete_phase4(
            &self.id,
            &self.correction,
            &proofs,
            &self.zero_third,
            &self.zero_commitments,
            &zero,
            &self.mul_third,
            &mul,
        )?;
        let package = self
            .old
            .package
            .refresh(&self.id, &proofs)
            .map_err(|reason| Fault::of_nobody(reason.to_string()))?;
        let share = KeyShare { party, package };
        let broadcast = setup::confirmation(&share)?;
        self.share = Some(share);
        Ok(Sent { broadcast, ..Sent::default() })
    }
}

impl Rounds for Refresh {
    type Output = KeyShare;
    const LAST: u8 = 4;

    fn begin(&mut self) -> Result<Sent, Fault> {
        let fragments = self.old.party.refresh_complete_phase1();
        let (own, direct) = setup::fragments_out(self.committee, self.me, fragments)?;
        self.own_fragment = Some(own);
        Ok(Sent { direct, ..Sent::default() })
    }

    fn advance(&mut self, round: u8, received: Received) -> Result<Step<KeyShare>, Fault> {
        match round {
            1 => self.second(&received).map(Step::Send),
            2 => self.third(&received).map(Step::Send),
            3 => self.last(&received).map(Step::Send),
            _ => setup::confirmed(&received, self.share.take()).map(Step::Done),
        }
    }
}
