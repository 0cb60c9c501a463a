//! Has what a call is for happened? Asked of the chain's state, whoever brought it about.

use capstan_base::{Address, SessionTerms};

use crate::bindings::ContractKind;
use crate::bindings::abi::IErc20::IErc20Calls;
use crate::bindings::abi::JobMarketplace::JobMarketplaceCalls as Market;
use crate::bindings::abi::ModelRegistry::ModelRegistryCalls as Models;
use crate::bindings::abi::NodeRegistry::NodeRegistryCalls as Nodes;
use crate::bindings::abi::{IErc20, JobMarketplace, ModelRegistry, NodeRegistry};
use crate::bindings::calls::Call;
use crate::bindings::{amount, canonical};
use crate::client::ChainClient;
use crate::error::ChainError;
use crate::types::{BlockTag, Node, SessionState, SessionStatus};

/// Whether the state that a call is to bring about is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is there, by this call or by another.
    Done,
    /// It is not there at the block asked about; it may have been before, or be later.
    NotDone,
    /// State cannot tell: the call adds to something, as a transfer does, or is not one known here.
    Unknown,
}

impl From<bool> for Effect {
    fn from(done: bool) -> Self {
        if done { Self::Done } else { Self::NotDone }
    }
}

impl ChainClient {
    /// Reads at a block whether the effect of a call by `from` is there, as two endpoints say: see
    /// [`ChainClient::receipts`].
    ///
    /// | call | done once |
    /// |---|---|
    /// | complete, finalize, time out | the session is closed, whatever was paid |
    /// | create, with permit or without | the session was ever opened |
    /// | request a close | the session is closing or closed |
    /// | present a voucher | that much is presented, or settled |
    /// | register a node | `from` is registered |
    /// | start unbonding | `from` is unbonding; unknown if it is not registered |
    /// | cancel unbonding | `from` is registered and not unbonding |
    /// | withdraw the stake | `from` is not registered |
    /// | approve a model | it is approved |
    /// | approve of a token | the allowance is just that; not if some of it was spent since |
    pub async fn effect(
        &self,
        from: Address,
        call: &Call,
        at: BlockTag,
    ) -> Result<Effect, ChainError> {
        let contracts = self.config.contracts.as_ref();
        let is = |kind| contracts.and_then(|ours| ours.of(kind)) == Some(call.to);
        if is(ContractKind::JobMarketplace) {
            self.session_effect(call, at).await
        } else if is(ContractKind::NodeRegistry) {
            self.node_effect(from, call, at).await
        } else if is(ContractKind::ModelRegistry) {
            self.model_effect(call, at).await
        } else {
            self.token_effect(from, call, at).await
        }
    }

    async fn session_effect(&self, call: &Call, at: BlockTag) -> Result<Effect, ChainError> {
        let closed = |state: SessionState| state.status == SessionStatus::Closed;
        let (terms, done): (_, &(dyn Fn(SessionState) -> bool + Sync)) =
            match canonical::<Market>(&call.data) {
                Some(Market::completeSessionJob(asked)) => (asked.completion.terms, &closed),
                Some(Market::finalizeSession(asked)) => (asked.terms, &closed),
                Some(Market::triggerSessionTimeout(asked)) => (asked.terms, &closed),
                Some(Market::createSessionJob(asked)) => (asked.terms, &was_opened),
                Some(Market::createSessionJobWithPermit(asked)) => (asked.terms, &was_opened),
                Some(Market::createSessionJobWithAuthorization(asked)) => {
                    (asked.terms, &was_opened)
                }
                Some(Market::requestSessionClose(asked)) => (asked.terms, &is_ending),
                Some(Market::presentVoucher(asked)) => {
                    return self.presented_effect(asked, at).await;
                }
                _ => return Ok(Effect::Unknown),
            };
        let id = SessionTerms::from(terms).id();
        Ok(done(self.agreed_session(id, at).await?).into())
    }

    async fn presented_effect(
        &self,
        asked: JobMarketplace::presentVoucherCall,
        at: BlockTag,
    ) -> Result<Effect, ChainError> {
        let terms = SessionTerms::from(asked.terms);
        let state = self.agreed_session(terms.id(), at).await?;
        // The contract counts a voucher above the deposit as the whole deposit.
        let total = terms.deposit.checked_add(state.top_up).unwrap_or(terms.deposit);
        let counted = amount(asked.voucher.amount).min(total);
        Ok((is_ending(state) && state.presented >= counted).into())
    }

    async fn node_effect(
        &self,
        host: Address,
        call: &Call,
        at: BlockTag,
    ) -> Result<Effect, ChainError> {
        let registered = |node: Node| node.info_block != 0;
        let done: fn(bool, bool) -> Effect = match canonical::<Nodes>(&call.data) {
            Some(Nodes::registerNode(_)) => |registered, _| registered.into(),
            Some(Nodes::withdrawStake(_)) => |registered, _| (!registered).into(),
            Some(Nodes::cancelUnbonding(_)) => {
                |registered, leaving| (registered && !leaving).into()
            }
            Some(Nodes::startUnbonding(_)) => |registered, leaving| match registered {
                true => leaving.into(),
                // Never there, or gone long ago.
                false => Effect::Unknown,
            },
            _ => return Ok(Effect::Unknown),
        };
        let asked = NodeRegistry::getNodeCall { host };
        let node: Node = self.agreed_view("reading a host", call.to, asked, at).await?.into();
        Ok(done(registered(node), node.unbonds_at.is_some()))
    }

    async fn model_effect(&self, call: &Call, at: BlockTag) -> Result<Effect, ChainError> {
        let Some(Models::approveModel(asked)) = canonical(&call.data) else {
            return Ok(Effect::Unknown);
        };
        let asked = ModelRegistry::isApprovedCall { model: asked.model };
        Ok(self.agreed_view("reading a model", call.to, asked, at).await?.into())
    }

    async fn token_effect(
        &self,
        owner: Address,
        call: &Call,
        at: BlockTag,
    ) -> Result<Effect, ChainError> {
        let Some(IErc20Calls::approve(asked)) = canonical(&call.data) else {
            return Ok(Effect::Unknown);
        };
        let (spender, value) = (asked.spender, asked.value);
        let asked = IErc20::allowanceCall { owner, spender };
        match self.agreed_view("reading an allowance", call.to, asked, at).await {
            Ok(allowance) => Ok((allowance == value).into()),
            // A contract that is no ERC-20: ERC-721 has the same `approve`.
            Err(ChainError::Reverted { .. }) => Ok(Effect::Unknown),
            Err(error) => Err(error),
        }
    }
}

fn was_opened(state: SessionState) -> bool {
    state.status != SessionStatus::None
}

fn is_ending(state: SessionState) -> bool {
    matches!(state.status, SessionStatus::Closing | SessionStatus::Closed)
}
