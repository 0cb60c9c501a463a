//! Answers that one endpoint alone is not believed: that something is not there, and numbers that
//! do harm if they are wrong.

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::RpcError;
use crate::rpc::fault::RpcFault;
use crate::rpc::pool::RpcPool;
use crate::rpc::pool::open::{Open, shaped};

/// Endpoints that must say the same before it is believed that something is not there.
const VOICES: usize = 2;

/// How many endpoints stand behind a "there is none".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voices {
    /// One: no other is configured, or no other that is in step answered.
    Single,
    /// Two, both in step with the chain's head.
    Agreed,
}

/// What was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// Some endpoint has it.
    Yes(T),
    /// None that answered has it.
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

impl RpcPool {
    /// Looks for things of which an endpoint may lack some that others have. What any endpoint
    /// shows is there; what is not there, two endpoints in step have to say, as far as two answer.
    /// `read` makes of a result what is looked for, `None` if it is none after all, or says what is
    /// wrong with it: then that endpoint has not answered.
    ///
    /// # Errors
    /// For each request that no endpoint answered, or only such as are not in step, without it.
    pub(crate) async fn find_many<R: DeserializeOwned, T>(
        &self,
        method: &'static str,
        params: Vec<Value>,
        read: impl Fn(usize, R) -> Result<Option<T>, &'static str>,
    ) -> Vec<Result<Found<T>, RpcError>> {
        let mut voices = vec![0_usize; params.len()];
        let mut open = Open::new(method, params);
        for candidate in self.order().await {
            let heard = |index: usize| voices.get(index).copied().unwrap_or(0);
            if candidate.is_last_resort() && open.open().all(|index| heard(index) > 0) {
                break;
            }
            let Some(endpoint) = self.endpoint(candidate) else { continue };
            let wanted = |index| !candidate.has_voice() || heard(index) < VOICES;
            for (index, answer) in open.ask(endpoint, wanted).await {
                let found = answer.and_then(|raw| match shaped::<Option<R>>(&raw)? {
                    Some(result) => read(index, result).map_err(RpcFault::Garbled),
                    None => Ok(None),
                });
                match found {
                    Ok(Some(found)) => open.settle(index, Ok(Found::Yes(found))),
                    Ok(None) if candidate.has_voice() => {
                        if let Some(voices) = voices.get_mut(index) {
                            *voices = voices.saturating_add(1);
                        }
                    }
                    Ok(None) => {
                        let fault = RpcFault::Garbled("is not in step with the others");
                        open.failed(index, endpoint, fault);
                    }
                    Err(fault) => open.failed(index, endpoint, fault),
                }
            }
        }
        for (index, voices) in voices.into_iter().enumerate() {
            let voices = match voices {
                0 => continue,
                1 => Voices::Single,
                _ => Voices::Agreed,
            };
            if open.open().any(|unsettled| unsettled == index) {
                open.settle(index, Ok(Found::No(voices)));
            }
        }
        open.finish(self.all_wrong())
    }

    /// Asks two endpoints in step at once, and further ones while those heard are not `enough`.
    /// Gives at least one answer; the caller makes of them what does least harm.
    ///
    /// # Errors
    /// As [`RpcPool::call`], if no endpoint in step answers and no other does either.
    pub(crate) async fn voices<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
        enough: impl Fn(&[R]) -> bool,
    ) -> Result<Vec<R>, RpcError> {
        let order = self.order().await;
        let mut in_step = order
            .into_iter()
            .filter(|found| found.has_voice() && !found.is_last_resort())
            .filter_map(|candidate| self.endpoint(candidate));
        let mut asked = FuturesUnordered::new();
        let mut answers = Vec::new();
        loop {
            let wanted = match VOICES.saturating_sub(answers.len()) {
                0 if enough(&answers) => break,
                0 => 1,
                more => more,
            };
            while asked.len() < wanted {
                let Some(endpoint) = in_step.next() else { break };
                asked.push(endpoint.ask(method, &params));
            }
            match asked.next().await {
                None => break,
                Some(answer) => {
                    answers.extend(answer.ok().and_then(|raw| shaped::<R>(&raw).ok()));
                }
            }
        }
        drop(asked);
        if answers.is_empty() {
            answers.push(self.call(method, params).await?);
        }
        Ok(answers)
    }
}
