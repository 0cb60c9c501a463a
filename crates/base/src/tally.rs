//! The tally: what one session has used so far. Host and renter each keep one and must agree.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use crate::amount::{Amount, AmountError};
use crate::id::SessionId;
use crate::price::Price;
use crate::transcript::{Frontier, Transcript};
use crate::voucher::Voucher;

/// Running totals of a session at a fixed price. Pushing the same tokens in the same order gives
/// the same tally on both sides, and from it the same voucher, bit for bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    price: Price,
    input: u64,
    output: u64,
    transcript: Transcript,
}

/// A tally as it is stored and sent: enough to go on, and to check against a voucher.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TallyState {
    /// Prompt tokens.
    pub input: u64,
    /// Generated tokens.
    pub output: u64,
    /// Transcript over both.
    pub frontier: Frontier,
}

/// A tally state that contradicts itself or its voucher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TallyError {
    /// Input and output do not add up to the transcript's size, or the frontier is torn.
    #[error("input and output do not add up to the transcript")]
    Inconsistent,
    /// The cost does not fit an amount.
    #[error("cost of the session is out of range")]
    Cost(#[from] AmountError),
}

impl Tally {
    /// Nothing used yet.
    pub fn new(price: Price) -> Self {
        Self { price, input: 0, output: 0, transcript: Transcript::new() }
    }

    /// Goes on from a stored or received state.
    pub fn resume(price: Price, state: TallyState) -> Result<Self, TallyError> {
        if state.input.checked_add(state.output) != Some(state.frontier.size) {
            return Err(TallyError::Inconsistent);
        }
        let transcript =
            Transcript::resume(state.frontier).map_err(|_| TallyError::Inconsistent)?;
        let tally = Self { price, input: state.input, output: state.output, transcript };
        tally.owed()?;
        Ok(tally)
    }

    /// Counts one prompt token with its exact bytes.
    pub fn push_input(&mut self, token: u32, text: &[u8]) {
        self.transcript.push(token, text);
        self.input = self.input.saturating_add(1);
    }

    /// Counts one generated token with its exact bytes.
    pub fn push_output(&mut self, token: u32, text: &[u8]) {
        self.transcript.push(token, text);
        self.output = self.output.saturating_add(1);
    }

    /// Cost of everything so far.
    pub fn owed(&self) -> Result<Amount, AmountError> {
        self.price.cost_rounded_up(self.input, self.output)
    }

    /// What would be owed after `input` and `output` more tokens.
    pub fn owed_after(&self, input: u64, output: u64) -> Result<Amount, AmountError> {
        let input = self.input.checked_add(input).ok_or(AmountError::TooLarge)?;
        let output = self.output.checked_add(output).ok_or(AmountError::TooLarge)?;
        self.price.cost_rounded_up(input, output)
    }

    /// Tokens so far, input and output.
    pub fn tokens(&self) -> u64 {
        self.transcript.size()
    }

    /// Prompt tokens so far.
    pub fn input(&self) -> u64 {
        self.input
    }

    /// Generated tokens so far.
    pub fn output(&self) -> u64 {
        self.output
    }

    /// Price of the session.
    pub fn price(&self) -> Price {
        self.price
    }

    /// Transcript root so far.
    pub fn root(&self) -> B256 {
        self.transcript.root()
    }

    /// State to store or send.
    pub fn state(&self) -> TallyState {
        TallyState {
            input: self.input,
            output: self.output,
            frontier: self.transcript.frontier().clone(),
        }
    }

    /// The voucher that states exactly this tally.
    pub fn voucher(&self, session_id: SessionId) -> Result<Voucher, AmountError> {
        Ok(Voucher {
            session_id,
            amount: self.owed()?,
            tokens: self.tokens(),
            transcript_root: self.root(),
        })
    }
}
