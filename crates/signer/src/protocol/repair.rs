//! Repair: the others give a member its lost share back, and learn nothing of it.

use dkls23::protocols::PartyIndex;
use dkls23::protocols::repair::{self as dkls, RepairError};
use k256_0_14::Secp256k1;
use zeroize::Zeroizing;

use super::ceremony::{decoded, encoded};
use super::fault::Fault;
use super::member::MemberIndex;
use super::share::KeyShare;

/// What one helper sends to the member that lost its share, and to nobody else.
pub type RepairTerm = Zeroizing<Vec<u8>>;

/// Our term for `target`. All `helpers` (at least as many as sign, `target` not among them) have to be
/// given the same list and the same `id`.
///
/// That `target` is who it says is for the caller to know: whoever gets the terms has its share.
///
/// # Errors
/// [`Fault`] of ourselves, for a list that is none.
pub fn repair_term(
    share: &KeyShare,
    helpers: &[MemberIndex],
    target: MemberIndex,
    id: &[u8; 32],
) -> Result<RepairTerm, Fault> {
    let (helpers, target) = (parties(helpers)?, party(target)?);
    let term = share.party.repair_term(&helpers, target, id).map_err(refused)?;
    encoded(&(term, &share.package))
}

/// The lost share from the helpers' terms. It cannot sign yet: all members have to
/// [refresh](super::Refresh) first, and with that they erase what the lost share would still be good for.
///
/// # Errors
/// [`Fault`], if the terms do not fit together; of nobody if their sum alone shows it. Try other helpers.
pub fn assemble(
    target: MemberIndex,
    terms: &[(MemberIndex, RepairTerm)],
) -> Result<KeyShare, Fault> {
    let mut parts = Vec::new();
    let mut agreed = None;
    for (from, bytes) in terms {
        let (term, package): (dkls::RepairTerm<Secp256k1>, _) = decoded(*from, bytes)?;
        if MemberIndex::from(term.helper) != *from {
            return Err(Fault::of(*from, format!("member {from} sent another member's term")));
        }
        let public = encoded(&package)?;
        let (_, known) = agreed.get_or_insert_with(|| (package, public.clone()));
        if *known != public {
            return Err(Fault::of_nobody(format!("member {from} knows another committee")));
        }
        parts.push(term);
    }
    let (package, _) = agreed.ok_or_else(|| Fault::ourselves("no term to assemble"))?;
    let party = dkls::repair_assemble(&package, party(target)?, &parts, |_| String::new())
        .map_err(|error| Fault::of_nobody(error.to_string()))?;
    Ok(KeyShare { party, package })
}

fn parties(members: &[MemberIndex]) -> Result<Vec<PartyIndex>, Fault> {
    members.iter().copied().map(party).collect()
}

fn party(member: MemberIndex) -> Result<PartyIndex, Fault> {
    member.party().map_err(|error| Fault::ourselves(error.to_string()))
}

fn refused(error: RepairError) -> Fault {
    Fault::ourselves(error.to_string())
}
