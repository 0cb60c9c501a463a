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
//! | full | `txpool is full`, `account limit exceeded`, `in-flight transaction limit reached ...`, `gapped-nonce tx from delegated accounts` | `txpool is full`, `... exceeds max account slots` | |
//!
//! Nethermind says its own names in one word (`AlreadyKnown`, `OldNonce`, `SenderIsContract`, ...),
//! Erigon `existing tx with same hash` and geth's words else.
//!
//! A code alone is no word about the transaction: -32601 and -32600 are what a provider says of a
//! method that a plan does not include, and -32602 and -32700 have been seen for the same and for
//! bodies that a gateway cut. Our bytes are a transaction, since we encoded them.

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
const KNOWN: [(&str, SendOutcome); 31] = [
    ("already known", SendOutcome::AlreadyKnown),
    ("already imported", SendOutcome::AlreadyKnown),
    ("already exists", SendOutcome::AlreadyKnown),
    ("known transaction", SendOutcome::AlreadyKnown),
    ("already in mempool", SendOutcome::AlreadyKnown),
    ("alreadyknown", SendOutcome::AlreadyKnown),
    ("existing tx with same hash", SendOutcome::AlreadyKnown),
    ("nonce too low", SendOutcome::NonceTooLow),
    ("nonce is too low", SendOutcome::NonceTooLow),
    ("old nonce", SendOutcome::NonceTooLow),
    ("oldnonce", SendOutcome::NonceTooLow),
    ("underpriced", SendOutcome::Underpriced),
    ("gas price too low", SendOutcome::Underpriced),
    ("fee too low", SendOutcome::Underpriced),
    ("feetoolow", SendOutcome::Underpriced),
    ("replacementnotallowed", SendOutcome::Underpriced),
    ("insufficient gas price to replace", SendOutcome::Underpriced),
    ("less than block base fee", SendOutcome::Underpriced),
    ("lower than the block base fee", SendOutcome::Underpriced),
    ("below minimum", SendOutcome::Underpriced),
    ("insufficient funds", SendOutcome::InsufficientFunds),
    ("insufficient balance", SendOutcome::InsufficientFunds),
    ("insufficientfunds", SendOutcome::InsufficientFunds),
    ("txpool is full", SendOutcome::PoolFull),
    ("pool is full", SendOutcome::PoolFull),
    ("account limit exceeded", SendOutcome::PoolFull),
    ("account slots", SendOutcome::PoolFull),
    // A delegated account has one transaction in a pool at a time, and none behind a gap.
    ("in-flight transaction limit", SendOutcome::PoolFull),
    ("gapped-nonce tx from delegated", SendOutcome::PoolFull),
    ("noncegap", SendOutcome::PoolFull),
    ("future transaction tries to replace", SendOutcome::PoolFull),
];

/// Words of refusals that are about the transaction as such, in any state of the chain.
const NEVER: [&str; 21] = [
    "invalid sender",
    "invalid chain id",
    "invalid signature",
    "rlp",
    "failed to decode",
    "odd length",
    "intrinsic gas",
    "gas for floor data",
    "exceeds block gas limit",
    "gas limit too high",
    "gas limit is too high",
    "exceeds max transaction gas limit",
    "gaslimitexceeded",
    "tip above fee cap",
    "max priority fee per gas higher than max fee per gas",
    "exceeds the configured cap",
    "oversized data",
    "sender not an eoa",
    "senderiscontract",
    "type not supported",
    "typenotsupported",
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
        if NEVER.iter().any(|text| words.contains(text)) {
            return Self::Rejected(error.shortened());
        }
        Self::Unknown(error.shortened())
    }
}

/// What one endpoint said of a broadcast, and how much that weighs beside what others said.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) outcome: SendOutcome,
    rank: u8,
}

impl Heard {
    /// It took the bytes.
    pub(crate) fn accepted() -> Self {
        Self::new(SendOutcome::Accepted, 0)
    }

    /// It did not, or said nothing. `rested` if it was down before it was asked.
    pub(crate) fn from_fault(fault: &RpcFault, rested: bool) -> Self {
        let outcome = SendOutcome::from_fault(fault);
        // One that refuses in words nobody knows does not have it; nor does one that was down before,
        // as far as that can ever be told: else a refusal by all that live is never heard.
        let has_not = matches!(fault, RpcFault::Answer(_)) || rested;
        Self::new(outcome, if has_not { 8 } else { 6 })
    }

    /// Nothing is known of it.
    pub(crate) fn nothing(what: &str) -> Self {
        Self::new(SendOutcome::Unknown(what.to_owned()), 6)
    }

    /// Order of trust when endpoints differ. Delivery by one is delivery. A refusal that tells what
    /// to do next beats silence; a refusal for good does not, since the silent one may have it.
    fn new(outcome: SendOutcome, unknown: u8) -> Self {
        let rank = match outcome {
            SendOutcome::Accepted => 0,
            SendOutcome::AlreadyKnown => 1,
            SendOutcome::NonceTooLow => 2,
            SendOutcome::Underpriced => 3,
            SendOutcome::InsufficientFunds => 4,
            SendOutcome::PoolFull => 5,
            SendOutcome::Rejected(_) => 7,
            SendOutcome::Unknown(_) => unknown,
        };
        Self { outcome, rank }
    }

    /// True if it counts before the other.
    pub(crate) fn outranks(&self, other: &Self) -> bool {
        self.rank < other.rank
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
        check(-32000, "AlreadyKnown", SendOutcome::AlreadyKnown);
        check(-32000, "gapped-nonce tx from delegated accounts", SendOutcome::PoolFull);
        for words in [
            "oversized data: transaction size 140000, limit 131072",
            "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)",
            "insufficient gas for floor data gas cost: gas 21000, minimum needed 40000",
            "sender not an eoa: address 0x..",
            "exceeds block gas limit",
            "gas limit is too high",
            "transaction gas limit too high (cap: 16777216, tx: 20000000)",
            "tx gas limit 20000000 exceeds max transaction gas limit 16777216",
            "failed to decode signed transaction",
        ] {
            check(-32000, words, SendOutcome::Rejected(words.to_owned()));
        }
        for (code, words) in [
            (-32601, "the method eth_sendRawTransaction does not exist/is not available"),
            (-32601, "method not whitelisted"),
            (-32600, "your plan does not include this method"),
            (-32602, "invalid params"),
            (-32700, "parse error"),
        ] {
            check(code, words, SendOutcome::Unknown(words.to_owned()));
        }
        check(-32603, "internal error", SendOutcome::Unknown("internal error".to_owned()));
    }
}
