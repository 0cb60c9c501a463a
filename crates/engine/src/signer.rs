//! The seam to a key, and the adapter for one held in this process.

use core::fmt;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::Encodable2718;
use alloy_primitives::{Bytes, TxKind};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use async_trait::async_trait;
use capstan_base::{Address, B256, ChainId, U256};

/// Fees a transaction offers, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxFees {
    /// EIP-1559, transaction type 2.
    Eip1559 {
        /// Most it pays in all.
        max_fee: u128,
        /// Most of it that goes to the block's producer; no more than `max_fee`.
        priority_fee: u128,
    },
    /// Before EIP-2718, with the chain id of EIP-155.
    Legacy {
        /// What it pays.
        gas_price: u128,
    },
}

impl TxFees {
    /// Most it pays per gas.
    pub const fn max_fee(self) -> u128 {
        match self {
            Self::Eip1559 { max_fee, .. } => max_fee,
            Self::Legacy { gas_price } => gas_price,
        }
    }

    /// Most that goes to the block's producer, if that is said apart.
    pub const fn priority_fee(self) -> Option<u128> {
        match self {
            Self::Eip1559 { priority_fee, .. } => Some(priority_fee),
            Self::Legacy { .. } => None,
        }
    }

    /// From the stored pair.
    pub const fn from_parts(max_fee: u128, priority_fee: Option<u128>) -> Self {
        match priority_fee {
            Some(priority_fee) => Self::Eip1559 { max_fee, priority_fee },
            None => Self::Legacy { gas_price: max_fee },
        }
    }
}

/// A transaction to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedTx {
    /// Chain it is valid on.
    pub chain_id: ChainId,
    /// Sender's nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Fees.
    pub fees: TxFees,
    /// Contract or account called.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
}

/// A signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTx {
    /// EIP-2718 bytes.
    pub raw: Bytes,
    /// Keccak-256 of them.
    pub hash: B256,
}

/// A key could not sign. The text never holds key material.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot sign: {0}")]
pub struct SignerError(pub String);

/// A key that signs transactions of one account. Signing the same transaction twice may give other
/// bytes; the engine stores what it got and never signs again to send again.
#[async_trait]
pub trait LaneSigner: Send + Sync + 'static {
    /// The account.
    fn address(&self) -> Address;
    /// Signs.
    async fn sign(&self, tx: &UnsignedTx) -> Result<SignedTx, SignerError>;
}

/// A key held in this process.
pub struct LocalSigner(PrivateKeySigner);

impl LocalSigner {
    /// Takes the key over.
    pub fn new(key: PrivateKeySigner) -> Self {
        Self(key)
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalSigner").field(&self.0.address()).finish()
    }
}

#[async_trait]
impl LaneSigner for LocalSigner {
    fn address(&self) -> Address {
        self.0.address()
    }

    async fn sign(&self, tx: &UnsignedTx) -> Result<SignedTx, SignerError> {
        let to = TxKind::Call(tx.to);
        let envelope = match tx.fees {
            TxFees::Eip1559 { max_fee, priority_fee } => self.envelope(TxEip1559 {
                chain_id: tx.chain_id.0,
                nonce: tx.nonce,
                gas_limit: tx.gas_limit,
                max_fee_per_gas: max_fee,
                max_priority_fee_per_gas: priority_fee,
                to,
                value: tx.value,
                access_list: Default::default(),
                input: tx.data.clone(),
            }),
            TxFees::Legacy { gas_price } => self.envelope(TxLegacy {
                chain_id: Some(tx.chain_id.0),
                nonce: tx.nonce,
                gas_price,
                gas_limit: tx.gas_limit,
                to,
                value: tx.value,
                input: tx.data.clone(),
            }),
        }?;
        Ok(SignedTx { raw: envelope.encoded_2718().into(), hash: *envelope.tx_hash() })
    }
}

impl LocalSigner {
    fn envelope<T>(&self, tx: T) -> Result<TxEnvelope, SignerError>
    where
        T: SignableTransaction<alloy_primitives::Signature>,
        TxEnvelope: From<alloy_consensus::Signed<T>>,
    {
        let signature = self
            .0
            .sign_hash_sync(&tx.signature_hash())
            .map_err(|error| SignerError(error.to_string()))?;
        Ok(tx.into_signed(signature).into())
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Transaction;
    use alloy_consensus::transaction::SignerRecoverable;
    use alloy_eips::Decodable2718;

    use super::*;

    #[tokio::test]
    async fn both_kinds_decode_to_what_was_signed() {
        let signer = LocalSigner::new(PrivateKeySigner::random());
        for fees in [
            TxFees::Eip1559 { max_fee: 30, priority_fee: 2 },
            TxFees::Legacy { gas_price: 30 },
        ] {
            let tx = UnsignedTx {
                chain_id: ChainId(5611),
                nonce: 7,
                gas_limit: 50_000,
                fees,
                to: Address::repeat_byte(1),
                value: U256::from(9),
                data: vec![1, 2, 3].into(),
            };
            let signed = signer.sign(&tx).await.unwrap();
            assert_eq!(alloy_primitives::keccak256(&signed.raw), signed.hash);
            let envelope = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
            assert_eq!(envelope.recover_signer().unwrap(), signer.address());
            assert_eq!(envelope.chain_id(), Some(5611));
            assert_eq!((envelope.nonce(), envelope.max_fee_per_gas()), (7, 30));
            assert_eq!(envelope.max_priority_fee_per_gas(), fees.priority_fee());
        }
    }

    #[test]
    fn a_signer_prints_no_key() {
        let key = PrivateKeySigner::random();
        let secret = alloy_primitives::hex::encode(key.to_bytes());
        assert!(!format!("{:?}", LocalSigner::new(key)).contains(&secret));
    }
}
