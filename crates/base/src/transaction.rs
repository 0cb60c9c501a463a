//! EVM transactions: the preimage that is signed and the raw bytes that are broadcast.
//!
//! The encodings are alloy's. What this adds is a closed set of kinds, each valid on one chain alone,
//! and a signature that is checked against the account before raw bytes come into being.

use alloy_consensus::{
    EthereumTypedTransaction, SignableTransaction, Transaction, TxEip1559, TxEip2930, TxEip4844,
    TxEip7702, TxLegacy,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, U256, keccak256};

use crate::id::ChainId;
use crate::signature::{SignatureError, recoverable};

type Typed = EthereumTypedTransaction<TxEip4844>;

/// A transaction that can be broadcast, EIP-2718 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What it is found by once it is included.
    pub hash: B256,
    /// What is broadcast.
    pub raw: Bytes,
}

/// A transaction without its signature: legacy with a chain (EIP-155), EIP-2930, EIP-1559 or EIP-7702.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedTransaction(Typed);

/// Fields that contradict each other: every chain would refuse the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// It would be valid on every chain.
    #[error("transaction names no chain, so it could be replayed on any")]
    NoChain,
    /// EIP-1559 wants the maximum to cover the priority fee.
    #[error("priority fee {priority_fee} is above the maximum fee {max_fee}")]
    PriorityAboveMaximum {
        /// Wei per gas for the block's producer.
        priority_fee: u128,
        /// Wei per gas in all.
        max_fee: u128,
    },
    /// EIP-7702 refuses an empty list.
    #[error("an EIP-7702 transaction authorizes nothing")]
    NoAuthorization,
    /// EIP-2681 keeps the last nonce free.
    #[error("nonce is the last of all, which no transaction may have")]
    LastNonce,
}

impl UnsignedTransaction {
    /// Its chain.
    pub fn chain_id(&self) -> ChainId {
        ChainId(self.0.chain_id().unwrap_or_default())
    }

    /// The fields.
    pub fn fields(&self) -> &impl Transaction {
        &self.0
    }

    /// The bytes whose keccak is signed: for the typed kinds the type and the list, for EIP-155 the
    /// list with chain id and two zeros.
    pub fn preimage(&self) -> Vec<u8> {
        self.0.encoded_for_signing()
    }

    /// Keccak of the preimage: what is signed.
    pub fn digest(&self) -> B256 {
        keccak256(self.preimage())
    }

    /// The raw transaction, if `signature` is `signer`'s. Gives the same bytes whether the signature
    /// comes with high or low s and with the right recovery id or a wrong one.
    ///
    /// # Errors
    /// What [`recoverable`] says of the signature.
    pub fn finalize(
        &self,
        signature: &Signature,
        signer: Address,
    ) -> Result<SignedTransaction, SignatureError> {
        self.finalize_without_recovery_id(signature.r(), signature.s(), signer)
    }

    /// The same for a protocol that gives r and s alone.
    ///
    /// # Errors
    /// What [`recoverable`] says of the signature.
    pub fn finalize_without_recovery_id(
        &self,
        r: U256,
        s: U256,
        signer: Address,
    ) -> Result<SignedTransaction, SignatureError> {
        let signature = recoverable(self.digest(), r, s, signer)?;
        let raw: Bytes = self.0.clone().into_envelope(signature).encoded_2718().into();
        Ok(SignedTransaction { hash: keccak256(&raw), raw })
    }

    fn check(self) -> Result<Self, TransactionError> {
        if self.0.chain_id().is_none_or(|chain| chain == 0) {
            return Err(TransactionError::NoChain);
        }
        if self.0.nonce() == u64::MAX {
            return Err(TransactionError::LastNonce);
        }
        let max_fee = self.0.max_fee_per_gas();
        if let Some(priority_fee) = self.0.max_priority_fee_per_gas().filter(|fee| *fee > max_fee) {
            return Err(TransactionError::PriorityAboveMaximum { priority_fee, max_fee });
        }
        if self.0.authorization_list().is_some_and(<[_]>::is_empty) {
            return Err(TransactionError::NoAuthorization);
        }
        Ok(self)
    }
}

impl TryFrom<TxLegacy> for UnsignedTransaction {
    type Error = TransactionError;
    fn try_from(transaction: TxLegacy) -> Result<Self, TransactionError> {
        Self(transaction.into()).check()
    }
}

impl TryFrom<TxEip2930> for UnsignedTransaction {
    type Error = TransactionError;
    fn try_from(transaction: TxEip2930) -> Result<Self, TransactionError> {
        Self(transaction.into()).check()
    }
}

impl TryFrom<TxEip1559> for UnsignedTransaction {
    type Error = TransactionError;
    fn try_from(transaction: TxEip1559) -> Result<Self, TransactionError> {
        Self(transaction.into()).check()
    }
}

impl TryFrom<TxEip7702> for UnsignedTransaction {
    type Error = TransactionError;
    fn try_from(transaction: TxEip7702) -> Result<Self, TransactionError> {
        Self(transaction.into()).check()
    }
}
