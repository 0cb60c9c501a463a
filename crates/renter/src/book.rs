//! The renter's book: counts everything it is served, and decides, without IO, what it signs.

use std::sync::Arc;

use capstan_base::tally::TallyState;
use capstan_base::{Amount, B256, ModelId, Price, Receipt, SessionId, Tally, Voucher};
use capstan_model::{Message, Model};
use capstan_wire::openai::Prompt;

/// Why nothing was signed or counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The host asks for more tokens than were received.
    #[error(
        "the host claims {claimed} tokens for {claimed_amount}, this side counted {counted} for \
         {counted_amount}: over-count of {} tokens and {excess_amount} base units",
        claimed.saturating_sub(*counted)
    )]
    OverCount {
        /// Tokens the host claims.
        claimed: u64,
        /// Tokens counted here.
        counted: u64,
        /// What the host wants signed.
        claimed_amount: Amount,
        /// What is owed by this side's count.
        counted_amount: Amount,
        /// The difference.
        excess_amount: Amount,
    },
    /// Counts agree, the transcript does not.
    #[error("the host's transcript root differs from this side's at {tokens} tokens")]
    OtherTranscript {
        /// Tokens at which it was compared.
        tokens: u64,
    },
    /// The voucher would exceed the budget.
    #[error("a voucher over {amount} exceeds the budget of {budget} base units")]
    OverBudget {
        /// What would be signed.
        amount: Amount,
        /// What the user allows.
        budget: Amount,
    },
    /// A token id that the model does not have.
    #[error("the host sent token id {0}, which the model does not have")]
    UnknownToken(u32),
    /// A chunk that does not follow the last one.
    #[error("the host sent tokens from position {index}, expected {expected}")]
    OutOfOrder {
        /// Where the chunk says it begins.
        index: u64,
        /// Tokens counted so far.
        expected: u64,
    },
    /// The host counted another prompt.
    #[error("the host counted {claimed} prompt tokens, this side {counted}")]
    PromptMiscount {
        /// The host's count.
        claimed: u64,
        /// This side's.
        counted: u64,
    },
    /// The host wants to go on from a point this side does not know.
    #[error(
        "the host goes on from token {tokens}, which is neither this side's count nor its newest voucher's"
    )]
    CannotRewind {
        /// Where the host goes on.
        tokens: u64,
    },
    /// Tokens or a prompt that nobody here asked for, or more of them than were asked for.
    #[error("the host sent {tokens} tokens of request {request_id} that were not asked for")]
    Unasked {
        /// Request it names.
        request_id: u64,
        /// Tokens of this message.
        tokens: u64,
    },
    /// The host signed another count than this side's.
    #[error(
        "the host signed a receipt over {amount} base units at {tokens} tokens, which is not what \
         this side counted"
    )]
    OtherReceipt {
        /// What the host says is owed.
        amount: Amount,
        /// Where.
        tokens: u64,
    },
    /// The host signed two receipts that cannot both be true.
    #[error(
        "the host signed two receipts at {tokens} tokens that contradict each other; both are kept"
    )]
    Equivocation {
        /// Where.
        tokens: u64,
    },
    /// The prompt cannot be rendered or holds unknown ids.
    #[error("the prompt cannot be counted: {0}")]
    BadPrompt(String),
}

/// One session's count, its newest voucher's count, and the budget.
#[derive(Clone)]
pub struct Book {
    session_id: SessionId,
    model: Arc<Model>,
    tally: Tally,
    signed: Signed,
    budget: Amount,
}

/// Where the newest voucher stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Signed {
    amount: Amount,
    state: TallyState,
}

impl Book {
    /// A new session. The budget is the most that is ever signed, at most the deposit.
    pub fn new(session_id: SessionId, model: Arc<Model>, price: Price, budget: Amount) -> Self {
        Self { session_id, model, tally: Tally::new(price), signed: Signed::default(), budget }
    }

    /// Goes on from the newest stored voucher and its tally.
    pub fn resume(&mut self, newest: &Voucher, state: TallyState) -> Result<(), Refusal> {
        let tokens = state.frontier.size;
        self.tally = Tally::resume(self.tally.price(), state.clone())
            .map_err(|_| Refusal::CannotRewind { tokens })?;
        self.signed = Signed { amount: newest.amount, state };
        Ok(())
    }

    /// Tokens counted so far, signed for or not.
    pub fn tokens(&self) -> u64 {
        self.tally.tokens()
    }

    /// Signed so far.
    pub fn signed(&self) -> Amount {
        self.signed.amount
    }

    /// Owed by this side's count.
    pub fn owed(&self) -> Amount {
        self.tally.owed().unwrap_or(Amount::MAX)
    }

    /// The most that is ever signed.
    pub fn budget(&self) -> Amount {
        self.budget
    }

    /// The model that counts.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Price of the session.
    pub fn price(&self) -> Price {
        self.tally.price()
    }

    /// The prompt's token ids, exactly as the host must count them.
    pub fn prompt_ids(&self, prompt: &Prompt) -> Result<Vec<u32>, Refusal> {
        let bad = |error: capstan_model::Error| Refusal::BadPrompt(error.to_string());
        match prompt {
            Prompt::Messages(messages) => {
                let messages: Vec<_> = messages
                    .iter()
                    .map(|message| Message::new(&message.role, &message.content))
                    .collect();
                self.model.encode_chat(&messages).map_err(bad)
            }
            Prompt::Text(text) => self.model.encode_text(text).map_err(bad),
            Prompt::Ids(ids) => Ok(ids.clone()),
        }
    }

    /// The host goes on from `tokens`: this side's own count, or its newest voucher's.
    pub fn rewind(&mut self, tokens: u64) -> Result<(), Refusal> {
        if tokens == self.tally.tokens() {
            return Ok(());
        }
        if tokens != self.signed.state.frontier.size {
            return Err(Refusal::CannotRewind { tokens });
        }
        self.tally = Tally::resume(self.tally.price(), self.signed.state.clone())
            .map_err(|_| Refusal::CannotRewind { tokens })?;
        Ok(())
    }

    /// Counts a prompt that the host accepted.
    pub fn count_prompt(&mut self, index: u64, ids: &[u32], claimed: u64) -> Result<(), Refusal> {
        self.expect_index(index)?;
        let counted = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        if claimed != counted {
            return Err(Refusal::PromptMiscount { claimed, counted });
        }
        self.expect_known(ids)?;
        for id in ids {
            let piece = self.model.tokenizer().piece(*id).unwrap_or_default();
            self.tally.push_input(*id, piece);
        }
        Ok(())
    }

    /// Counts generated tokens.
    pub fn count_output(&mut self, index: u64, ids: &[u32]) -> Result<(), Refusal> {
        self.expect_index(index)?;
        self.expect_known(ids)?;
        for id in ids {
            let piece = self.model.tokenizer().piece(*id).unwrap_or_default();
            self.tally.push_output(*id, piece);
        }
        Ok(())
    }

    /// Compares what the host wants signed with this side's count; the voucher to sign and the
    /// tally it states, or why not. Never states more than this side counted.
    pub fn judge(
        &self,
        amount: Amount,
        tokens: u64,
        root: B256,
    ) -> Result<(Voucher, TallyState), Refusal> {
        let own = self
            .tally
            .voucher(self.session_id)
            .map_err(|_| Refusal::OverBudget { amount, budget: self.budget })?;
        if tokens > own.tokens || amount > own.amount {
            return Err(Refusal::OverCount {
                claimed: tokens,
                counted: own.tokens,
                claimed_amount: amount,
                counted_amount: own.amount,
                excess_amount: amount.checked_sub(own.amount).unwrap_or(Amount::ZERO),
            });
        }
        if tokens != own.tokens || amount != own.amount || root != own.transcript_root {
            return Err(Refusal::OtherTranscript { tokens });
        }
        if own.amount > self.budget {
            return Err(Refusal::OverBudget { amount: own.amount, budget: self.budget });
        }
        Ok((own, self.tally.state()))
    }

    /// Compares a receipt with this side's count where it is known: at its end, and at the newest
    /// voucher. A host may say that less is owed than was counted here, and never more.
    pub fn check_receipt(&self, receipt: &Receipt) -> Result<(), Refusal> {
        let place = if receipt.tokens == self.tally.tokens() {
            Some(self.tally.clone())
        } else if receipt.tokens == self.signed.state.frontier.size {
            Tally::resume(self.tally.price(), self.signed.state.clone()).ok()
        } else {
            None
        };
        let agrees = match place {
            Some(own) => {
                receipt.transcript_root == own.root()
                    && own.owed().is_ok_and(|owed| receipt.amount <= owed)
            }
            None => receipt.tokens < self.tally.tokens() && receipt.amount <= self.owed(),
        };
        if agrees {
            return Ok(());
        }
        Err(Refusal::OtherReceipt { amount: receipt.amount, tokens: receipt.tokens })
    }

    /// What this side would sign without being asked: its own count, if it is above the newest
    /// voucher and within the budget.
    pub fn unsigned(&self) -> Option<(Voucher, TallyState)> {
        let own = self.tally.voucher(self.session_id).ok()?;
        let open = own.amount > self.signed.amount && own.amount <= self.budget;
        open.then(|| (own, self.tally.state()))
    }

    /// The voucher is signed and stored.
    pub fn accept(&mut self, voucher: &Voucher, state: TallyState) {
        self.signed = Signed { amount: voucher.amount, state };
    }

    /// The model's id on chain.
    pub fn model_id(&self) -> ModelId {
        ModelId(self.model.id().into())
    }

    /// Every id is looked up before the first one counts: what is refused changes nothing.
    fn expect_known(&self, ids: &[u32]) -> Result<(), Refusal> {
        match ids.iter().find(|id| self.model.tokenizer().piece(**id).is_none()) {
            Some(unknown) => Err(Refusal::UnknownToken(*unknown)),
            None => Ok(()),
        }
    }

    fn expect_index(&self, index: u64) -> Result<(), Refusal> {
        let expected = self.tally.tokens();
        if index == expected { Ok(()) } else { Err(Refusal::OutOfOrder { index, expected }) }
    }
}
