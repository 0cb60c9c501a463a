//! The session protocol's documented messages as plain JSON over a WebSocket.

use std::time::Duration;

use alloy_primitives::B256;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::paper::Paper;

/// Longest wait for a frame that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long nothing must come before it counts as silence: many times what a token takes.
const SILENCE: Duration = Duration::from_millis(1000);

/// A connection that has said hello.
pub struct Wire {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The host's first frame.
    pub hello: Value,
}

impl Wire {
    /// Connects to a host's base URL and reads its hello.
    pub async fn connect(url: &str) -> Self {
        let url = format!("{}/v1/ws", url.replacen("http", "ws", 1));
        let (socket, _) = connect_async(url).await.expect("the host takes a connection");
        let mut wire = Self { socket, hello: Value::Null };
        wire.hello = wire.expect("hello").await;
        wire
    }

    /// The challenge to sign.
    pub fn challenge(&self) -> B256 {
        self.hello["challenge"].as_str().expect("a challenge").parse().expect("32 bytes")
    }

    /// Sends a message under the protocol's version.
    pub async fn send(&mut self, mut message: Value) {
        message["v"] = json!(1);
        self.raw(Message::text(message.to_string())).await;
    }

    /// Sends a frame as it is.
    pub async fn raw(&mut self, message: Message) {
        // A host that has closed already says so at the next read.
        let _ = self.socket.send(message).await;
    }

    /// The next frame; `None` once the connection is over.
    pub async fn next(&mut self) -> Option<Value> {
        let next = async {
            loop {
                match self.socket.next().await? {
                    Ok(Message::Text(text)) => {
                        return Some(serde_json::from_str(text.as_str()).expect("a JSON frame"));
                    }
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("a frame in time")
    }

    /// The next frame if one comes before the connection is silent for a while.
    pub async fn next_or_silence(&mut self) -> Option<Value> {
        tokio::time::timeout(SILENCE, self.next()).await.ok().flatten()
    }

    /// The next frame of this type; every other one is passed over.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("over before {kind:?}"));
            if frame["type"] == kind {
                return frame;
            }
            assert!(frame["type"] != "error", "an error before {kind:?}: {frame}");
        }
    }

    /// The code of the next error.
    pub async fn error_code(&mut self) -> String {
        loop {
            let frame = self.next().await.expect("an error before the end");
            if frame["type"] == "error" {
                return frame["error"]["code"].as_str().expect("a code").to_owned();
            }
        }
    }

    /// Attaches to a session.
    pub async fn init(&mut self, paper: &Paper, have: u64) {
        let proof = paper.proof(self.challenge());
        self.send(init(paper, &proof, have)).await;
    }
}

/// A `session_init` with this proof.
pub fn init(paper: &Paper, proof: &str, have: u64) -> Value {
    json!({
        "type": "session_init", "chain_id": paper.chain_id, "terms": paper.terms(),
        "proof": proof, "have": have,
        "price": { "input": paper.price.0.to_string(), "output": paper.price.1.to_string() },
    })
}
