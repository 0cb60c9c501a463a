//! Between the contracts' types and ours.

use alloy_primitives::aliases::{U40, U96};
use alloy_primitives::{U256, Uint};
use alloy_sol_types::SolInterface;
use capstan_base::{
    Address, Amount, B256, ModelId, Price, SessionId, SessionTerms, SignatureError, SignedVoucher,
    UnixSeconds, Voucher,
};

use crate::bindings::abi::{JobMarketplace, NodeRegistry};
use crate::types::{CloseReason, Node, SessionState, SessionStatus};

/// A field of an answer that this build does not understand; names the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is out of range")]
pub struct OutOfRange(pub(crate) &'static str);

pub(crate) fn time(value: U40) -> UnixSeconds {
    // 40 bits on both sides.
    UnixSeconds::new(value.to::<u64>()).unwrap_or(UnixSeconds::MAX)
}

pub(crate) fn amount(value: U96) -> Amount {
    // 96 bits on both sides.
    Amount::try_from(value).unwrap_or(Amount::MAX)
}

impl From<&SessionTerms> for JobMarketplace::SessionTerms {
    fn from(terms: &SessionTerms) -> Self {
        Self {
            host: terms.host,
            renter: terms.renter,
            token: terms.token,
            deposit: terms.deposit.into(),
            expiry: Uint::from(terms.expiry.get()),
            voucherKey: terms.voucher_key,
            model: terms.model.0,
            salt: terms.salt,
        }
    }
}

impl From<JobMarketplace::SessionTerms> for SessionTerms {
    fn from(terms: JobMarketplace::SessionTerms) -> Self {
        Self {
            host: terms.host,
            renter: terms.renter,
            token: terms.token,
            deposit: amount(terms.deposit),
            expiry: time(terms.expiry),
            voucher_key: terms.voucherKey,
            model: ModelId(terms.model),
            salt: terms.salt,
        }
    }
}

impl From<JobMarketplace::Voucher> for Voucher {
    fn from(voucher: JobMarketplace::Voucher) -> Self {
        Self {
            session_id: SessionId(voucher.sessionId),
            amount: amount(voucher.amount),
            tokens: voucher.tokens,
            transcript_root: voucher.transcriptRoot,
        }
    }
}

impl From<&Voucher> for JobMarketplace::Voucher {
    fn from(voucher: &Voucher) -> Self {
        Self {
            sessionId: voucher.session_id.0,
            amount: voucher.amount.into(),
            tokens: voucher.tokens,
            transcriptRoot: voucher.transcript_root,
        }
    }
}

/// Decodes calldata of one of the interface's functions. `None` for any other, and for an encoding
/// that is not the one this build would make: a contract may read its odd bits otherwise than we do.
pub(crate) fn canonical<I: SolInterface>(data: &[u8]) -> Option<I> {
    I::abi_decode(data).ok().filter(|decoded| decoded.abi_encode() == data)
}

/// One close: the claim with its voucher, or without one for a claim of what was already presented
/// (zero if nothing was).
pub(crate) fn completion(
    terms: &SessionTerms,
    voucher: Option<&SignedVoucher>,
    claim: Amount,
) -> JobMarketplace::Completion {
    let none = Voucher {
        session_id: terms.id(),
        amount: Amount::ZERO,
        tokens: 0,
        transcript_root: Default::default(),
    };
    JobMarketplace::Completion {
        terms: terms.into(),
        voucher: voucher.map_or(&none, |signed| &signed.voucher).into(),
        signature: voucher.map(|signed| signed.signature.0.clone()).unwrap_or_default(),
        claim: claim.into(),
    }
}

/// The same as an item of a batch, in the words of the contract's `PackedCompletion`.
pub(crate) fn packed_completion(
    terms: &SessionTerms,
    voucher: Option<&SignedVoucher>,
    claim: Amount,
) -> Result<JobMarketplace::PackedCompletion, SignatureError> {
    let word = |amount: Amount| -> U256 { amount.into() };
    let beside = |account: Address, amount: Amount| {
        (U256::from_be_slice(account.as_slice()) << 96_usize) | word(amount)
    };
    let expiry = U256::from(terms.expiry.get()) << 160_usize;
    let mut item = JobMarketplace::PackedCompletion {
        renterDeposit: beside(terms.renter, terms.deposit),
        token: terms.token,
        keyAmount: beside(terms.voucher_key, Amount::ZERO),
        expiryTokensClaim: expiry | word(claim),
        model: terms.model.0,
        salt: terms.salt,
        transcriptRoot: B256::ZERO,
        r: B256::ZERO,
        vs: B256::ZERO,
    };
    if let Some(SignedVoucher { voucher, signature }) = voucher {
        let signature = signature.parse()?;
        item.keyAmount = beside(terms.voucher_key, voucher.amount);
        item.expiryTokensClaim |= U256::from(voucher.tokens) << 96_usize;
        item.transcriptRoot = voucher.transcript_root;
        item.r = signature.r().into();
        // EIP-2098: the highest bit of a low s is free, and holds v.
        let parity = U256::from(signature.v()) << 255_usize;
        item.vs = B256::from(signature.s() | parity);
    }
    Ok(item)
}

impl TryFrom<JobMarketplace::Session> for SessionState {
    type Error = OutOfRange;

    fn try_from(session: JobMarketplace::Session) -> Result<Self, OutOfRange> {
        let status = match session.status {
            0 => SessionStatus::None,
            1 => SessionStatus::Active,
            2 => SessionStatus::Closing,
            3 => SessionStatus::Closed,
            _ => return Err(OutOfRange("session status")),
        };
        Ok(Self {
            status,
            fee_bps: session.feeBps,
            challenge_end: time(session.challengeEnd),
            presented: amount(session.presented),
            top_up: amount(session.topUp),
        })
    }
}

impl TryFrom<u8> for CloseReason {
    type Error = OutOfRange;

    fn try_from(reason: u8) -> Result<Self, OutOfRange> {
        match reason {
            0 => Ok(Self::Completed),
            1 => Ok(Self::Finalized),
            2 => Ok(Self::TimedOut),
            _ => Err(OutOfRange("close reason")),
        }
    }
}

impl TryFrom<NodeRegistry::Price> for Price {
    type Error = OutOfRange;

    fn try_from(price: NodeRegistry::Price) -> Result<Self, OutOfRange> {
        let side = |value| Amount::new(value).map_err(|_| OutOfRange("price"));
        Ok(Self { input: side(price.input)?, output: side(price.output)? })
    }
}

impl From<NodeRegistry::Node> for Node {
    fn from(node: NodeRegistry::Node) -> Self {
        let unbonds_at = time(node.unbondsAt);
        Self {
            stake: amount(node.stake),
            unbonds_at: (unbonds_at.get() != 0).then_some(unbonds_at),
            info_block: node.infoBlock.to::<u64>(),
        }
    }
}

impl From<&crate::bindings::calls::NewOffer> for NodeRegistry::Offer {
    fn from(offer: &crate::bindings::calls::NewOffer) -> Self {
        Self {
            model: offer.model.0,
            token: offer.token,
            price: NodeRegistry::Price {
                input: offer.price.input.base_units(),
                output: offer.price.output.base_units(),
            },
        }
    }
}
