//! Numbers and blocks of which several endpoints give their own: the caller makes of them what does
//! least harm.

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::RpcError;
use crate::rpc::pool::RpcPool;
use crate::rpc::pool::open::shaped;

impl RpcPool {
    /// Asks `wanted` endpoints in step at once, and further ones while those heard are not `enough`.
    /// Gives at least one answer; the caller makes of them what does least harm.
    ///
    /// # Errors
    /// As [`RpcPool::call`], if no endpoint in step answers and no other does either.
    pub(crate) async fn voices<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
        wanted: usize,
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
            let wanted = match wanted.saturating_sub(answers.len()) {
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
