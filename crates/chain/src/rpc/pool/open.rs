//! Requests of one method that are not answered yet, while one endpoint after another is asked.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::debug;

use crate::error::RpcError;
use crate::rpc::endpoint::Endpoint;
use crate::rpc::fault::{ErrorObject, RpcFault};

/// Results in the order of the requests.
pub(super) struct Open<T> {
    method: &'static str,
    params: Vec<Value>,
    results: Vec<Option<Result<T, RpcError>>>,
    /// What to say of a request that nobody answers.
    last: Vec<Option<RpcError>>,
}

impl<T> Open<T> {
    pub(super) fn new(method: &'static str, params: Vec<Value>) -> Self {
        let (mut results, last) = (Vec::new(), vec![None; params.len()]);
        results.resize_with(params.len(), || None);
        Self { method, params, results, last }
    }

    /// Asks an endpoint for what is open and wanted of it.
    pub(super) async fn ask(
        &self,
        endpoint: &Endpoint,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<(usize, Result<Box<RawValue>, RpcFault>)> {
        let asked: Vec<_> = self.open().filter(|index| wanted(*index)).collect();
        let params: Vec<_> =
            asked.iter().filter_map(|index| self.params.get(*index).cloned()).collect();
        if params.is_empty() {
            return Vec::new();
        }
        asked.into_iter().zip(endpoint.ask_many(self.method, &params).await).collect()
    }

    /// Places without a result.
    pub(super) fn open(&self) -> impl Iterator<Item = usize> {
        let is_open = |(index, result): (usize, &Option<_>)| result.is_none().then_some(index);
        self.results.iter().enumerate().filter_map(is_open)
    }

    pub(super) fn settle(&mut self, index: usize, result: Result<T, RpcError>) {
        if let Some(place) = self.results.get_mut(index) {
            *place = Some(result);
        }
    }

    /// Keeps the fault as what to say if nobody answers. A revert is an answer at once.
    pub(super) fn failed(&mut self, index: usize, endpoint: &Endpoint, fault: RpcFault) {
        debug!(endpoint = %endpoint.url(), method = self.method, %fault, "not answered");
        let error = match fault {
            RpcFault::Answer(error) => refused(self.method, &error),
            fault => RpcError::Unavailable {
                method: self.method,
                detail: format!("{}: {fault}", endpoint.url()),
            },
        };
        if matches!(&error, RpcError::Refused { revert: Some(_), .. }) {
            return self.settle(index, Err(error));
        }
        let Some(last) = self.last.get_mut(index) else { return };
        // An answer, if only an error, says more than a failure.
        let is_worse = matches!(error, RpcError::Unavailable { .. });
        if !is_worse || matches!(last, None | Some(RpcError::Unavailable { .. })) {
            *last = Some(error);
        }
    }

    /// All results. `instead` is said of what is open, if there is something better to say.
    pub(super) fn finish(self, instead: Option<RpcError>) -> Vec<Result<T, RpcError>> {
        let error =
            |last: Option<RpcError>| Err(instead.clone().or(last).unwrap_or(RpcError::NoEndpoint));
        let results = self.results.into_iter().zip(self.last);
        results.map(|(result, last)| result.unwrap_or_else(|| error(last))).collect()
    }
}

/// A result of the expected shape.
pub(super) fn shaped<R: DeserializeOwned>(raw: &RawValue) -> Result<R, RpcFault> {
    serde_json::from_str(raw.get()).map_err(|_| RpcFault::Garbled("result has an unexpected shape"))
}

fn refused(method: &'static str, error: &ErrorObject) -> RpcError {
    if error.is_too_much(method) {
        return RpcError::TooMuch { method, message: error.shortened() };
    }
    RpcError::Refused {
        method,
        code: error.code,
        message: error.shortened(),
        revert: error.revert(),
    }
}
