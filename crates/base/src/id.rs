//! Ids: one type per thing that is named.

use core::fmt;
use core::str::FromStr;

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// EIP-155 chain id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(pub u64);

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is not 32 bytes of hex.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 bytes in hex, 0x and 64 digits")]
pub struct ParseIdError;

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub B256);

        impl $name {
            /// First four bytes in hex: enough to tell ids apart in a log line.
            pub fn short(&self) -> String {
                self.0.to_string().chars().take(10).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.parse().map(Self).map_err(|_| ParseIdError)
            }
        }
    };
}

hash_id! {
    /// Hash of a session's terms: `keccak256(abi.encode(terms))`.
    SessionId
}

hash_id! {
    /// SHA-256 of a model's weights file.
    ModelId
}

/// What names a session uniquely in the world: the same terms on two chains are two sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionKey {
    /// Chain the deposit lies on.
    pub chain_id: ChainId,
    /// Marketplace contract that holds it.
    pub marketplace: Address,
    /// Session on that marketplace.
    pub session_id: SessionId,
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.chain_id, self.marketplace, self.session_id)
    }
}
