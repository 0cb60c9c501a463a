//! Transactions: from fields to bytes that can be broadcast.

use alloy_consensus::{Transaction, TxEip1559, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Decodable2718;
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::TxKind;
use capstan_base::{
    Address, ChainId, SignedTransaction, TransactionError, U256, UnsignedTransaction,
};

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
    /// Code that the sender runs as its own from then on (EIP-7702); the zero address ends that. See
    /// [`LocalSigner::authorize_own_code`].
    pub own_code: Option<Address>,
}

impl TxFields {
    /// The fields of a call.
    pub fn of_call(chain_id: ChainId, nonce: u64, call: &Call, gas_limit: u64, fees: Fees) -> Self {
        let Call { to, value, data } = call.clone();
        let (target, own_code) = (TxTarget::To(to), None);
        Self { chain_id, nonce, target, value, data, gas_limit, fees, own_code }
    }
}

impl Call {
    /// The call that signed EIP-2718 bytes make; `None` for other bytes and for a creation.
    pub fn of_raw(raw: &Bytes) -> Option<Self> {
        let signed = TxEnvelope::decode_2718_exact(raw).ok()?;
        Some(Self { to: signed.to()?, value: signed.value(), data: signed.input().clone() })
    }
}

impl LocalSigner {
    /// Signs by EIP-7702 if the sender's code changes with it, else by EIP-1559, or by EIP-155 for
    /// [`Fees::Legacy`]. The same fields give the same bytes.
    ///
    /// # Errors
    /// [`SignerError::Contradiction`] for a change of code with a legacy price or a new contract.
    pub fn sign_transaction(&self, fields: &TxFields) -> Result<SignedTransaction, SignerError> {
        let to = match fields.target {
            TxTarget::To(address) => TxKind::Call(address),
            TxTarget::Create => TxKind::Create,
        };
        let (chain_id, nonce, gas_limit) = (fields.chain_id.0, fields.nonce, fields.gas_limit);
        let (value, input) = (fields.value, fields.data.clone());
        let access_list = Default::default();
        if let Some(delegate) = fields.own_code {
            let authorization = self.authorize_own_code(fields.chain_id, delegate, nonce)?;
            return self.sign(with_authorization(fields, authorization)?.try_into());
        }
        match fields.fees {
            Fees::Eip1559 { max_fee, priority_fee } => {
                let eip1559 = TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: max_fee,
                    max_priority_fee_per_gas: priority_fee,
                    to,
                    value,
                    access_list,
                    input,
                };
                self.sign(eip1559.try_into())
            }
            Fees::Legacy { gas_price } => {
                let chain_id = Some(chain_id);
                let legacy = TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input };
                self.sign(legacy.try_into())
            }
        }
    }

    /// Permits this account to run the code at `delegate` as its own (EIP-7702), by a transaction
    /// that the account itself sends with `tx_nonce`. The zero address ends it.
    ///
    /// Whoever sees the result can make use of it as soon as the account's nonce is one more than
    /// `tx_nonce`: it goes nowhere but into that transaction and its estimate.
    ///
    /// # Errors
    /// [`SignerError::Contradiction`] for chain 0, which would mean every chain, and for the last of
    /// all nonces.
    pub fn authorize_own_code(
        &self,
        chain_id: ChainId,
        delegate: Address,
        tx_nonce: u64,
    ) -> Result<SignedAuthorization, SignerError> {
        if chain_id.0 == 0 {
            return Err(SignerError::Contradiction { reason: "chain 0 stands for every chain" });
        }
        // The sender's nonce is raised before the authorizations are looked at, and the EIP keeps the
        // last value free.
        let nonce = tx_nonce.checked_add(1).filter(|nonce| *nonce < u64::MAX);
        let nonce = nonce.ok_or(SignerError::Contradiction { reason: "the nonce is too high" })?;
        let authorization =
            Authorization { chain_id: U256::from(chain_id.0), address: delegate, nonce };
        let signature = self.sign_digest(authorization.signature_hash())?;
        Ok(authorization.into_signed(signature))
    }

    fn sign(
        &self,
        transaction: Result<UnsignedTransaction, TransactionError>,
    ) -> Result<SignedTransaction, SignerError> {
        let transaction = transaction?;
        let signature = self.sign_digest(transaction.digest())?;
        transaction.finalize(&signature, self.address).map_err(|_| SignerError::Sign)
    }
}

fn with_authorization(
    fields: &TxFields,
    authorization: SignedAuthorization,
) -> Result<TxEip7702, SignerError> {
    let TxTarget::To(to) = fields.target else {
        return Err(SignerError::Contradiction { reason: "no contract is made by EIP-7702" });
    };
    let Fees::Eip1559 { max_fee, priority_fee } = fields.fees else {
        return Err(SignerError::Contradiction { reason: "EIP-7702 has no legacy price" });
    };
    Ok(TxEip7702 {
        chain_id: fields.chain_id.0,
        nonce: fields.nonce,
        gas_limit: fields.gas_limit,
        max_fee_per_gas: max_fee,
        max_priority_fee_per_gas: priority_fee,
        to,
        value: fields.value,
        access_list: Default::default(),
        authorization_list: vec![authorization],
        input: fields.data.clone(),
    })
}

#[cfg(test)]
mod tests {
    use alloy_consensus::transaction::SignerRecoverable;
    use alloy_primitives::{address, bytes};
    use proptest::prelude::*;

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
            own_code: None,
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
            let call = Call { to, value: U256::from(5), data: bytes!("c0ffee") };
            let is_call = target != TxTarget::Create;
            assert_eq!(Call::of_raw(&signed.raw), is_call.then_some(call));
            assert_eq!(Call::of_raw(&signed.raw.slice(1..)), None);
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

    #[test]
    fn what_eip_7702_cannot_say_is_refused() {
        let signer = LocalSigner::random();
        let to = TxTarget::To(signer.address());
        let fees = Fees::Eip1559 { max_fee: 30, priority_fee: 2 };
        let delegate = Address::repeat_byte(1);
        let refused = |fees, target| {
            let fields = TxFields { own_code: Some(delegate), ..fields(fees, target) };
            signer.sign_transaction(&fields).unwrap_err().to_string()
        };
        assert!(refused(fees, TxTarget::Create).contains("no contract"));
        assert!(refused(Fees::Legacy { gas_price: 1 }, to).contains("legacy price"));
        assert!(signer.authorize_own_code(ChainId(0), delegate, 7).is_err());
        assert!(signer.authorize_own_code(ChainId(1), delegate, u64::MAX).is_err());
        assert!(signer.authorize_own_code(ChainId(1), delegate, u64::MAX - 1).is_err());
        assert!(signer.authorize_own_code(ChainId(1), delegate, u64::MAX - 2).is_ok());
    }

    proptest! {
        #[test]
        fn an_own_authorization_decodes_to_its_fields_and_both_signers(
            chain in 1..=u64::MAX, nonce in 0..u64::MAX - 2, delegate: [u8; 20], to: [u8; 20],
            value: u128, data: Vec<u8>, gas_limit: u64, max_fee: u128, priority_fee: u128,
        ) {
            let signer = LocalSigner::random();
            let (chain_id, delegate) = (ChainId(chain), Address::from(delegate));
            let value = U256::from(value);
            let call = Call { to: to.into(), value, data: data.into() };
            let priority_fee = priority_fee.min(max_fee);
            let fees = Fees::Eip1559 { max_fee, priority_fee };
            let fields = TxFields::of_call(chain_id, nonce, &call, gas_limit, fees);
            let fields = TxFields { own_code: Some(delegate), ..fields };
            let signed = signer.sign_transaction(&fields).unwrap();

            prop_assert_eq!(signed.raw.first(), Some(&4));
            let decoded = TxEnvelope::decode_2718_exact(&signed.raw).unwrap();
            prop_assert_eq!(*decoded.tx_hash(), signed.hash);
            prop_assert_eq!(decoded.recover_signer().unwrap(), signer.address());
            prop_assert_eq!(decoded.chain_id(), Some(chain));
            prop_assert_eq!((decoded.nonce(), decoded.gas_limit()), (nonce, gas_limit));
            prop_assert_eq!(decoded.max_fee_per_gas(), max_fee);
            prop_assert_eq!(decoded.max_priority_fee_per_gas(), Some(priority_fee));
            prop_assert_eq!((decoded.to(), decoded.value()), (Some(call.to), value));
            prop_assert_eq!(decoded.input(), &call.data);
            prop_assert_eq!(Call::of_raw(&signed.raw), Some(call));
            let listed = decoded.authorization_list().unwrap();
            let [own] = listed else { panic!("{listed:?}") };
            prop_assert_eq!(own.recover_authority().unwrap(), signer.address());
            prop_assert_eq!((own.address, own.nonce), (delegate, nonce + 1));
            prop_assert_eq!(own.chain_id, U256::from(chain));
        }
    }
}
