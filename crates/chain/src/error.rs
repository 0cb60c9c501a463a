//! What can go wrong, one variant per operation that failed.

use std::path::PathBuf;

use capstan_base::{Address, B256, ChainId};

use crate::types::Bytes;

/// A chain operation that failed. No text in here holds more of a URL than scheme and host.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The chain is unknown here, or it has no contracts configured.
    #[error("chain {chain} is not enabled here; enabled: {enabled}")]
    UnsupportedChain {
        /// As asked for.
        chain: ChainId,
        /// Ids of the enabled chains, comma-separated, or "none".
        enabled: String,
    },
    /// No default was set and more than one chain could be meant.
    #[error("no default chain; name one of: {enabled}")]
    NoDefaultChain {
        /// Ids of the enabled chains, comma-separated, or "none".
        enabled: String,
    },
    /// Nowhere to send a request.
    #[error("no RPC endpoint for chain {chain}")]
    NoRpcEndpoint {
        /// The chain.
        chain: ChainId,
    },
    /// An endpoint serves another chain than configured.
    #[error("{endpoint} serves chain {found}, expected {expected}")]
    WrongChainId {
        /// Scheme and host.
        endpoint: String,
        /// As configured.
        expected: ChainId,
        /// What it answers.
        found: ChainId,
    },
    /// The address is needed and not configured.
    #[error("no address of {contract} is configured for chain {chain}")]
    ContractNotConfigured {
        /// The chain.
        chain: ChainId,
        /// Contract name.
        contract: &'static str,
    },
    /// There is no code at the configured address.
    #[error("{contract} is not deployed on chain {chain}: no code at {address}")]
    ContractNotDeployed {
        /// The chain.
        chain: ChainId,
        /// Contract name.
        contract: &'static str,
        /// As configured.
        address: Address,
    },
    /// Another contract, or another version of it, lives at the address.
    #[error("{address} on chain {chain} is not the {contract} this build knows")]
    InterfaceMismatch {
        /// The chain.
        chain: ChainId,
        /// Contract name.
        contract: &'static str,
        /// As configured.
        address: Address,
        /// Version this build was made for.
        expected: B256,
        /// What the contract answers; `None` if it has no `interfaceVersion`.
        found: Option<B256>,
    },
    /// Our contracts name another one than is configured.
    #[error(
        "{contract} on chain {chain} is configured as {configured}, but the contracts use {found}"
    )]
    WrongContract {
        /// The chain.
        chain: ChainId,
        /// Contract name.
        contract: &'static str,
        /// As configured.
        configured: Address,
        /// As the contract that depends on it says.
        found: Address,
    },
    /// The account cannot pay.
    #[error("insufficient {token} on chain {chain}: {needed} needed, {available} there")]
    InsufficientBalance {
        /// The chain.
        chain: ChainId,
        /// Symbol of the token or coin.
        token: String,
        /// Base units.
        needed: String,
        /// Base units.
        available: String,
    },
    /// The contract refused; its answer, not a failure of the endpoint.
    #[error("{operation} reverted on chain {chain}: {reason}")]
    Reverted {
        /// The chain.
        chain: ChainId,
        /// What was called.
        operation: &'static str,
        /// Custom error with its fields, or the raw data.
        reason: String,
        /// Revert data.
        data: Bytes,
    },
    /// The request could not be answered.
    #[error("{operation} failed on chain {chain}")]
    Rpc {
        /// The chain.
        chain: ChainId,
        /// What was asked.
        operation: &'static str,
        /// Why.
        source: RpcError,
    },
    /// The answer is well-formed and says something that cannot be.
    #[error("{operation} on chain {chain} gave an impossible answer: {detail}")]
    Inconsistent {
        /// The chain.
        chain: ChainId,
        /// What was asked.
        operation: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Endpoints have forgotten what would have to be asked.
    #[error("{operation} on chain {chain} ended at block {oldest}: older state is not kept")]
    HistoryUnavailable {
        /// The chain.
        chain: ChainId,
        /// What was asked.
        operation: &'static str,
        /// Height down to which everything was looked at.
        oldest: u64,
    },
    /// A deployment step failed.
    #[error("deploying {contract} failed on chain {chain}: {reason}")]
    Deployment {
        /// The chain.
        chain: ChainId,
        /// Contract name.
        contract: &'static str,
        /// Why.
        reason: String,
    },
    /// A transaction could not be signed.
    #[error("signing failed for chain {chain}")]
    Signing {
        /// The chain.
        chain: ChainId,
        /// Why.
        source: SignerError,
    },
}

impl ChainError {
    /// True if the same request may succeed later with nothing changed here.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Rpc { source, .. } => source.is_retryable(),
            // Another endpoint, or the same one a block later, may know better.
            Self::Inconsistent { .. } => true,
            _ => false,
        }
    }

    /// Data of a revert, if that is what happened.
    pub fn revert_data(&self) -> Option<&Bytes> {
        match self {
            Self::Reverted { data, .. } => Some(data),
            _ => None,
        }
    }
}

/// A JSON-RPC request without a usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// Every endpoint failed; `detail` is the last failure.
    #[error("no endpoint answered {method}: {detail}")]
    Unavailable {
        /// JSON-RPC method.
        method: &'static str,
        /// Endpoint (scheme and host) and what it did.
        detail: String,
    },
    /// An endpoint answered with an error object.
    #[error("{method} was refused with code {code}: {message}")]
    Refused {
        /// JSON-RPC method.
        method: &'static str,
        /// JSON-RPC error code.
        code: i64,
        /// The server's words, shortened.
        message: String,
        /// Revert data, if it is a revert that carries some.
        revert: Option<Bytes>,
    },
    /// It asked for more blocks or logs than an endpoint gives at once; ask for fewer.
    #[error("{method} asked for too much: {message}")]
    TooMuch {
        /// JSON-RPC method.
        method: &'static str,
        /// The server's words, shortened.
        message: String,
    },
    /// Endpoints that are all in step answered differently, and no two alike.
    #[error("endpoints disagree on {method}")]
    Disagreement {
        /// JSON-RPC method.
        method: &'static str,
    },
    /// One endpoint alone answered, and another that may know otherwise did not.
    #[error("one endpoint alone answered {method}, and no other confirms it yet")]
    Unconfirmed {
        /// JSON-RPC method.
        method: &'static str,
    },
    /// Every endpoint serves another chain.
    #[error("{endpoint} serves chain {found}, expected {expected}")]
    WrongChain {
        /// Scheme and host of the first such endpoint.
        endpoint: String,
        /// As configured.
        expected: ChainId,
        /// What it answers.
        found: ChainId,
    },
    /// The pool has no endpoint at all.
    #[error("no endpoint is configured")]
    NoEndpoint,
}

impl RpcError {
    /// True if the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Disagreement { .. } | Self::Unconfirmed { .. } => true,
            // Codes the JSON-RPC 2.0 specification keeps for requests that are wrong as such.
            Self::Refused { code, revert, .. } => {
                revert.is_none() && !matches!(code, 3 | -32602..=-32600 | -32700)
            }
            Self::TooMuch { .. } | Self::WrongChain { .. } | Self::NoEndpoint => false,
        }
    }
}

/// A key that cannot be had or used. Never holds key or password.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The file cannot be read or written.
    #[error("keystore {path} cannot be accessed", path = path.display())]
    KeystoreFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is a file already, and keys are never overwritten.
    #[error("keystore {path} exists already", path = path.display())]
    KeystoreExists {
        /// The file.
        path: PathBuf,
    },
    /// The password does not open it.
    #[error("wrong password for keystore {path}", path = path.display())]
    WrongPassword {
        /// The file.
        path: PathBuf,
    },
    /// Not a version 3 keystore, or one with parameters that are refused.
    #[error("{path} is not a usable keystore: {reason}", path = path.display())]
    BadKeystore {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The environment variable is not set.
    #[error("environment variable {name} is not set")]
    MissingEnvironment {
        /// Its name.
        name: String,
    },
    /// Not 32 bytes of hex, or zero, or not below the order of the curve.
    #[error("{origin} does not hold a private key: expected 32 bytes in hex")]
    BadKey {
        /// Where it came from: a variable's name or a path.
        origin: String,
    },
    /// The signature could not be made.
    #[error("the digest could not be signed")]
    Sign,
    /// No chain would take the transaction.
    #[error(transparent)]
    Transaction(#[from] capstan_base::TransactionError),
    /// There is no transaction or authorization that says all of this.
    #[error("this cannot be signed: {reason}")]
    Contradiction {
        /// What does not go together.
        reason: &'static str,
    },
}
