//! Transactions: from fields to bytes that can be broadcast.

use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::TxKind;
use capstan_base::{Address, B256, ChainId, U256};

use crate::bindings::calls::Call;
use crate::error::SignerError;
use crate::fees::Fees;
use crate::signer::LocalSigner;
use crate::types::Bytes;

/// Whom a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxTarget {
    /// An account or contract.
    To(Address),
    /// A new contract; the data is its creation code.
    Create,
}

/// Everything that a transaction says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxFields {
    /// Chain it is valid on, and on no other.
    pub chain_id: ChainId,
    /// Nonce of the sender.
    pub nonce: u64,
    /// For whom.
    pub target: TxTarget,
    /// Wei that goes along.
    pub value: U256,
    /// Calldata or creation code.
    pub data: Bytes,
    /// Gas units at most.
    pub gas_limit: u64,
    /// Price per gas; decides between EIP-1559 and legacy.
    pub fees: Fees,
}

impl TxFields {
    /// The fields of a call.
    pub fn of_call(chain_id: ChainId, nonce: u64, call: &Call, gas_limit: u64, fees: Fees) -> Self {
        let Call { to, value, data } = call.clone();
        Self { chain_id, nonce, target: TxTarget::To(to), value, data, gas_limit, fees }
    }
}

/// A transaction that can be broadcast, EIP-2718 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What it is found by once it is included.
    pub hash: B256,
    /// What is broadcast.
    pub raw: Bytes,
}

impl LocalSigner {
    /// Signs by EIP-1559, or by EIP-155 for [`Fees::Legacy`]. The same fields give the same bytes.
    pub fn sign_transaction(&self, fields: &TxFields) -> Result<SignedTransaction, SignerError> {
        let to = match fields.target {
            TxTarget::To(address) => TxKind::Call(address),
            TxTarget::Create => TxKind::Create,
        };
        let (chain_id, nonce, gas_limit) = (fields.chain_id.0, fields.nonce, fields.gas_limit);
        let (value, input) = (fields.value, fields.data.clone());
        match fields.fees {
            Fees::Eip1559 { max_fee, priority_fee } => self.sign(TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: max_fee,
                max_priority_fee_per_gas: priority_fee,
                to,
                value,
                access_list: Default::default(),
                input,
            }),
            Fees::Legacy { gas_price } => self.sign(TxLegacy {
                chain_id: Some(chain_id),
                nonce,
                gas_price,
                gas_limit,
                to,
                value,
                input,
            }),
        }
    }

    fn sign<T>(&self, transaction: T) -> Result<SignedTransaction, SignerError>
    where
        T: SignableTransaction<alloy_primitives::Signature>,
        alloy_consensus::Signed<T>: Encodable2718,
    {
        let signature = self.sign_digest(transaction.signature_hash())?;
        let signed = transaction.into_signed(signature);
        let raw: Bytes = signed.encoded_2718().into();
        Ok(SignedTransaction { hash: alloy_primitives::keccak256(&raw), raw })
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable};
    use alloy_eips::eip2718::Decodable2718;
    use alloy_primitives::{address, bytes};

    use super::*;

    fn fields(fees: Fees, target: TxTarget) -> TxFields {
        TxFields {
            chain_id: ChainId(84532),
            nonce: 7,
            target,
            value: U256::from(5),
            data: bytes!("c0ffee"),
            gas_limit: 90_000,
            fees,
        }
    }

    #[test]
    fn both_kinds_decode_to_their_fields_and_their_signer() {
        let signer = LocalSigner::random();
        let to = address!("000000000000000000000000000000000000bEEF");
        let fees = [Fees::Eip1559 { max_fee: 30, priority_fee: 2 }, Fees::Legacy { gas_price: 11 }];
        for (fees, target) in
            fees.into_iter().flat_map(|fees| [(fees, TxTarget::To(to)), (fees, TxTarget::Create)])
        {
            let signed = signer.sign_transaction(&fields(fees, target)).unwrap();
            let decoded = TxEnvelope::decode_2718_exact(&signed.raw).unwrap();
            assert_eq!(*decoded.tx_hash(), signed.hash);
            assert_eq!(decoded.recover_signer().unwrap(), signer.address());
            assert_eq!(decoded.chain_id(), Some(84532));
            assert_eq!((decoded.nonce(), decoded.gas_limit()), (7, 90_000));
            assert_eq!(decoded.max_fee_per_gas(), fees.max_fee());
            assert_eq!(decoded.max_priority_fee_per_gas(), fees.priority_fee());
            assert_eq!(decoded.to().is_none(), target == TxTarget::Create);
            assert_eq!(decoded.input(), &bytes!("c0ffee"));
            assert_eq!(decoded.is_legacy(), matches!(fees, Fees::Legacy { .. }));
        }
    }

    #[test]
    fn equal_fields_give_equal_bytes() {
        let signer = LocalSigner::random();
        let fields = fields(Fees::Legacy { gas_price: 1 }, TxTarget::Create);
        assert_eq!(
            signer.sign_transaction(&fields).unwrap(),
            signer.sign_transaction(&fields).unwrap()
        );
    }
}
