//! Accounts with code of their own (EIP-7702): whether a chain has them, and what an account runs.

use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::U64;
use alloy_sol_types::SolCall;
use capstan_base::{Address, U256};
use serde_json::json;

use crate::bindings::ContractKind;
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

/// PUSH32 of an address, up to the address.
const PUSH_ADDRESS: [u8; 13] = [0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// How the part of the creation code ends that runs only once: a revert of nothing, and INVALID, which
/// solc puts before what is returned.
const CREATION_END: [u8; 4] = [0x5f, 0x80, 0xfd, 0xfe];

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

    /// Checks that the code at an address is that of `SelfBatch` as this build has it, byte for byte: an
    /// account that runs other code is that code's to empty, whatever version it claims to be.
    ///
    /// # Errors
    /// [`ChainError::ContractNotDeployed`], [`ChainError::InterfaceMismatch`], or no answer.
    pub async fn verify_self_batch(&self, address: Address) -> Result<(), ChainError> {
        self.verify_contract(ContractKind::SelfBatch, address).await?;
        if is_self_batch(&self.code(address).await?, address) {
            return Ok(());
        }
        let kind = ContractKind::SelfBatch;
        let (chain, contract) = (self.chain_id(), kind.name());
        let (expected, found) = (kind.interface_version(), None);
        Err(ChainError::InterfaceMismatch { chain, contract, address, expected, found })
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
        }, "latest"]);
        match self.pool.call::<U64>("eth_estimateGas", request).await {
            Ok(gas) => Ok(GasEstimate::Gas(gas.to())),
            Err(RpcError::Refused { revert: Some(data), .. }) => Ok(GasEstimate::Revert(data)),
            Err(error) => Err(self.failed("estimating gas of a delegating transaction", error)),
        }
    }
}

/// The code's only immutable is its own address, which the creation code leaves blank.
fn is_self_batch(code: &[u8], address: Address) -> bool {
    let own = [&PUSH_ADDRESS[..], address.as_slice()].concat();
    let blank = [&PUSH_ADDRESS[..], Address::ZERO.as_slice()].concat();
    let mut code = code.to_vec();
    let places: Vec<usize> = code
        .windows(own.len())
        .enumerate()
        .filter(|(_, at)| *at == own)
        .map(|(at, _)| at)
        .collect();
    for place in places {
        let end = place.saturating_add(own.len());
        if let Some(found) = code.get_mut(place..end) {
            found.copy_from_slice(&blank);
        }
    }
    let creation: &[u8] = &SelfBatch::BYTECODE;
    let end = creation.windows(CREATION_END.len()).position(|at| at == CREATION_END);
    let runtime = end.and_then(|end| creation.get(end.saturating_add(CREATION_END.len())..));
    runtime == Some(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_codes_own_bytes_pass_for_it() {
        let creation = SelfBatch::BYTECODE.to_vec();
        let start = creation.windows(2).position(|at| at == [0xfd, 0xfe]).unwrap() + 2;
        let address = Address::repeat_byte(0x5b);
        let blank = [&PUSH_ADDRESS[..], Address::ZERO.as_slice()].concat();
        let mut runtime = creation[start..].to_vec();
        let place = runtime.windows(blank.len()).position(|at| at == blank).unwrap();
        runtime[place + PUSH_ADDRESS.len()..place + blank.len()].copy_from_slice(&address[..]);
        assert!(is_self_batch(&runtime, address));
        assert!(!is_self_batch(&runtime, Address::repeat_byte(1)), "of another place");
        assert!(!is_self_batch(&runtime[1..], address));
        assert!(!is_self_batch(&[], address));
        for byte in [0, place - 1, runtime.len() - 1] {
            let mut other = runtime.clone();
            other[byte] ^= 1;
            assert!(!is_self_batch(&other, address), "byte {byte}");
        }
    }

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
