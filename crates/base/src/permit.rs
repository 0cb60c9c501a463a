//! EIP-2612 permits: an allowance by signature.

use alloy_primitives::{Address, B256, Keccak256, U256};
use alloy_sol_types::{SolStruct, sol};

sol! {
    /// EIP-2612, section "Specification".
    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

/// Digest that `owner` signs to let `spender` take `value` base units until `deadline` (Unix
/// seconds). The domain separator is read from the token, since names and versions differ.
pub fn digest(
    domain_separator: B256,
    owner: Address,
    spender: Address,
    value: U256,
    nonce: U256,
    deadline: U256,
) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update([0x19, 0x01]);
    hasher.update(domain_separator);
    hasher.update(Permit { owner, spender, value, nonce, deadline }.eip712_hash_struct());
    hasher.finalize()
}
