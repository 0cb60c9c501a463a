//! Is the chain what the configuration says? Asked once, at start.

use alloy_primitives::{U64, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use capstan_base::{Address, B256, ChainId};
use serde_json::json;

use crate::bindings::ContractKind;
use crate::bindings::abi::IVersioned;
use crate::bindings::links::LINKS;
use crate::client::ChainClient;
use crate::error::ChainError;
use crate::registry::Contracts;
use crate::types::BlockTag;

impl ChainClient {
    /// Checks that an endpoint answers for this chain, and that every configured contract is there
    /// in the version this build knows.
    ///
    /// # Errors
    /// Everything that is wrong. If the chain cannot be reached, that alone.
    pub async fn verify(&self) -> Result<(), Vec<ChainError>> {
        self.verify_chain_id().await.map_err(|error| vec![error])?;
        let contracts = self.contracts().map_err(|error| vec![error])?;
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
        // Hosts and renters need these two, so they are asked for even if nobody configured them.
        let needed = [
            (ContractKind::ModelRegistry, self.model_registry().await),
            (ContractKind::GovernanceToken, self.governance_token().await),
        ];
        let others = contracts.others.iter().map(|(kind, address)| (*kind, Ok(*address)));
        let unnamed = needed.into_iter().filter(|(kind, _)| contracts.of(*kind).is_none());
        for (kind, address) in others.chain(unnamed) {
            let checked = match address {
                Ok(address) => self.verify_contract(kind, address).await,
                Err(error) => Err(error),
            };
            wrong.extend(checked.err());
        }
        wrong.extend(self.verify_links(contracts).await);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The contracts have to belong together: each names the others it was deployed with. Links to a
    /// contract that is not configured are left alone.
    async fn verify_links(&self, contracts: &Contracts) -> Vec<ChainError> {
        let chain = self.config.chain_id;
        let mut wrong = Vec::new();
        for link in LINKS {
            let (Some(asked), Some(configured)) = (contracts.of(link.of), contracts.of(link.to))
            else {
                continue;
            };
            let contract = link.to.name();
            match self.address_by(asked, link.getter).await {
                Ok(found) if found == configured => {}
                Ok(found) => {
                    wrong.push(ChainError::WrongContract { chain, contract, configured, found });
                }
                Err(error) => wrong.push(error),
            }
        }
        wrong
    }

    /// What a function without arguments that answers with an address answers.
    pub(crate) async fn address_by(
        &self,
        contract: Address,
        getter: &str,
    ) -> Result<Address, ChainError> {
        let selector = keccak256(format!("{getter}()"));
        let data = selector.get(..4).unwrap_or_default().to_vec().into();
        let answer = self.call(contract, data, BlockTag::Latest).await?;
        Address::abi_decode(&answer)
            .map_err(|error| self.inconsistent("reading which contracts belong together", error))
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
