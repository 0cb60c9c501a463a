//! What nodes mean when they answer a raw transaction: the one place that reads their words.
//!
//! JSON-RPC has no codes for these cases. Known texts, lower case, and who says them:
//!
//! | meaning | geth, op-geth, bsc | reth | anvil |
//! |---|---|---|---|
//! | already known | `already known` | `already known` | `transaction already imported` |
//! | nonce too low | `nonce too low: ...` | `nonce too low` | `nonce too low` |
//! | underpriced | `replacement transaction underpriced`, `transaction underpriced`, `max fee per gas less than block base fee` | same | same |
//! | poor | `insufficient funds for gas * price + value: ...` | same | `Insufficient funds ...` |
//! | full | `txpool is full`, `account limit exceeded`, `in-flight transaction limit reached ...` | `txpool is full`, `... exceeds max account slots` | |

use crate::rpc::fault::RpcFault;

/// What became of one broadcast. Only [`SendOutcome::Rejected`] says that these bytes can never be
/// mined, and even then only as far as the asked endpoints know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// An endpoint took it.
    Accepted,
    /// An endpoint has it already, in its pool or in a block.
    AlreadyKnown,
    /// The account's nonce is past it: one of this nonce was mined, this or another.
    NonceTooLow,
    /// The fee is below what replaces the pool's transaction of this nonce, or below the base fee
    /// or the endpoint's own minimum.
    Underpriced,
    /// The account cannot pay value and gas.
    InsufficientFunds,
    /// The pool, or the account's share of it, is full.
    PoolFull,
    /// It is not valid on this chain at all; the endpoint's words.
    Rejected(String),
    /// No usable answer: it may or may not be on its way.
    Unknown(String),
}

/// First match wins; "replacement transaction underpriced" and the like come before the general.
const KNOWN: [(&str, SendOutcome); 22] = [
    ("already known", SendOutcome::AlreadyKnown),
    ("already imported", SendOutcome::AlreadyKnown),
    ("already exists", SendOutcome::AlreadyKnown),
    ("known transaction", SendOutcome::AlreadyKnown),
    ("already in mempool", SendOutcome::AlreadyKnown),
    ("nonce too low", SendOutcome::NonceTooLow),
    ("nonce is too low", SendOutcome::NonceTooLow),
    ("old nonce", SendOutcome::NonceTooLow),
    ("underpriced", SendOutcome::Underpriced),
    ("gas price too low", SendOutcome::Underpriced),
    ("fee too low", SendOutcome::Underpriced),
    ("less than block base fee", SendOutcome::Underpriced),
    ("lower than the block base fee", SendOutcome::Underpriced),
    ("below minimum", SendOutcome::Underpriced),
    ("insufficient funds", SendOutcome::InsufficientFunds),
    ("insufficient balance", SendOutcome::InsufficientFunds),
    ("txpool is full", SendOutcome::PoolFull),
    ("pool is full", SendOutcome::PoolFull),
    ("account limit exceeded", SendOutcome::PoolFull),
    ("account slots", SendOutcome::PoolFull),
    ("in-flight transaction limit", SendOutcome::PoolFull),
    ("future transaction tries to replace", SendOutcome::PoolFull),
];

/// Words of refusals that are about the transaction as such, in any state of the chain.
const NEVER: [&str; 9] = [
    "invalid sender",
    "invalid chain id",
    "invalid signature",
    "rlp",
    "intrinsic gas",
    "exceeds block gas limit",
    "gas limit too high",
    "tip above fee cap",
    "type not supported",
];

impl SendOutcome {
    /// True if some endpoint holds the transaction.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Accepted | Self::AlreadyKnown)
    }

    pub(crate) fn from_fault(fault: &RpcFault) -> Self {
        let RpcFault::Answer(error) = fault else {
            return Self::Unknown(fault.to_string());
        };
        let words = error.message.to_lowercase();
        if let Some((_, outcome)) = KNOWN.iter().find(|(text, _)| words.contains(text)) {
            return outcome.clone();
        }
        let malformed = matches!(error.code, -32602..=-32600 | -32700);
        if malformed || NEVER.iter().any(|text| words.contains(text)) {
            return Self::Rejected(error.shortened());
        }
        Self::Unknown(error.shortened())
    }

    /// Order of trust when endpoints differ. Delivery by one is delivery. A refusal that tells what
    /// to do next beats silence; a refusal for good does not, since the silent one may have it.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::AlreadyKnown => 1,
            Self::NonceTooLow => 2,
            Self::Underpriced => 3,
            Self::InsufficientFunds => 4,
            Self::PoolFull => 5,
            Self::Unknown(_) => 6,
            Self::Rejected(_) => 7,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::fault::ErrorObject;

    #[test]
    fn the_words_of_each_node_are_understood() {
        let check = |code, message: &str, expected: SendOutcome| {
            let object = ErrorObject { code, message: message.to_owned(), data: None };
            assert_eq!(SendOutcome::from_fault(&RpcFault::Answer(object)), expected, "{message}");
        };
        check(-32000, "already known", SendOutcome::AlreadyKnown);
        check(-32003, "transaction already imported", SendOutcome::AlreadyKnown);
        check(-32000, "nonce too low: next nonce 5, tx nonce 4", SendOutcome::NonceTooLow);
        check(-32003, "nonce too low", SendOutcome::NonceTooLow);
        check(-32000, "replacement transaction underpriced", SendOutcome::Underpriced);
        check(
            -32000,
            "max fee per gas less than block base fee: address 0x.., maxFeePerGas: 1, baseFee: 7",
            SendOutcome::Underpriced,
        );
        check(
            -32000,
            "insufficient funds for gas * price + value: balance 0, tx cost 1",
            SendOutcome::InsufficientFunds,
        );
        check(-32003, "Insufficient funds for gas * price + value", SendOutcome::InsufficientFunds);
        check(-32000, "txpool is full", SendOutcome::PoolFull);
        check(
            -32000,
            "in-flight transaction limit reached for delegated accounts",
            SendOutcome::PoolFull,
        );
        check(-32000, "invalid sender", SendOutcome::Rejected("invalid sender".to_owned()));
        check(-32602, "odd length", SendOutcome::Rejected("odd length".to_owned()));
        check(-32603, "internal error", SendOutcome::Unknown("internal error".to_owned()));
    }
}
