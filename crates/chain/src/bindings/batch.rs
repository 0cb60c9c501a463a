//! Many calls of one account as one transaction: which may be merged, the merged call, and what its
//! receipt says of each.

mod outcome;

use alloy_sol_types::SolCall;
use capstan_base::{Address, SessionTerms, Signature65, SignedVoucher, U256, Voucher};

use crate::bindings::abi::JobMarketplace::JobMarketplaceCalls;
use crate::bindings::abi::{JobMarketplace, SelfBatch};
use crate::bindings::calls::{Call, CompletionItem, complete_session_jobs};
use crate::bindings::canonical;

pub use outcome::{ItemOutcome, outcomes};

/// How calls are merged. Only calls of equal kind and of one sender go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchKind {
    /// Closes of sessions, by the marketplace's own batch call: the cheapest road.
    Completions {
        /// Contract that the calls are for.
        marketplace: Address,
    },
    /// Any calls of an account that delegates to `SelfBatch`, from itself to itself.
    SelfCall {
        /// The account.
        account: Address,
    },
}

/// The batch of its contract that a call may join, if there is one.
///
/// A close may if the packed form says all that the call says: it carries no value, and either no
/// voucher at all or one of its own session with a 65-byte signature of low s. Whether a 65-byte
/// signature is ECDSA cannot be seen: one that only the voucher key's contract accepts (ERC-1271)
/// fails alone in a batch, with `BadSignature`, and has to be sent as it is afterwards. Whether `to`
/// is a marketplace at all is the caller's to know.
pub fn native_kind(call: &Call) -> Option<BatchKind> {
    completion(call).map(|_| BatchKind::Completions { marketplace: call.to })
}

/// Neighbours of equal key are cheaper: token and renter of a close. `None` for every other call,
/// whose place among its neighbours may matter.
pub fn sort_key(call: &Call) -> Option<(Address, Address)> {
    completion(call).map(|item| (item.terms.token, item.terms.renter))
}

/// The calls as one, in the order given; a single one stays as it is. `None` if there is no call, or
/// one that does not fit the kind.
pub fn merge(kind: BatchKind, calls: &[&Call]) -> Option<Call> {
    match (kind, calls) {
        (_, []) => None,
        (BatchKind::Completions { marketplace }, _) => {
            let items: Vec<_> = calls
                .iter()
                .map(|call| completion_for(marketplace, call))
                .collect::<Option<_>>()?;
            match calls {
                [only] => Some((*only).clone()),
                _ => complete_session_jobs(marketplace, &items).ok(),
            }
        }
        // The code refuses a call to the account itself: it could only be a batch in a batch.
        (BatchKind::SelfCall { account }, _) if calls.iter().any(|call| call.to == account) => None,
        (BatchKind::SelfCall { .. }, [only]) => Some((*only).clone()),
        (BatchKind::SelfCall { account }, _) => {
            let calls = calls.iter().map(|call| {
                let Call { to, value, data } = (*call).clone();
                SelfBatch::Call { to, value, data }
            });
            let data = SelfBatch::executeCall { calls: calls.collect() }.abi_encode().into();
            Some(Call { to: account, value: U256::ZERO, data })
        }
    }
}

fn completion_for(marketplace: Address, call: &Call) -> Option<CompletionItem> {
    completion(call).filter(|_| call.to == marketplace)
}

/// The close that a call makes, if it can be said in packed form.
fn completion(call: &Call) -> Option<CompletionItem> {
    let JobMarketplaceCalls::completeSessionJob(asked) = canonical(&call.data)? else {
        return None;
    };
    if !call.value.is_zero() {
        return None;
    }
    let JobMarketplace::Completion { terms, voucher, signature, claim } = asked.completion;
    let terms = SessionTerms::from(terms);
    let voucher = signed(&terms, voucher.into(), Signature65(signature))?;
    Some(CompletionItem { terms, voucher, claim: crate::bindings::amount(claim) })
}

/// The voucher, or none for a blank one. `None` if the packed form would say something else.
fn signed(
    terms: &SessionTerms,
    voucher: Voucher,
    signature: Signature65,
) -> Option<Option<SignedVoucher>> {
    if signature.0.is_empty() {
        // An amount without a signature may still be what a contract key accepts.
        let Voucher { session_id: _, amount, tokens, transcript_root } = voucher;
        let blank = amount.is_zero() && tokens == 0 && transcript_root.is_zero();
        return blank.then_some(None);
    }
    let parsed = signature.parse().ok()?;
    // Zeros mean "no voucher" in packed form.
    let ecdsa = !parsed.r().is_zero() && !parsed.s().is_zero();
    let own = voucher.session_id == terms.id();
    (ecdsa && own).then_some(Some(SignedVoucher { voucher, signature }))
}

#[cfg(test)]
mod tests;
