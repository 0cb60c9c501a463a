//! Calls of view functions, and the reads that are one such call.

use alloy_primitives::U256;
use alloy_sol_types::SolCall;
use capstan_base::{Address, Amount, ModelId};

use crate::bindings::ContractKind;
use crate::bindings::abi::{IErc20, JobMarketplace, ModelRegistry, NodeRegistry};
use crate::client::ChainClient;
use crate::error::ChainError;
use crate::types::{BlockTag, Bytes};

impl ChainClient {
    /// Calls a view function and decodes its answer.
    pub async fn view<C: SolCall>(
        &self,
        operation: &'static str,
        to: Address,
        call: C,
        at: BlockTag,
    ) -> Result<C::Return, ChainError> {
        let answer = self.call(to, call.abi_encode().into(), at).await;
        self.returned::<C>(operation, answer)
    }

    /// The same, as two endpoints answer it: for what something is given up or repeated by.
    pub(super) async fn agreed_view<C: SolCall>(
        &self,
        operation: &'static str,
        to: Address,
        call: C,
        at: BlockTag,
    ) -> Result<C::Return, ChainError> {
        let answer = self.agreed_call(to, call.abi_encode().into(), at).await;
        self.returned::<C>(operation, answer)
    }

    fn returned<C: SolCall>(
        &self,
        operation: &'static str,
        answer: Result<Bytes, ChainError>,
    ) -> Result<C::Return, ChainError> {
        let answer = answer.map_err(|error| match error {
            ChainError::Reverted { chain, reason, data, .. } => {
                ChainError::Reverted { chain, operation, reason, data }
            }
            ChainError::Rpc { chain, source, .. } => ChainError::Rpc { chain, operation, source },
            other => other,
        })?;
        C::abi_decode_returns(&answer).map_err(|error| self.inconsistent(operation, error))
    }

    /// The model registry: as configured, else the one that the node registry asks.
    pub async fn model_registry(&self) -> Result<Address, ChainError> {
        let contracts = self.contracts()?;
        match contracts.of(ContractKind::ModelRegistry) {
            Some(address) => Ok(address),
            None => {
                let call = NodeRegistry::MODELSCall {};
                let at = BlockTag::Latest;
                self.view("reading the model registry", contracts.node_registry, call, at).await
            }
        }
    }

    /// FAB: as configured, else what the node registry takes as stake.
    pub async fn governance_token(&self) -> Result<Address, ChainError> {
        let contracts = self.contracts()?;
        match contracts.of(ContractKind::GovernanceToken) {
            Some(address) => Ok(address),
            None => {
                let call = NodeRegistry::STAKE_TOKENCall {};
                let at = BlockTag::Latest;
                self.view("reading the stake token", contracts.node_registry, call, at).await
            }
        }
    }

    /// ERC-20 balance, base units.
    pub async fn token_balance(
        &self,
        token: Address,
        account: Address,
    ) -> Result<U256, ChainError> {
        let call = IErc20::balanceOfCall { account };
        self.view("reading a token balance", token, call, BlockTag::Latest).await
    }

    /// ERC-20 allowance, base units.
    pub async fn allowance(
        &self,
        token: Address,
        owner: Address,
        spender: Address,
    ) -> Result<U256, ChainError> {
        let call = IErc20::allowanceCall { owner, spender };
        self.view("reading an allowance", token, call, BlockTag::Latest).await
    }

    /// Nonce of the account's next EIP-2612 permit.
    pub async fn permit_nonce(&self, token: Address, owner: Address) -> Result<U256, ChainError> {
        let call = IErc20::noncesCall { owner };
        self.view("reading a permit nonce", token, call, BlockTag::Latest).await
    }

    /// EIP-712 domain separator of a token with permits.
    pub async fn domain_separator(&self, token: Address) -> Result<capstan_base::B256, ChainError> {
        let call = IErc20::DOMAIN_SEPARATORCall {};
        self.view("reading a domain separator", token, call, BlockTag::Latest).await
    }

    /// What the account may withdraw of a token from the ledger.
    pub async fn ledger_balance(
        &self,
        account: Address,
        token: Address,
        at: BlockTag,
    ) -> Result<Amount, ChainError> {
        let call = JobMarketplace::balanceOfCall { account, token };
        let balance = self.view("reading the ledger", self.marketplace()?, call, at).await?;
        Amount::try_from(balance).map_err(|error| self.inconsistent("reading the ledger", error))
    }

    /// Protocol fee of sessions opened now, basis points.
    pub async fn fee_bps(&self) -> Result<u16, ChainError> {
        let call = JobMarketplace::feeBpsCall {};
        self.view("reading the fee", self.marketplace()?, call, BlockTag::Latest).await
    }

    /// True if hosts may offer the model.
    pub async fn is_model_approved(&self, model: ModelId) -> Result<bool, ChainError> {
        let call = ModelRegistry::isApprovedCall { model: model.0 };
        self.view("reading a model", self.model_registry().await?, call, BlockTag::Latest).await
    }
}
