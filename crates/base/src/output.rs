//! What an agent produced, bound to who it is, and who answers for it.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolStruct;
use serde::{Deserialize, Serialize};

use crate::id::ChainId;
use crate::signature::{Signature65, SignatureError};
use crate::sol;
use crate::voucher::domain;

/// Output of one run of an agent. Its actions, if it has any, are signed under its `request_id`, each
/// at most once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentOutput {
    /// Given by what ran the agent; the one thing by which two outputs are told apart.
    pub request_id: U256,
    /// The agent's token in the AgentRegistry.
    pub agent_id: U256,
    /// What it said: JSON, see [`crate::action`].
    pub data: Bytes,
    /// How many executions agreed on it.
    pub executions: u64,
    /// Round of consensus in which they did.
    pub consensus_round: u64,
}

impl AgentOutput {
    /// As the AgentRegistry records it.
    pub fn data_hash(&self) -> B256 {
        keccak256(&self.data)
    }

    /// EIP-712 digest that approvers sign, of
    /// `AgentOutput(uint256 requestId,uint256 agentId,bytes32 dataHash,uint64 executions,uint64 consensusRound)`
    /// in the domain of the AgentRegistry on its chain.
    pub fn digest(&self, chain_id: ChainId, registry: Address) -> B256 {
        let output = sol::AgentOutput {
            requestId: self.request_id,
            agentId: self.agent_id,
            dataHash: self.data_hash(),
            executions: self.executions,
            consensusRound: self.consensus_round,
        };
        output.eip712_signing_hash(&domain(chain_id, registry))
    }
}

/// An output with the signatures of those who approve of it, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedOutput {
    /// The output.
    #[serde(flatten)]
    pub output: AgentOutput,
    /// Over its digest, in any order.
    pub approvals: Vec<Signature65>,
}

impl ApprovedOutput {
    /// Who approved, each named once.
    ///
    /// # Errors
    /// [`SignatureError`] of the first approval that is no signature.
    pub fn approvers(
        &self,
        chain_id: ChainId,
        registry: Address,
    ) -> Result<Vec<Address>, SignatureError> {
        let digest = self.output.digest(chain_id, registry);
        let recover = |approval: &Signature65| {
            let signature = approval.parse()?;
            signature
                .recover_address_from_prehash(&digest)
                .map_err(|_| SignatureError::Unrecoverable)
        };
        let mut approvers =
            self.approvals.iter().map(recover).collect::<Result<Vec<_>, SignatureError>>()?;
        approvers.sort_unstable();
        approvers.dedup();
        Ok(approvers)
    }
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::SigningKey;

    use super::*;

    const CHAIN: ChainId = ChainId(84532);
    const REGISTRY: Address = Address::repeat_byte(0xa9);

    fn output() -> AgentOutput {
        AgentOutput {
            request_id: U256::from(7),
            agent_id: U256::from(9),
            data: Bytes::from_static(b"{}"),
            executions: 3,
            consensus_round: 5,
        }
    }

    fn approved(output: &AgentOutput, seeds: &[u8]) -> ApprovedOutput {
        let digest = output.digest(CHAIN, REGISTRY);
        let approve = |seed: &u8| {
            let key = SigningKey::from_slice(&[*seed; 32]).unwrap();
            let signature = key.sign_prehash_recoverable(digest.as_slice()).unwrap();
            Signature65::from(alloy_primitives::Signature::from(signature))
        };
        let approvals = seeds.iter().map(approve).collect();
        ApprovedOutput { output: output.clone(), approvals }
    }

    #[test]
    fn approvers_are_named_once_whatever_the_order() {
        let one = approved(&output(), &[1, 2, 1]).approvers(CHAIN, REGISTRY).unwrap();
        let other = approved(&output(), &[2, 1]).approvers(CHAIN, REGISTRY).unwrap();
        assert_eq!(one.len(), 2);
        assert_eq!(one, other);
    }

    #[test]
    fn every_part_of_an_output_is_approved() {
        let signed = approved(&output(), &[1]);
        let approver = signed.approvers(CHAIN, REGISTRY).unwrap();
        let changes: [fn(&mut AgentOutput); 5] = [
            |output| output.request_id = U256::from(8),
            |output| output.agent_id = U256::from(8),
            |output| output.data = Bytes::from_static(b"[]"),
            |output| output.executions = 4,
            |output| output.consensus_round = 6,
        ];
        for change in changes {
            let mut changed = signed.clone();
            change(&mut changed.output);
            assert_ne!(changed.approvers(CHAIN, REGISTRY).unwrap(), approver);
        }
        assert_ne!(signed.approvers(ChainId(1), REGISTRY).unwrap(), approver);
        assert_ne!(signed.approvers(CHAIN, Address::ZERO).unwrap(), approver);
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let mut bad = approved(&output(), &[1]);
        bad.approvals.push(Signature65(Bytes::from_static(b"short")));
        assert_eq!(bad.approvers(CHAIN, REGISTRY), Err(SignatureError::Malformed));
    }
}
