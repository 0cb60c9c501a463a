//! Answers that one endpoint alone is not believed: what is there, what it says, and that something
//! is not there.

use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::RpcError;
use crate::rpc::endpoint::Question;
use crate::rpc::fault::RpcFault;
use crate::rpc::pool::open::{Open, shaped};
use crate::rpc::pool::tally::{About, Decision, Tally};
use crate::rpc::pool::{RpcPool, VOICES};
use crate::rpc::select::{Candidate, Standing};
use crate::types::Bytes;

/// How many endpoints stand behind a "there is none".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voices {
    /// One: no other is configured.
    Single,
    /// Two, both in step with the chain's head.
    Agreed,
}

/// What was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// It is there. Two endpoints say the same of it, or one if no other answers for long.
    Yes(T),
    /// It is not there.
    No(Voices),
}

impl<T> Found<T> {
    /// It, or `None` however many voices stand behind that.
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Yes(found) => Some(found),
            Self::No(_) => None,
        }
    }
}

/// What running a call gave: a contract's refusal is an answer like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ran<R> {
    Result(R),
    Revert(Bytes),
}

impl RpcPool {
    /// Looks for things of which an endpoint may lack some that others have, or tell otherwise.
    /// `read` makes of a result what is looked for, `None` if it is none after all, or says what is
    /// wrong with it: then that endpoint has not answered. `alike` tells whether two say the same.
    ///
    /// Two endpoints are asked at once, further ones for what those two leave open. Two that say
    /// the same decide. "There is none" counts from endpoints in step alone.
    ///
    /// # Errors
    /// [`RpcError::Disagreement`] if no two say the same. [`RpcError::Unconfirmed`] if one alone
    /// answers although others should: see [`crate::rpc::PoolOptions::silence`]. Else that of the
    /// endpoints, if none answers.
    pub(crate) async fn find_many<R: DeserializeOwned, T>(
        &self,
        method: &'static str,
        params: Vec<Value>,
        read: impl Fn(usize, R) -> Result<Option<T>, &'static str>,
        alike: impl Fn(&T, &T) -> bool,
    ) -> Vec<Result<Found<T>, RpcError>> {
        let read = |index, answer: Result<Box<RawValue>, RpcFault>| {
            let result = answer.and_then(|raw| shaped::<Option<R>>(&raw))?;
            result.map_or(Ok(None), |result| read(index, result).map_err(RpcFault::Garbled))
        };
        self.agree_many(method, params, About::Past, read, alike).await
    }

    /// The same for calls that are run without effect. What two endpoints in step say alike is what
    /// it gives, a revert as well as a result.
    pub(crate) async fn run_many<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Vec<Value>,
        alike: impl Fn(&Ran<R>, &Ran<R>) -> bool,
    ) -> Vec<Result<Ran<R>, RpcError>> {
        let read = |_, answer: Result<Box<RawValue>, RpcFault>| match answer {
            Ok(raw) => Ok(Some(Ran::Result(shaped::<R>(&raw)?))),
            Err(RpcFault::Answer(error)) => match error.revert() {
                Some(data) => Ok(Some(Ran::Revert(data))),
                None => Err(RpcFault::Answer(error)),
            },
            Err(fault) => Err(fault),
        };
        let found = self.agree_many(method, params, About::State, read, alike).await;
        let ran = |found| match found {
            Found::Yes(ran) => Ok(ran),
            Found::No(_) => Err(RpcError::Unconfirmed { method }),
        };
        found.into_iter().map(|found| found.and_then(ran)).collect()
    }

    async fn agree_many<T>(
        &self,
        method: &'static str,
        params: Vec<Value>,
        about: About,
        read: impl Fn(usize, Result<Box<RawValue>, RpcFault>) -> Result<Option<T>, RpcFault>,
        alike: impl Fn(&T, &T) -> bool,
    ) -> Vec<Result<Found<T>, RpcError>> {
        let order = self.order().await;
        let mut tallies: Vec<Tally<T>> = params.iter().map(|_| Tally::default()).collect();
        let question = Question::of(method, &params);
        let mut open = Open::new(method, params);
        for group in groups(&order) {
            let (said, asked) = (&tallies, &open);
            let asks = group.iter().filter_map(|candidate| {
                let endpoint = self.endpoint(*candidate)?;
                let wanted = |index: usize| {
                    said.get(index).is_some_and(|tally| tally.wants(*candidate, about))
                };
                Some(async move { (*candidate, endpoint, asked.ask(endpoint, wanted).await) })
            });
            for (candidate, endpoint, answers) in join_all(asks).await {
                if answers.is_empty() {
                    continue;
                }
                let mut is_silent = false;
                for (index, answer) in answers {
                    let Some(tally) = tallies.get_mut(index) else { continue };
                    let decided = match read(index, answer) {
                        Ok(Some(shown)) => tally.shows(candidate, shown, &alike),
                        Ok(None) if candidate.has_voice() => tally.lacks(candidate),
                        Ok(None) => {
                            let fault = RpcFault::Garbled("is not in step with the others");
                            open.failed(index, endpoint, fault);
                            None
                        }
                        Err(fault) => {
                            is_silent = true;
                            open.failed(index, endpoint, fault);
                            None
                        }
                    };
                    if let Some(found) = decided {
                        open.settle(index, Ok(found));
                    }
                }
                endpoint.heard(question, !is_silent);
            }
            if open.open().next().is_none() {
                break;
            }
        }
        self.note_silent(&order, question);
        for (index, tally) in tallies.into_iter().enumerate() {
            let decision = tally.decide(self.inner.endpoints.len(), |speaker| {
                self.is_awaited(&order, speaker, question)
            });
            let result = match decision {
                Decision::Nobody => continue,
                Decision::Found(found) => Ok(found),
                Decision::Unconfirmed => Err(RpcError::Unconfirmed { method }),
                Decision::Disagreement => Err(RpcError::Disagreement { method }),
            };
            if open.open().any(|unsettled| unsettled == index) {
                open.settle(index, result);
            }
        }
        open.finish(self.all_wrong())
    }

    /// Notes who could not be asked: those that rest, and those of another chain.
    fn note_silent(&self, order: &[Candidate], question: Question) {
        for (index, endpoint) in self.inner.endpoints.iter().enumerate() {
            let place = order.iter().find(|candidate| candidate.index == index);
            if place.is_none() || endpoint.cooling().is_some() {
                endpoint.heard(question, false);
            }
        }
    }

    /// True if there is another endpoint beside the speaker that may yet confirm or deny: one that is
    /// neither behind nor far ahead, and has not been silent to such questions for long.
    fn is_awaited(&self, order: &[Candidate], speaker: usize, question: Question) -> bool {
        self.inner.endpoints.iter().enumerate().any(|(index, endpoint)| {
            let place = order.iter().find(|candidate| candidate.index == index);
            let has_voice = place.is_none_or(Candidate::has_voice);
            index != speaker && has_voice && !endpoint.is_silent_for_long(question)
        })
    }
}

/// The first two that are in step and well together, everybody else alone.
fn groups(order: &[Candidate]) -> Vec<&[Candidate]> {
    let is_good = |found: &&Candidate| found.standing == Standing::InStep && !found.rests;
    let first = order.iter().take_while(is_good).take(VOICES).count();
    let (together, alone) = order.split_at_checked(first).unwrap_or((order, &[]));
    core::iter::once(together).chain(alone.chunks(1)).collect()
}
