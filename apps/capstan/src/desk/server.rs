//! The host's side of a desk.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use capstan_base::B256;
use capstan_chain::Call;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::client::line;
use super::{Challenge, Reply, Request, Signed, digest};
use crate::wish::{Outbox, Wish};

/// Requests at once: an operator has few hands, and each waits for its transaction.
const AT_ONCE: usize = 16;

/// A peer that connects and asks nothing is let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the desk of an account this process holds, until `stop`.
pub fn serve(path: &Path, outbox: Outbox, stop: CancellationToken) -> Result<()> {
    // Left over from a process that was killed: the account's lock says that none uses it.
    let _ = std::fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen at {}", path.display()))?;
    let (path, places) = (path.to_path_buf(), Arc::new(Semaphore::new(AT_ONCE)));
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = stream else { continue };
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let outbox = outbox.clone();
            tokio::spawn(async move {
                if let Err(error) = answer(stream, &outbox).await {
                    tracing::debug!(error = format!("{error:#}"), "a command left the desk");
                }
                drop(place);
            });
        }
        let _ = std::fs::remove_file(path);
    });
    Ok(())
}

async fn answer(stream: UnixStream, outbox: &Outbox) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let challenge = B256::random();
    say(&mut stream, &Challenge { challenge }).await?;
    let Signed { request, signature } =
        tokio::time::timeout(PATIENCE, line(&mut stream)).await.context("no request came")??;
    let reply = if signature.verify(digest(challenge, &request), outbox.account).is_ok() {
        // A command that was ended waits for nothing, and must not keep its place: what it handed in
        // is stored and sent all the same.
        let outcome = tokio::select! {
            outcome = carry_out(&request, outbox) => outcome,
            () = gone(&mut stream) => bail!("it left before its transaction was final"),
        };
        outcome.unwrap_or_else(|error| Reply::Failed(format!("{error:#}")))
    } else {
        tracing::warn!("a request at the desk is not signed by the account; nothing was done");
        Reply::Failed("the request is not signed by this account's key".to_owned())
    };
    say(&mut stream, &reply).await
}

/// Returns once the other side has closed the connection.
async fn gone(stream: &mut BufReader<UnixStream>) {
    if matches!(stream.fill_buf().await, Ok(more) if !more.is_empty()) {
        // It has more to say, which nobody asked for, and so is there.
        core::future::pending().await
    }
}

async fn carry_out(request: &str, outbox: &Outbox) -> Result<Reply> {
    Ok(match serde_json::from_str(request).context("not a request of this desk")? {
        Request::Finish { chain_id } => Reply::Finished(outbox.finish(chain_id).await?),
        Request::Send { label, chain_id, to, value, data } => {
            tracing::info!(chain_id = chain_id.0, label, "handed in at the desk");
            let call = Call { to, value, data };
            Reply::Sent(outbox.send(Wish { label, chain_id, call }).await?)
        }
    })
}

async fn say(stream: &mut BufReader<UnixStream>, message: &impl serde::Serialize) -> Result<()> {
    let mut text = serde_json::to_string(message)?;
    text.push('\n');
    stream.write_all(text.as_bytes()).await?;
    Ok(())
}
