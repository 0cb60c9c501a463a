//! Revert data in words.

use alloy_sol_types::{Panic, Revert, SolError, SolInterface};

use crate::bindings::abi::{
    GovernanceToken, JobMarketplace, ModelRegistry, NodeRegistry, SelfBatch,
};
use crate::types::Bytes;

/// Names the custom error with its fields (`AmountAboveDeposit { amount: 9, deposit: 5 }`), gives
/// the text of a `require`, names a panic, or falls back to the raw hex.
pub fn decode_revert(data: &Bytes) -> String {
    if data.is_empty() {
        return "reverted without a reason".to_owned();
    }
    if let Ok(revert) = Revert::abi_decode(data) {
        return revert.reason;
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return panic.to_string();
    }
    custom::<JobMarketplace::JobMarketplaceErrors>(data)
        .or_else(|| custom::<NodeRegistry::NodeRegistryErrors>(data))
        .or_else(|| custom::<ModelRegistry::ModelRegistryErrors>(data))
        .or_else(|| custom::<GovernanceToken::GovernanceTokenErrors>(data))
        .or_else(|| custom::<SelfBatch::SelfBatchErrors>(data))
        .unwrap_or_else(|| format!("unknown error {data}"))
}

/// The derived form is `Name(Name { field: value })`: the inner part is what a reader wants.
fn custom<E: SolInterface + core::fmt::Debug>(data: &Bytes) -> Option<String> {
    let text = format!("{:?}", E::abi_decode(data).ok()?);
    let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    Some(inner.unwrap_or(&text).to_owned())
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{U256, aliases::U96, bytes};

    use super::*;

    #[test]
    fn our_errors_are_named_with_their_fields() {
        let above =
            JobMarketplace::AmountAboveDeposit { amount: U256::from(9), deposit: U256::from(5) };
        assert_eq!(
            decode_revert(&above.abi_encode().into()),
            "AmountAboveDeposit { amount: 9, deposit: 5 }"
        );
        let low = NodeRegistry::StakeTooLow { stake: U96::from(1), minimum: U96::from(2) };
        assert_eq!(decode_revert(&low.abi_encode().into()), "StakeTooLow { stake: 1, minimum: 2 }");
        assert_eq!(
            decode_revert(&JobMarketplace::BadSignature {}.abi_encode().into()),
            "BadSignature"
        );
    }

    #[test]
    fn everything_else_is_still_said() {
        assert_eq!(decode_revert(&Revert::from("nope").abi_encode().into()), "nope");
        assert_eq!(decode_revert(&Bytes::new()), "reverted without a reason");
        assert_eq!(decode_revert(&bytes!("deadbeef01")), "unknown error 0xdeadbeef01");
    }
}
