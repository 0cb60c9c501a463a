//! One answer in the making: prompt in, tokens out, in steps small enough to interleave.

use std::sync::Arc;

use crate::reference::Sequence;
use crate::sampling::{Sampler, Sampling, logprob};
use crate::{Error, Model};

/// Prompt tokens taken in per step, so that a long prompt does not keep other answers waiting.
const PREFILL_TOKENS: usize = 128;

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GenerationParams {
    /// At most this many tokens.
    pub max_tokens: usize,
    /// How each token is chosen.
    pub sampling: Sampling,
}

/// One generated token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// The bytes it adds to the text, at least one; may begin or end inside a character.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability at temperature 1.
    pub logprob: f32,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model ended its turn, or left it with a control token. That token is not part of the
    /// answer.
    Stop,
    /// The token limit was reached.
    Length,
    /// Prompt and answer fill the model's context.
    Context,
}

/// What one call of [`Generation::advance`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Took in part of the prompt.
    Prefill {
        /// Prompt tokens taken in so far.
        done: usize,
        /// Prompt tokens in all.
        total: usize,
    },
    /// Generated a token.
    Token(Token),
    /// There is nothing more to come; later calls say the same.
    Finished(Finish),
}

/// An answer in the making. As an iterator it yields the tokens and ends at the finish.
#[derive(Debug)]
pub struct Generation {
    model: Arc<Model>,
    sequence: Sequence,
    sampler: Sampler,
    max_tokens: usize,
    prompt: Vec<u32>,
    output: Vec<u32>,
    finish: Option<Finish>,
}

impl Generation {
    /// Prepares an answer; no work is done yet.
    ///
    /// # Errors
    /// [`Error::EmptyPrompt`], [`Error::TokenOutOfRange`], or [`Error::ContextExceeded`] when the
    /// prompt leaves no room for a single token.
    pub fn new(
        model: Arc<Model>,
        prompt: Vec<u32>,
        params: GenerationParams,
    ) -> Result<Self, Error> {
        check_prompt(&model, &prompt)?;
        Ok(Self {
            sequence: model.sequence(),
            sampler: Sampler::new(params.sampling),
            max_tokens: params.max_tokens,
            prompt,
            output: Vec::new(),
            finish: None,
            model,
        })
    }

    /// Does a bounded piece of work: some of the prompt, or one token. What other generations do
    /// in between has no influence.
    ///
    /// # Errors
    /// None is expected after [`Generation::new`] accepted the prompt.
    pub fn advance(&mut self) -> Result<Step, Error> {
        if let Some(finish) = self.finish {
            return Ok(Step::Finished(finish));
        }
        if self.output.len() >= self.max_tokens {
            return Ok(self.end(Finish::Length));
        }
        if self.prompt.len() + self.output.len() >= self.model.context_length() {
            return Ok(self.end(Finish::Context));
        }
        let done = self.sequence.len();
        if done < self.prompt.len() {
            let next = self.prompt.len().min(done + PREFILL_TOKENS);
            self.sequence.feed(&self.prompt[done..next])?;
            return Ok(Step::Prefill { done: next, total: self.prompt.len() });
        }
        if let (Some(last), true) =
            (self.output.last(), done < self.prompt.len() + self.output.len())
        {
            self.sequence.feed(&[*last])?;
        }
        let logits = self.sequence.step();
        let id = self.sampler.choose(logits, self.output.len() as u64);
        let logprob = logprob(logits, id);
        let tokenizer = self.model.tokenizer();
        if tokenizer.ends_answer(id) {
            return Ok(self.end(Finish::Stop));
        }
        self.output.push(id);
        let bytes = tokenizer.visible_piece(id).unwrap_or_default().to_vec();
        Ok(Step::Token(Token { id, bytes, logprob }))
    }

    /// The prompt's ids.
    #[must_use]
    pub fn prompt(&self) -> &[u32] {
        &self.prompt
    }

    /// Ids generated so far.
    #[must_use]
    pub fn output(&self) -> &[u32] {
        &self.output
    }

    /// Why the answer ended, once it has.
    #[must_use]
    pub fn finish(&self) -> Option<Finish> {
        self.finish
    }

    fn end(&mut self, finish: Finish) -> Step {
        self.finish = Some(finish);
        Step::Finished(finish)
    }
}

impl Iterator for Generation {
    type Item = Result<Token, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.advance() {
                Ok(Step::Prefill { .. }) => {}
                Ok(Step::Token(token)) => return Some(Ok(token)),
                Ok(Step::Finished(_)) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Whether a prompt can be answered at all.
pub(crate) fn check_prompt(model: &Model, prompt: &[u32]) -> Result<(), Error> {
    let vocab_size = model.tokenizer().vocab_size();
    if prompt.is_empty() {
        return Err(Error::EmptyPrompt);
    }
    if let Some((index, id)) = prompt.iter().enumerate().find(|(_, id)| **id as usize >= vocab_size)
    {
        return Err(Error::TokenOutOfRange { index, id: *id, vocab_size });
    }
    if prompt.len() >= model.context_length() {
        return Err(Error::ContextExceeded {
            needed: prompt.len() + 1,
            limit: model.context_length(),
        });
    }
    Ok(())
}
