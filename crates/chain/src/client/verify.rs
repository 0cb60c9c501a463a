//! Is the chain what the configuration says? Asked once, at start.

use alloy_primitives::U64;
use alloy_sol_types::SolCall;
use capstan_base::{Address, B256, ChainId};
use serde_json::json;

use crate::bindings::ContractKind;
use crate::bindings::abi::IVersioned;
use crate::client::ChainClient;
use crate::error::ChainError;
use crate::types::BlockTag;

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
            (ContractKind::JobMarketplace, Some(contracts.job_marketplace)),
            (ContractKind::NodeRegistry, Some(contracts.node_registry)),
            (ContractKind::ModelRegistry, contracts.model_registry),
            (ContractKind::GovernanceToken, contracts.governance_token),
        ] {
            if let Some(address) = address {
                wrong.extend(self.verify_contract(kind, address).await.err());
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

    async fn verify_contract(
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
