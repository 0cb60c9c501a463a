//! What has to be sent so that the registry says what is wanted. Pure: reads and sends nothing.

use capstan_base::{Address, Amount, B256, ModelId, Price};
use capstan_chain::{NewOffer, Node, NodeInfo};

/// What an operator asks for; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// FAB at stake, at least.
    pub stake: Option<Amount>,
    /// Base URL.
    pub endpoint: Option<String>,
    /// Region in words.
    pub region: Option<String>,
    /// Prices.
    pub offers: Vec<NewOffer>,
    /// Offers to withdraw.
    pub remove: Vec<(ModelId, Address)>,
}

/// What the registry says of a registered host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Stake and state.
    pub node: Node,
    /// Endpoint and region.
    pub info: NodeInfo,
    /// Prices of [`Wanted::offers`], in their order.
    pub prices: Vec<Option<Price>>,
    /// Whether each of [`Wanted::remove`] is offered.
    pub offered: Vec<bool>,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Join with this stake.
    Register(Amount),
    /// Change what the host says of itself.
    UpdateInfo {
        /// Base URL.
        endpoint: String,
        /// Region.
        region: String,
        /// Kept as it is.
        metadata_hash: B256,
    },
    /// Set prices.
    SetOffers(Vec<NewOffer>),
    /// Withdraw an offer.
    RemoveOffer(ModelId, Address),
    /// Add to the stake.
    AddStake(Amount),
    /// Take no new session.
    StartUnbonding,
    /// Serve again.
    CancelUnbonding,
    /// Take the stake out.
    WithdrawStake,
}

impl Step {
    /// In a word, as it is stored and told.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Register(_) => "register",
            Self::UpdateInfo { .. } => "update-info",
            Self::SetOffers(_) => "set-offers",
            Self::RemoveOffer(..) => "remove-offer",
            Self::AddStake(_) => "add-stake",
            Self::StartUnbonding => "start-unbonding",
            Self::CancelUnbonding => "cancel-unbonding",
            Self::WithdrawStake => "withdraw-stake",
        }
    }
}

/// Steps from what is registered to what is wanted; none if nothing differs.
pub fn changes(wanted: &Wanted, found: &Found) -> Vec<Step> {
    let mut steps = Vec::new();
    let endpoint = wanted.endpoint.as_ref().unwrap_or(&found.info.endpoint);
    let region = wanted.region.as_ref().unwrap_or(&found.info.region);
    if (endpoint, region) != (&found.info.endpoint, &found.info.region) {
        steps.push(Step::UpdateInfo {
            endpoint: endpoint.clone(),
            region: region.clone(),
            metadata_hash: found.info.metadata_hash,
        });
    }
    let priced = wanted.offers.iter().zip(&found.prices);
    let changed = priced.filter(|(offer, price)| Some(offer.price) != **price);
    let offers: Vec<_> = changed.map(|(offer, _)| *offer).collect();
    if !offers.is_empty() {
        steps.push(Step::SetOffers(offers));
    }
    let removed = wanted.remove.iter().zip(&found.offered).filter(|(_, offered)| **offered);
    steps.extend(removed.map(|((model, token), _)| Step::RemoveOffer(*model, *token)));
    let missing = wanted.stake.and_then(|stake| stake.checked_sub(found.node.stake));
    steps.extend(missing.filter(|missing| !missing.is_zero()).map(Step::AddStake));
    steps
}

/// The step with which a host joins, if it has not, and what else differs if it has.
pub fn joining(wanted: &Wanted, found: Option<&Found>) -> Vec<Step> {
    match found {
        None => vec![Step::Register(wanted.stake.unwrap_or_default())],
        Some(found) => changes(wanted, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(units: u128) -> Amount {
        Amount::new(units).unwrap()
    }

    fn offer(token: u8, input: u128) -> NewOffer {
        let price = Price { input: amount(input), output: amount(5) };
        NewOffer { model: ModelId(B256::repeat_byte(1)), token: Address::repeat_byte(token), price }
    }

    fn found() -> Found {
        Found {
            node: Node { stake: amount(1000), unbonds_at: None, info_block: 7 },
            info: NodeInfo {
                endpoint: "https://a".into(),
                region: "here".into(),
                metadata_hash: B256::repeat_byte(9),
            },
            prices: Vec::new(),
            offered: Vec::new(),
        }
    }

    #[test]
    fn what_is_as_wanted_needs_no_step() {
        let wanted = Wanted {
            stake: Some(amount(1000)),
            endpoint: Some("https://a".into()),
            region: None,
            offers: vec![offer(2, 4)],
            remove: vec![(ModelId(B256::ZERO), Address::ZERO)],
        };
        let prices = vec![Some(offer(2, 4).price)];
        let found = Found { prices, offered: vec![false], ..found() };
        assert_eq!(changes(&wanted, &found), []);
        assert_eq!(joining(&wanted, Some(&found)), []);
        assert_eq!(joining(&wanted, None), [Step::Register(amount(1000))]);
    }

    #[test]
    fn only_what_differs_is_sent() {
        let wanted = Wanted {
            stake: Some(amount(1500)),
            endpoint: None,
            region: Some("there".into()),
            offers: vec![offer(2, 4), offer(3, 4), offer(4, 4)],
            remove: vec![
                (ModelId(B256::ZERO), Address::ZERO),
                (ModelId(B256::ZERO), Address::repeat_byte(1)),
            ],
        };
        let prices = vec![Some(offer(2, 4).price), Some(offer(3, 6).price), None];
        let found = Found { prices, offered: vec![true, false], ..found() };
        let steps = changes(&wanted, &found);
        assert_eq!(
            steps,
            [
                Step::UpdateInfo {
                    endpoint: "https://a".into(),
                    region: "there".into(),
                    metadata_hash: B256::repeat_byte(9),
                },
                Step::SetOffers(vec![offer(3, 4), offer(4, 4)]),
                Step::RemoveOffer(ModelId(B256::ZERO), Address::ZERO),
                Step::AddStake(amount(500)),
            ]
        );
        // Less stake than there is: it is not taken out by an update.
        let less = Wanted { stake: Some(amount(1)), ..Wanted::default() };
        assert_eq!(changes(&less, &found), []);
    }
}
