//! What a coordinator asks members to sign. Nothing in it is trusted: each member makes the transaction
//! itself, from the output that approvers signed.

use alloy_primitives::keccak256;
use capstan_base::action::{Action, ActionError, ActionFees, parse_output};
use capstan_base::{ApprovedOutput, B256, ChainId, U256, UnsignedTransaction};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::protocol::{ChildPath, MemberIndex};

/// One action of one output, to be signed by these members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignRequest {
    /// What the agent said, with the approvals of it.
    pub output: ApprovedOutput,
    /// Place of the action in it.
    pub action: u32,
    /// Nonce of the agent's account on the action's chain, given by the lane.
    pub nonce: u64,
    /// Price of this transaction, in the kind that the action asks for.
    pub fees: ActionFees,
    /// Epoch of the shares to sign with.
    pub epoch: u64,
    /// Counted up whenever the same is tried again.
    pub attempt: u32,
    /// Who signs: as many as it takes.
    pub signers: Vec<MemberIndex>,
}

/// A request that asks for no transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The output cannot be read, or the action in it.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// The output has fewer actions.
    #[error("output {request_id:#x} has no action {action}")]
    NoSuchAction {
        /// The output.
        request_id: U256,
        /// The place.
        action: u32,
    },
    /// Legacy prices for an EIP-1559 action, or the other way round.
    #[error("action {action} asks for another kind of transaction")]
    OtherKind {
        /// The place.
        action: u32,
    },
}

/// A transaction with what tells it from others of the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// What is signed.
    pub transaction: UnsignedTransaction,
    /// Hash of all of it but its fees: equal for a transaction and its replacements.
    pub call: B256,
    /// Its chain.
    pub chain_id: ChainId,
    /// Wei that goes along.
    pub value: U256,
    /// What was passed over while the action was read.
    pub warnings: Vec<String>,
}

impl SignRequest {
    /// The transaction that is asked for, made from the output and not taken from anybody. The lane's
    /// nonce stands in the place of the agent's, and the engine's fees in the place of the agent's.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn derive(&self) -> Result<Derived, RequestError> {
        let output = &self.output.output;
        let (action, request_id) = (self.action, output.request_id);
        let place = usize::try_from(action).unwrap_or(usize::MAX);
        let parsed = parse_output(&output.data)?
            .into_iter()
            .nth(place)
            .ok_or(RequestError::NoSuchAction { request_id, action })??;
        if core::mem::discriminant(&parsed.action.fees) != core::mem::discriminant(&self.fees) {
            return Err(RequestError::OtherKind { action });
        }
        let asked = Action { nonce: self.nonce, fees: self.fees, ..parsed.action };
        let transaction = asked.transaction().map_err(ActionError::from)?;
        let free = Action { fees: without_price(self.fees), ..asked.clone() };
        let call = keccak256(free.transaction().map_err(ActionError::from)?.preimage());
        let (chain_id, value, warnings) = (asked.chain_id, asked.value, parsed.warnings);
        Ok(Derived { transaction, call, chain_id, value, warnings })
    }

    /// Id of this attempt's ceremony: who takes part in it has the same key, path, request, transaction
    /// and signers, or says something else and is not understood.
    pub fn ceremony_id(&self, epoch: B256, path: &ChildPath, digest: B256) -> [u8; 32] {
        let mut signers: Vec<u8> = self.signers.iter().map(|signer| signer.get()).collect();
        signers.sort_unstable();
        let mut hash = Sha256::new();
        hash.update(b"capstan signing ceremony v1");
        hash.update(epoch);
        hash.update(self.output.output.request_id.to_be_bytes::<32>());
        hash.update(self.action.to_be_bytes());
        hash.update(self.attempt.to_be_bytes());
        hash.update(digest);
        // What has no fixed length, as a digest of its own.
        let children = path.children().iter().flat_map(|child| child.to_be_bytes());
        hash.update(Sha256::digest(children.collect::<Vec<u8>>()));
        hash.update(Sha256::digest(&signers));
        hash.finalize().into()
    }
}

fn without_price(fees: ActionFees) -> ActionFees {
    match fees {
        ActionFees::Legacy { .. } => ActionFees::Legacy { gas_price: 0 },
        ActionFees::Eip2930 { .. } => ActionFees::Eip2930 { gas_price: 0 },
        ActionFees::Eip1559 { .. } => ActionFees::Eip1559 { max_fee: 0, priority_fee: 0 },
    }
}
