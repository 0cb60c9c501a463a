//! Is the chain what the configuration says? Asked once, at start.

use alloy_primitives::U64;
use alloy_sol_types::SolCall;
use capstan_base::{Address, B256, ChainId};
use serde_json::json;

use crate::bindings::ContractKind;
use crate::bindings::abi::IVersioned;
use crate::bindings::abi::JobMarketplace::NODESCall;
use crate::bindings::abi::NodeRegistry::{MODELSCall, STAKE_TOKENCall};
use crate::client::ChainClient;
use crate::error::ChainError;
use crate::registry::Contracts;
use crate::types::BlockTag;

const LINKS: &str = "reading which contracts belong together";

impl ChainClient {
    /// Checks that an endpoint answers for this chain, and that every configured contract is there
    /// in the version this build knows.
    ///
    /// # Errors
    /// Everything that is wrong. If the chain cannot be reached, that alone.
    pub async fn verify(&self) -> Result<(), Vec<ChainError>> {
        self.verify_chain_id().await.map_err(|error| vec![error])?;
        let contracts = *self.contracts().map_err(|error| vec![error])?;
        let mut wrong = Vec::new();
        for (kind, address) in [
            (ContractKind::JobMarketplace, contracts.job_marketplace),
            (ContractKind::NodeRegistry, contracts.node_registry),
        ] {
            wrong.extend(self.verify_contract(kind, address).await.err());
        }
        if !wrong.is_empty() {
            // What the two say of the others is worth nothing then.
            return Err(wrong);
        }
        for (kind, address) in [
            (ContractKind::ModelRegistry, self.model_registry().await),
            (ContractKind::GovernanceToken, self.governance_token().await),
        ] {
            let checked = match address {
                Ok(address) => self.verify_contract(kind, address).await,
                Err(error) => Err(error),
            };
            wrong.extend(checked.err());
        }
        wrong.extend(self.verify_links(&contracts).await.err().into_iter().flatten());
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The contracts have to belong together: each names the others it was deployed with.
    async fn verify_links(&self, contracts: &Contracts) -> Result<(), Vec<ChainError>> {
        let (market, nodes, at) =
            (contracts.job_marketplace, contracts.node_registry, BlockTag::Latest);
        let linked = [
            ("NodeRegistry", Some(nodes), self.view(LINKS, market, NODESCall {}, at).await),
            (
                "ModelRegistry",
                contracts.model_registry,
                self.view(LINKS, nodes, MODELSCall {}, at).await,
            ),
            (
                "GovernanceToken",
                contracts.governance_token,
                self.view(LINKS, nodes, STAKE_TOKENCall {}, at).await,
            ),
        ];
        let mut wrong = Vec::new();
        for (contract, configured, found) in linked {
            match (configured, found) {
                (_, Err(error)) => wrong.push(error),
                (Some(configured), Ok(found)) if configured != found => {
                    let chain = self.config.chain_id;
                    wrong.push(ChainError::WrongContract { chain, contract, configured, found });
                }
                _ => {}
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Checks the chain id alone: all there is to check before contracts are deployed.
    pub async fn verify_chain_id(&self) -> Result<(), ChainError> {
        let found: U64 = self
            .pool
            .call("eth_chainId", json!([]))
            .await
            .map_err(|error| self.failed("asking for the chain id", error))?;
        let (found, expected) = (ChainId(found.to()), self.config.chain_id);
        if found == expected {
            return Ok(());
        }
        let endpoint = self.pool.endpoints().into_iter().map(|(url, _)| url).next();
        Err(ChainError::WrongChainId { endpoint: endpoint.unwrap_or_default(), expected, found })
    }

    /// Checks that there is this contract at an address, in the version this build knows. For
    /// [`ContractKind::SelfBatch`], which no other contract names, ask before an account delegates to it.
    pub async fn verify_contract(
        &self,
        kind: ContractKind,
        address: Address,
    ) -> Result<(), ChainError> {
        let (chain, contract) = (self.config.chain_id, kind.name());
        if self.code(address).await?.is_empty() {
            return Err(ChainError::ContractNotDeployed { chain, contract, address });
        }
        let data = IVersioned::interfaceVersionCall {}.abi_encode().into();
        let found: Option<B256> = match self.call(address, data, BlockTag::Latest).await {
            Ok(answer) => IVersioned::interfaceVersionCall::abi_decode_returns(&answer).ok(),
            Err(ChainError::Reverted { .. }) => None,
            Err(error) => return Err(error),
        };
        let expected = kind.interface_version();
        if found == Some(expected) {
            return Ok(());
        }
        Err(ChainError::InterfaceMismatch { chain, contract, address, expected, found })
    }
}
