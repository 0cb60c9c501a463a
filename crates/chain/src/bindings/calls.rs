//! Calldata: one function per contract entry point, giving what a transaction needs.

use alloy_primitives::{FixedBytes, Signature, U256, keccak256};
use alloy_sol_types::{SolCall, SolInterface, SolStruct, SolValue, sol};
use capstan_base::{
    Address, Amount, B256, ModelId, Price, SessionTerms, SignatureError, SignedVoucher,
};

use crate::bindings::abi::{IErc20, JobMarketplace, ModelRegistry, NodeRegistry, TestUsdc};
use crate::bindings::{amount, convert};
use crate::types::Bytes;

sol! {
    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

/// What a transaction does: the part that does not depend on who sends it, when, or at what price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Contract, or recipient of a plain transfer.
    pub to: Address,
    /// Wei that goes along.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
}

/// One line of a host's price list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOffer {
    /// Model.
    pub model: ModelId,
    /// Payment token; the zero address is the native coin.
    pub token: Address,
    /// Base units per million tokens; at least one side above zero.
    pub price: Price,
}

fn call(to: Address, call: impl SolCall) -> Call {
    Call { to, value: U256::ZERO, data: call.abi_encode().into() }
}

/// The deposit travels with the call if it is native; ERC-20 needs an allowance of the deposit.
pub fn create_session_job(marketplace: Address, terms: &SessionTerms) -> Call {
    let value = native_value(terms, terms.deposit);
    Call {
        value,
        ..call(marketplace, JobMarketplace::createSessionJobCall { terms: terms.into() })
    }
}

/// ERC-20 with an EIP-2612 permit of the deposit for the marketplace, valid until `deadline`
/// (Unix seconds).
pub fn create_session_job_with_permit(
    marketplace: Address,
    terms: &SessionTerms,
    deadline: U256,
    permit: &Signature,
) -> Call {
    call(
        marketplace,
        JobMarketplace::createSessionJobWithPermitCall {
            terms: terms.into(),
            deadline,
            v: 27 + u8::from(permit.v()),
            r: permit.r().into(),
            s: permit.s().into(),
        },
    )
}

/// What a token's owner signs for [`create_session_job_with_permit`]: the digest of EIP-2612's
/// `Permit`. `domain_separator` and `nonce` are read from the token, `deadline` is Unix seconds.
pub fn permit_digest(
    domain_separator: B256,
    owner: Address,
    spender: Address,
    value: Amount,
    nonce: U256,
    deadline: U256,
) -> B256 {
    let permit = Permit { owner, spender, value: value.into(), nonce, deadline };
    let message = (FixedBytes::from([0x19, 0x01]), domain_separator, permit.eip712_hash_struct());
    keccak256(message.abi_encode_packed())
}

/// Adds `amount` to the deposit.
pub fn top_up(marketplace: Address, terms: &SessionTerms, amount: Amount) -> Call {
    let value = native_value(terms, amount);
    let topped = JobMarketplace::topUpCall { terms: terms.into(), amount: amount.into() };
    Call { value, ..call(marketplace, topped) }
}

/// One close by the host. `voucher` may be left out if `claim` is what was already presented on
/// chain: zero while the session is active.
pub fn complete_session_job(
    marketplace: Address,
    terms: &SessionTerms,
    voucher: Option<&SignedVoucher>,
    claim: Amount,
) -> Call {
    let completion = convert::completion(terms, voucher, claim);
    call(marketplace, JobMarketplace::completeSessionJobCall { completion })
}

/// What a close made by [`complete_session_job`] claims; `None` for another call.
pub fn claimed_in(data: &Bytes) -> Option<Amount> {
    let call = JobMarketplace::completeSessionJobCall::abi_decode(data).ok()?;
    Some(amount(call.completion.claim))
}

/// One item of a batch of closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionItem {
    /// Terms of the session.
    pub terms: SessionTerms,
    /// As for [`complete_session_job`].
    pub voucher: Option<SignedVoucher>,
    /// As for [`complete_session_job`].
    pub claim: Amount,
}

/// Many closes at once; an item that fails is told by event and leaves the others untouched.
/// Neighbours of one token are credited together, those of one renter refunded together: sort by
/// token, then by renter. Refused here is a signature that is not 65 bytes with the lower s: the
/// contract takes only ECDSA in a batch.
pub fn complete_session_jobs(
    marketplace: Address,
    items: &[CompletionItem],
) -> Result<Call, SignatureError> {
    let completions = items
        .iter()
        .map(|item| convert::packed_completion(&item.terms, item.voucher.as_ref(), item.claim))
        .collect::<Result<_, _>>()?;
    Ok(call(marketplace, JobMarketplace::completeSessionJobsCall { completions }))
}

/// The renter starts a close, acknowledging `acknowledged` as owed.
pub fn request_session_close(
    marketplace: Address,
    terms: &SessionTerms,
    acknowledged: Amount,
) -> Call {
    let acknowledged = acknowledged.into();
    call(marketplace, JobMarketplace::requestSessionCloseCall { terms: terms.into(), acknowledged })
}

/// Anyone hands in a voucher while the session is closing.
pub fn present_voucher(
    marketplace: Address,
    terms: &SessionTerms,
    voucher: &SignedVoucher,
) -> Call {
    call(
        marketplace,
        JobMarketplace::presentVoucherCall {
            terms: terms.into(),
            voucher: (&voucher.voucher).into(),
            signature: voucher.signature.0.clone(),
        },
    )
}

/// Anyone, once the challenge window is over.
pub fn finalize_session(marketplace: Address, terms: &SessionTerms) -> Call {
    call(marketplace, JobMarketplace::finalizeSessionCall { terms: terms.into() })
}

/// Anyone, after expiry and grace.
pub fn trigger_session_timeout(marketplace: Address, terms: &SessionTerms) -> Call {
    call(marketplace, JobMarketplace::triggerSessionTimeoutCall { terms: terms.into() })
}

/// The caller's whole ledger balance of `token` goes to `to`.
pub fn withdraw(marketplace: Address, token: Address, to: Address) -> Call {
    call(marketplace, JobMarketplace::withdrawCall { token, to })
}

/// Registers the caller as a host; the registry needs an allowance of `stake` FAB first.
pub fn register_node(
    registry: Address,
    stake: Amount,
    endpoint: &str,
    region: &str,
    metadata_hash: B256,
    offers: &[NewOffer],
) -> Call {
    call(
        registry,
        NodeRegistry::registerNodeCall {
            stake: stake.into(),
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            metadataHash: metadata_hash,
            offers: offers.iter().map(Into::into).collect(),
        },
    )
}

/// Changes what the host says of itself.
pub fn update_info(registry: Address, endpoint: &str, region: &str, metadata_hash: B256) -> Call {
    call(
        registry,
        NodeRegistry::updateInfoCall {
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            metadataHash: metadata_hash,
        },
    )
}

/// Sets or changes prices.
pub fn set_offers(registry: Address, offers: &[NewOffer]) -> Call {
    let offers = offers.iter().map(Into::into).collect();
    call(registry, NodeRegistry::setOffersCall { offers })
}

/// Withdraws one offer.
pub fn remove_offer(registry: Address, model: ModelId, token: Address) -> Call {
    call(registry, NodeRegistry::removeOfferCall { model: model.0, token })
}

/// Models and tokens that a call made here offers; none for a call that is no offer.
pub fn offered_in(data: &Bytes) -> Vec<(ModelId, Address)> {
    let offers = match NodeRegistry::NodeRegistryCalls::abi_decode(data) {
        Ok(NodeRegistry::NodeRegistryCalls::registerNode(call)) => call.offers,
        Ok(NodeRegistry::NodeRegistryCalls::setOffers(call)) => call.offers,
        _ => Vec::new(),
    };
    offers.into_iter().map(|offer| (ModelId(offer.model), offer.token)).collect()
}

/// Adds to the stake; needs an allowance.
pub fn add_stake(registry: Address, amount: Amount) -> Call {
    call(registry, NodeRegistry::addStakeCall { amount: amount.into() })
}

/// No new sessions from now on; the stake is free after the delay.
pub fn start_unbonding(registry: Address) -> Call {
    call(registry, NodeRegistry::startUnbondingCall {})
}

/// Serves again.
pub fn cancel_unbonding(registry: Address) -> Call {
    call(registry, NodeRegistry::cancelUnbondingCall {})
}

/// Pays the stake out after the delay.
pub fn withdraw_stake(registry: Address) -> Call {
    call(registry, NodeRegistry::withdrawStakeCall {})
}

/// Owner of the model registry only. `uri` says where the weights can be had.
pub fn approve_model(registry: Address, model: ModelId, uri: &str) -> Call {
    call(registry, ModelRegistry::approveModelCall { model: model.0, uri: uri.to_owned() })
}

/// ERC-20 `approve`.
pub fn erc20_approve(token: Address, spender: Address, value: U256) -> Call {
    call(token, IErc20::approveCall { spender, value })
}

/// ERC-20 `transfer`.
pub fn erc20_transfer(token: Address, to: Address, value: U256) -> Call {
    call(token, IErc20::transferCall { to, value })
}

/// `mint` of the worthless test dollar.
pub fn test_usdc_mint(token: Address, to: Address, amount: U256) -> Call {
    call(token, TestUsdc::mintCall { to, amount })
}

/// A plain transfer of the native coin.
pub fn native_transfer(to: Address, value: U256) -> Call {
    Call { to, value, data: Bytes::new() }
}

fn native_value(terms: &SessionTerms, amount: Amount) -> U256 {
    if terms.token.is_zero() { amount.into() } else { U256::ZERO }
}
