//! Checking somebody else's answer by running the model again.
//!
//! One pass over prompt and answer gives the logits at every position, so the whole answer is
//! checked at the speed of reading, not of writing. Exact, because the engine is: a transcript of
//! this engine either matches on every token or names the first that does not.

use crate::generation::check_prompt;
use crate::sampling::{Sampler, Sampling, logprob};
use crate::{Error, Finish, Model};

/// An answer that this model would not have given, or that could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The first token that differs.
    #[error("token {index} of the answer is {claimed}, the model says {expected}")]
    Mismatch {
        /// Position in the answer, from 0.
        index: usize,
        /// The id in the answer.
        claimed: u32,
        /// The id that the model chooses there.
        expected: u32,
    },
    /// The tokens agree, but the answer could not have ended there for that reason.
    #[error(
        "the answer of {len} tokens did not end by {claimed:?}, the model goes on with {next:?}"
    )]
    Finish {
        /// Tokens in the answer.
        len: usize,
        /// The reason given.
        claimed: Finish,
        /// The next token, if there was room for one.
        next: Option<u32>,
    },
    /// The claim could not be checked at all: not this model's ids, or too long for it.
    #[error("the answer cannot be recomputed")]
    Recompute(#[from] Error),
}

/// What somebody claims a model answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claim<'a> {
    /// Ids of the prompt.
    pub prompt: &'a [u32],
    /// Ids of the answer, without the token that ended it.
    pub output: &'a [u32],
    /// How tokens were chosen.
    pub sampling: Sampling,
    /// Why the answer ended; `None` if it was cut off from outside, which is not checked.
    pub finish: Option<Finish>,
}

/// Checks a greedy answer, without its end.
///
/// # Errors
/// [`AuditError::Mismatch`] with the first wrong token; [`AuditError::Recompute`].
pub fn recompute(model: &Model, prompt_ids: &[u32], output_ids: &[u32]) -> Result<(), AuditError> {
    let sampling = Sampling::greedy();
    check(model, &Claim { prompt: prompt_ids, output: output_ids, sampling, finish: None })
        .map(drop)
}

/// Checks a claim and returns the log-probability of each token of the answer, as
/// [`crate::Token::logprob`] would have given it, bit for bit.
///
/// # Errors
/// [`AuditError::Mismatch`] with the first wrong token, [`AuditError::Finish`] when the answer
/// ended too early or too late, [`AuditError::Recompute`].
pub fn check(model: &Model, claim: &Claim<'_>) -> Result<Vec<f32>, AuditError> {
    check_prompt(model, claim.prompt)?;
    let sampler = Sampler::new(claim.sampling);
    let mut sequence = model.sequence();
    // The last prompt token is fed with the answer: its logits choose the answer's first token.
    let Some((last, before)) = claim.prompt.split_last() else {
        return Err(Error::EmptyPrompt.into());
    };
    sequence.feed(before)?;

    let room = model.context_length().saturating_sub(claim.prompt.len());
    if claim.output.len() > room {
        let needed = claim.prompt.len().saturating_add(claim.output.len());
        return Err(Error::ContextExceeded { needed, limit: model.context_length() }.into());
    }
    let ids: Vec<u32> = [*last].iter().chain(claim.output).copied().collect();
    let mut wrong = None;
    let mut next = None;
    let mut logprobs = Vec::with_capacity(claim.output.len());
    sequence.feed_each(&ids, |position, logits| {
        let index = position + 1 - claim.prompt.len();
        let expected = sampler.choose(logits, index as u64);
        match claim.output.get(index) {
            Some(claimed) if *claimed == expected => logprobs.push(logprob(logits, expected)),
            Some(claimed) => {
                wrong.get_or_insert(AuditError::Mismatch { index, claimed: *claimed, expected });
            }
            None => next = Some(expected),
        }
    })?;
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    let len = claim.output.len();
    let ends = |id: &u32| model.tokenizer().ends_answer(*id);
    if let Some(index) = claim.output.iter().position(ends) {
        // The model ended here; what follows, even if consistent, was never part of the answer.
        return Err(AuditError::Finish {
            len: index,
            claimed: claim.finish.unwrap_or(Finish::Length),
            next: None,
        });
    }
    let possible = match claim.finish {
        None | Some(Finish::Length) => true,
        Some(Finish::Stop) => len < room && next.as_ref().is_some_and(ends),
        Some(Finish::Context) => len == room,
    };
    match claim.finish {
        Some(claimed) if !possible => {
            Err(AuditError::Finish { len, claimed, next: next.filter(|_| len < room) })
        }
        _ => Ok(logprobs),
    }
}
