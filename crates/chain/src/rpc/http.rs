//! One exchange over HTTP, with a bounded body and nothing of the URL in its errors.

use core::time::Duration;

use serde_json::Value;

use crate::rpc::fault::RpcFault;
use crate::rpc::url::RpcUrl;

/// A page of logs is the largest answer anything here asks for; more than this is no honest one.
pub(crate) const MAX_BODY: usize = 32 << 20;

/// What came back.
pub(crate) struct Reply {
    /// HTTP status; 200 where the transport has none.
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// What to make of a body that could or could not be read under this status. Some servers put
    /// a JSON-RPC error under an HTTP error status: it says more.
    pub(crate) fn judge<T>(&self, parsed: Result<T, RpcFault>) -> Result<T, RpcFault> {
        let is_success = (200..300).contains(&self.status);
        match parsed {
            Err(RpcFault::Garbled(_)) if !is_success => Err(RpcFault::Status(self.status)),
            Ok(_) | Err(RpcFault::BatchRefused) if self.status >= 500 => {
                Err(RpcFault::Status(self.status))
            }
            parsed => parsed,
        }
    }
}

/// Posts a body and reads what comes back, whatever it is. The caller sets the deadline.
pub(crate) async fn exchange(
    client: &reqwest::Client,
    url: &RpcUrl,
    body: &Value,
) -> Result<Reply, RpcFault> {
    let response = client.post(url.full().clone()).json(body).send().await.map_err(connection)?;
    let status = response.status().as_u16();
    let pause = response
        .headers()
        .get(reqwest::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    if status == 429 {
        return Err(RpcFault::RateLimited(pause));
    }
    Ok(Reply { status, body: read_bounded(response).await? })
}

async fn read_bounded(mut response: reqwest::Response) -> Result<Vec<u8>, RpcFault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(connection)? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            return Err(RpcFault::Garbled("answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The kind of failure only: reqwest's own text holds the whole URL.
fn connection(error: reqwest::Error) -> RpcFault {
    if error.is_timeout() {
        RpcFault::TimedOut
    } else if error.is_connect() {
        RpcFault::Connection("cannot connect")
    } else if error.is_body() || error.is_decode() {
        RpcFault::Connection("answer broke off")
    } else {
        RpcFault::Connection("request failed")
    }
}
