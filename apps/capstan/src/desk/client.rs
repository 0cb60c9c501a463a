//! The command's side of a desk.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use capstan_base::{B256, ChainId};
use capstan_chain::LocalSigner;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::{Challenge, MAX_LINE, Reply, Request, Signed, digest};
use crate::wish::Wish;

/// A desk that answers.
pub struct Desk {
    path: std::path::PathBuf,
}

impl Desk {
    /// The desk at this socket, if somebody is there.
    pub async fn find(path: &Path) -> Option<Self> {
        UnixStream::connect(path).await.ok().map(|_| Self { path: path.to_path_buf() })
    }

    /// As [`crate::wish::Outbox::send`], by the process that holds the account.
    pub async fn send(&self, signer: &LocalSigner, wish: Wish) -> Result<B256> {
        let Wish { label, chain_id, call } = wish;
        let (to, value, data) = (call.to, call.value, call.data);
        match self.ask(signer, &Request::Send { label, chain_id, to, value, data }).await? {
            Reply::Sent(tx_hash) => Ok(tx_hash),
            other => unexpected(&other),
        }
    }

    /// As [`crate::wish::Outbox::finish`], by the process that holds the account.
    pub async fn finish(
        &self,
        signer: &LocalSigner,
        chain_id: ChainId,
    ) -> Result<Vec<(String, B256)>> {
        match self.ask(signer, &Request::Finish { chain_id }).await? {
            Reply::Finished(finished) => Ok(finished),
            other => unexpected(&other),
        }
    }

    async fn ask(&self, signer: &LocalSigner, request: &Request) -> Result<Reply> {
        const GONE: &str =
            "the running host did not answer; what it took is stored: run this again";
        let mut stream = BufReader::new(UnixStream::connect(&self.path).await.context(GONE)?);
        let Challenge { challenge } = line(&mut stream).await.context(GONE)?;
        let request = serde_json::to_string(request)?;
        let signature = signer.sign_digest_65(digest(challenge, &request))?;
        let mut text = serde_json::to_string(&Signed { request, signature })?;
        text.push('\n');
        stream.write_all(text.as_bytes()).await.context(GONE)?;
        match line(&mut stream).await.context(GONE)? {
            Reply::Failed(why) => bail!("{why}"),
            reply => Ok(reply),
        }
    }
}

fn unexpected<T>(reply: &Reply) -> Result<T> {
    bail!("the running host is of another version: it answered {reply:?}")
}

/// One line of JSON, of bounded length.
pub(super) async fn line<T: DeserializeOwned>(stream: &mut BufReader<UnixStream>) -> Result<T> {
    let mut text = String::new();
    if stream.take(MAX_LINE).read_line(&mut text).await? == 0 {
        bail!("the other side closed the connection");
    }
    serde_json::from_str(&text).context("not a message of this desk")
}
