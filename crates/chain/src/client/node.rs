//! Hosts as the node registry has them.

use alloy_sol_types::SolEvent;
use capstan_base::{Address, Amount, ModelId, Price};

use crate::bindings::abi::{IJobs, NodeRegistry, ReputationSystem};
use crate::client::ChainClient;
use crate::error::ChainError;
use crate::types::{BlockTag, Node, NodeInfo, Score};

impl ChainClient {
    /// Stake and state of a host; `None` if it is not registered.
    pub async fn node(&self, host: Address) -> Result<Option<Node>, ChainError> {
        let call = NodeRegistry::getNodeCall { host };
        let registry = self.node_registry()?;
        let node: Node =
            self.view("reading a host", registry, call, BlockTag::Latest).await?.into();
        // Every registered host has an info block; stake may be withdrawn to nothing.
        Ok((node.info_block != 0).then_some(node))
    }

    /// Endpoint and region of a host: the last such event in the block that its slot names.
    pub async fn node_info(&self, host: Address) -> Result<Option<NodeInfo>, ChainError> {
        let Some(node) = self.node(host).await? else { return Ok(None) };
        let topics = [Some(NodeRegistry::NodeInfo::SIGNATURE_HASH), Some(host.into_word())];
        let block = node.info_block;
        let logs = self.logs(self.node_registry()?, &topics, block, block).await?;
        let Some(log) = logs.last() else {
            let detail = format!("no NodeInfo event of {host} in block {block}");
            return Err(self.inconsistent("reading a host's endpoint", detail));
        };
        let event = NodeRegistry::NodeInfo::decode_log_data(&log.data)
            .map_err(|error| self.inconsistent("reading a host's endpoint", error))?;
        Ok(Some(NodeInfo {
            endpoint: event.endpoint,
            region: event.region,
            metadata_hash: event.metadataHash,
        }))
    }

    /// Models and tokens that a host set a price for in one block; a price may have been withdrawn
    /// since. The registry keeps no list: the block of [`Node::info_block`] is where a host that
    /// changed nothing made its first offers.
    pub async fn offers_set_in(
        &self,
        host: Address,
        block: u64,
    ) -> Result<Vec<(ModelId, Address)>, ChainError> {
        let topics = [Some(NodeRegistry::OfferSet::SIGNATURE_HASH), Some(host.into_word())];
        let logs = self.logs(self.node_registry()?, &topics, block, block).await?;
        let events = logs.iter().map(|log| NodeRegistry::OfferSet::decode_log_data(&log.data));
        events
            .map(|event| event.map(|event| (ModelId(event.model), event.token)))
            .collect::<Result<_, _>>()
            .map_err(|error| self.inconsistent("reading a host's offers", error))
    }

    /// Hosts that ever set a price for a model in a token, in the order they first did. Searched from
    /// the block that the configuration names, or the chain's first; whether a host still serves is
    /// for [`ChainClient::is_serving`] to say.
    pub async fn hosts_that_offered(
        &self,
        model: ModelId,
        token: Address,
    ) -> Result<Vec<Address>, ChainError> {
        let topics = [
            Some(NodeRegistry::OfferSet::SIGNATURE_HASH),
            None,
            Some(model.0),
            Some(token.into_word()),
        ];
        let from_block = self.contracts()?.from_block.unwrap_or_default();
        let mut hosts = Vec::new();
        self.search_logs(self.node_registry()?, &topics, from_block, |log| {
            let host = log.data.topics().get(1).map(|topic| Address::from_word(*topic));
            if let Some(host) = host.filter(|host| !hosts.contains(host)) {
                hosts.push(host);
            }
            true
        })
        .await?;
        Ok(hosts)
    }

    /// Records of hosts in a token, in the order asked: what [`Score`] says.
    pub async fn scores_of(
        &self,
        hosts: &[Address],
        token: Address,
    ) -> Result<Vec<Score>, ChainError> {
        const OPERATION: &str = "reading the records of hosts";
        let call = IJobs::REPUTATIONCall {};
        let reputation = self.view(OPERATION, self.marketplace()?, call, BlockTag::Latest).await?;
        let call = ReputationSystem::scoresOfCall { hosts: hosts.to_vec(), token };
        let scores = self.view(OPERATION, reputation, call, BlockTag::Latest).await?;
        if scores.len() != hosts.len() {
            let detail = format!("{} records of {} hosts", scores.len(), hosts.len());
            return Err(self.inconsistent(OPERATION, detail));
        }
        Ok(scores
            .into_iter()
            .map(|score| Score { merit: score.merit, fault: score.fault })
            .collect())
    }

    /// What a host asks for a model in a token; `None` if it does not offer it.
    pub async fn price_of(
        &self,
        host: Address,
        model: ModelId,
        token: Address,
    ) -> Result<Option<Price>, ChainError> {
        const OPERATION: &str = "reading a price";
        let call = NodeRegistry::priceOfCall { host, model: model.0, token };
        let price = self.view(OPERATION, self.node_registry()?, call, BlockTag::Latest).await?;
        let price = Price::try_from(price).map_err(|error| self.inconsistent(OPERATION, error))?;
        Ok(price.is_offered().then_some(price))
    }

    /// True while a new session may be opened with this host.
    pub async fn is_serving(
        &self,
        host: Address,
        model: ModelId,
        token: Address,
    ) -> Result<bool, ChainError> {
        let call = NodeRegistry::isServingCall { host, model: model.0, token };
        self.view("asking whether a host serves", self.node_registry()?, call, BlockTag::Latest)
            .await
    }

    /// Least stake of a host, FAB.
    pub async fn min_stake(&self) -> Result<Amount, ChainError> {
        let call = NodeRegistry::MIN_STAKECall {};
        let stake = self
            .view("reading the least stake", self.node_registry()?, call, BlockTag::Latest)
            .await?;
        Ok(crate::bindings::amount(stake))
    }
}
