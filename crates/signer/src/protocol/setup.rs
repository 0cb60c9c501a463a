//! What key generation and refresh have in common.

use std::collections::BTreeMap;

use dkls23::protocols::dkg::{
    ProofCommitment, TransmitInitMulPhase3to4, TransmitInitZeroSharePhase2to4,
    TransmitInitZeroSharePhase3to4,
};
use dkls23::protocols::{PartiesMessage, PartyIndex};
use k256_0_14::{Scalar, Secp256k1};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::ceremony::{Received, decoded, encoded};
use super::fault::Fault;
use super::member::{Committee, MemberIndex};
use super::share::KeyShare;

/// What a member says of its part before it has heard of any other's.
pub(super) type Commitment = [u8; 32];
pub(super) type Commitments = BTreeMap<MemberIndex, Commitment>;

type Opening = (TransmitInitZeroSharePhase3to4, TransmitInitMulPhase3to4<Secp256k1>);
type Openings = (Vec<TransmitInitZeroSharePhase3to4>, Vec<TransmitInitMulPhase3to4<Secp256k1>>);

type Direct = BTreeMap<MemberIndex, Zeroizing<Vec<u8>>>;

/// Values of our polynomial, one for each member: ours, and the others' to be sent to them.
pub(super) fn fragments_out(
    committee: Committee,
    me: MemberIndex,
    fragments: Vec<Scalar>,
) -> Result<(Zeroizing<Scalar>, Direct), Fault> {
    let (mut own, mut direct) = (None, Direct::new());
    let fragments = Zeroizing::new(fragments);
    for (member, fragment) in committee.all().zip(fragments.iter()) {
        if member == me {
            own = Some(Zeroizing::new(*fragment));
        } else {
            direct.insert(member, encoded(fragment)?);
        }
    }
    Ok((own.ok_or_else(|| Fault::ourselves("no fragment of our own"))?, direct))
}

/// Values of everybody's polynomial for us, in the order of the members.
pub(super) fn fragments(
    committee: Committee,
    me: MemberIndex,
    own: Option<&Zeroizing<Scalar>>,
    received: &Received,
) -> Result<Zeroizing<Vec<Scalar>>, Fault> {
    let own = own.ok_or_else(|| Fault::ourselves("no fragment of our own"))?;
    let of = |member: MemberIndex| match received.direct.get(&member) {
        Some(bytes) => decoded(member, bytes),
        None if member == me => Ok(**own),
        None => Err(Fault::of(member, format!("member {member} sent no fragment"))),
    };
    committee.all().map(of).collect::<Result<Vec<_>, _>>().map(Zeroizing::new)
}

/// Parts for one member each, by receiver.
pub(super) fn direct<T: Serialize>(
    parts: Vec<T>,
    receiver: impl Fn(&T) -> PartyIndex,
) -> Result<Direct, Fault> {
    parts.iter().map(|part| Ok((receiver(part).into(), encoded(part)?))).collect()
}

/// Two parts for one member each: every receiver has one of both kinds.
pub(super) fn direct_pairs<A: Serialize, B: Serialize>(
    first: Vec<A>,
    first_receiver: impl Fn(&A) -> PartyIndex,
    second: Vec<B>,
    second_receiver: impl Fn(&B) -> PartyIndex,
) -> Result<Direct, Fault> {
    let second: BTreeMap<_, _> =
        second.into_iter().map(|part| (second_receiver(&part), part)).collect();
    let pair = |part: &A| {
        let receiver = first_receiver(part);
        let other = second.get(&receiver).ok_or_else(|| Fault::ourselves("half a message"))?;
        Ok((receiver.into(), encoded(&(part, other))?))
    };
    first.iter().map(pair).collect()
}

/// What each other member committed to in its zero shares with us.
pub(super) fn zero_commitments(
    me: MemberIndex,
    received: &Received,
) -> Result<Vec<TransmitInitZeroSharePhase2to4>, Fault> {
    let read = |(from, bytes): (&MemberIndex, &Zeroizing<Vec<u8>>)| {
        let part: TransmitInitZeroSharePhase2to4 = decoded(*from, bytes)?;
        between(*from, me, &part.parties)?;
        Ok(part)
    };
    received.direct.iter().map(read).collect()
}

/// What each other member opens to us in the third round: its zero shares, and its part of the
/// multiplication.
pub(super) fn openings(me: MemberIndex, received: &Received) -> Result<Openings, Fault> {
    let (mut zero, mut mul) = (Vec::new(), Vec::new());
    for (from, bytes) in &received.direct {
        let (zero_part, mul_part): Opening = decoded(*from, bytes)?;
        between(*from, me, &zero_part.parties)?;
        between(*from, me, &mul_part.parties)?;
        zero.push(zero_part);
        mul.push(mul_part);
    }
    Ok((zero, mul))
}

/// A part names its sender itself; it is to be the one that the connection names.
pub(super) fn sent_by(from: MemberIndex, named: MemberIndex) -> Result<(), Fault> {
    if named == from {
        return Ok(());
    }
    Err(Fault::of(from, format!("member {from} sent a part in the name of member {named}")))
}

/// The same for a part that names its receiver as well.
pub(super) fn between(
    from: MemberIndex,
    to: MemberIndex,
    named: &PartiesMessage,
) -> Result<(), Fault> {
    sent_by(from, named.sender.into())?;
    if MemberIndex::from(named.receiver) == to {
        return Ok(());
    }
    Err(Fault::of(from, format!("member {from} sent a part that is for somebody else")))
}

/// The proof is the one that its member committed to.
pub(super) fn kept_word(
    from: MemberIndex,
    commitments: &Commitments,
    proof: &ProofCommitment<Secp256k1>,
) -> Result<(), Fault> {
    sent_by(from, proof.index.into())?;
    if commitments.get(&from) == Some(&proof.commitment) {
        return Ok(());
    }
    Err(Fault::of(from, format!("member {from} committed to another proof")))
}

/// Digest of everything public about a new share: the same for every member, or it is no key.
pub(super) fn confirmation(share: &KeyShare) -> Result<Vec<u8>, Fault> {
    let public = encoded(&(&share.package, share.chain_code(), share.epoch().0))?;
    Ok(Sha256::digest(public.as_slice()).to_vec())
}

/// The new share, once every member has confirmed the same.
pub(super) fn confirmed(received: &Received, share: Option<KeyShare>) -> Result<KeyShare, Fault> {
    let share = share.ok_or_else(|| Fault::ourselves("no share to confirm"))?;
    let expected = confirmation(&share)?;
    for (from, confirmation) in &received.broadcasts {
        if *confirmation != expected {
            return Err(Fault::of(*from, format!("member {from} came to another key")));
        }
    }
    Ok(share)
}
