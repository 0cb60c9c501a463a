//! Accounts with code of their own (EIP-7702): whether a chain has them, and what an account runs.

use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::U64;
use alloy_sol_types::SolCall;
use capstan_base::{Address, U256};
use serde_json::json;

use crate::bindings::abi::SelfBatch;
use crate::bindings::calls::Call;
use crate::client::ChainClient;
use crate::error::{ChainError, RpcError};
use crate::signer::LocalSigner;
use crate::types::GasEstimate;

/// What stands before the address in the code of a delegating account.
const DESIGNATOR: [u8; 3] = [0xef, 0x01, 0x00];

/// 21,000 of a transaction and 25,000 of one authorization (PER_EMPTY_ACCOUNT_COST). A node that does
/// not know the field leaves it out and estimates less.
const LEAST_GAS: u64 = 46_000;

/// Whose code an account runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delegation {
    /// It has no code.
    None,
    /// It has a key, and runs the code at this address.
    To(Address),
    /// It is a contract.
    Contract,
}

impl Delegation {
    fn of_code(code: &[u8]) -> Self {
        match code.strip_prefix(&DESIGNATOR) {
            Some(address) if address.len() == Address::len_bytes() => {
                Self::To(Address::from_slice(address))
            }
            _ if code.is_empty() => Self::None,
            _ => Self::Contract,
        }
    }
}

impl ChainClient {
    /// Whose code the account runs, by the newest block the asked endpoint knows.
    pub async fn delegation(&self, account: Address) -> Result<Delegation, ChainError> {
        Ok(Delegation::of_code(&self.code(account).await?))
    }

    /// True if accounts can delegate to the code at `self_batch` on this chain, as far as the asked
    /// endpoint knows. Asked for an account made up on the spot, so that no authorization that is worth
    /// anything leaves this machine. What lies at the address is for
    /// [`ChainClient::verify_contract`] to say.
    ///
    /// # Errors
    /// No answer. A refusal in whatever words is an answer: then calls are sent one by one, which is
    /// always right.
    pub async fn supports_delegation(&self, self_batch: Address) -> Result<bool, ChainError> {
        let account = LocalSigner::random();
        let authorization = account
            .authorize_own_code(self.chain_id(), self_batch, 0)
            .map_err(|source| ChainError::Signing { chain: self.chain_id(), source })?;
        let data = SelfBatch::executeCall { calls: Vec::new() }.abi_encode().into();
        let call = Call { to: account.address(), value: U256::ZERO, data };
        match self.estimate_delegating(account.address(), &call, &[authorization]).await {
            Ok(GasEstimate::Gas(gas)) => Ok(gas >= LEAST_GAS),
            // The account's new code is not ours.
            Ok(GasEstimate::Revert(_)) => Ok(false),
            Err(ChainError::Rpc { source: RpcError::Refused { .. }, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As [`ChainClient::estimate_gas`], for a transaction that brings authorizations along.
    pub async fn estimate_delegating(
        &self,
        from: Address,
        call: &Call,
        authorizations: &[SignedAuthorization],
    ) -> Result<GasEstimate, ChainError> {
        let request = json!([{
            "from": from, "to": call.to, "value": call.value, "data": call.data,
            "authorizationList": authorizations,
        }]);
        match self.pool.call::<U64>("eth_estimateGas", request).await {
            Ok(gas) => Ok(GasEstimate::Gas(gas.to())),
            Err(RpcError::Refused { revert: Some(data), .. }) => Ok(GasEstimate::Revert(data)),
            Err(error) => Err(self.failed("estimating gas of a delegating transaction", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_tells_a_delegating_account_from_a_contract() {
        let address = Address::repeat_byte(7);
        let designator = [&DESIGNATOR[..], address.as_slice()].concat();
        assert_eq!(Delegation::of_code(&[]), Delegation::None);
        assert_eq!(Delegation::of_code(&designator), Delegation::To(address));
        assert_eq!(Delegation::of_code(&designator[..22]), Delegation::Contract);
        assert_eq!(Delegation::of_code(&[&designator[..], &[0]].concat()), Delegation::Contract);
        assert_eq!(Delegation::of_code(&[0x60]), Delegation::Contract);
    }
}
