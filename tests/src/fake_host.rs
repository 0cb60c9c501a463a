//! A host that bills what it did not serve: the session protocol's other side, with one lie in it.

use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::paper::Count;
use crate::renter::MODEL;

/// Tokens it really sends.
pub const SENT: [u32; 5] = [40, 41, 42, 43, 44];

/// What it lies about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// So many more tokens, at the agreed price.
    Tokens(u64),
    /// So much more money for the same tokens, base units.
    Amount(u128),
    /// Another transcript.
    Root,
    /// So many more prompt tokens.
    Prompt(u64),
    /// Chunks that skip a position.
    Gap,
    /// A token the model does not have.
    Token,
}

/// The server.
pub struct FakeHost {
    /// Base URL.
    pub url: String,
    received: Arc<Mutex<Vec<Value>>>,
}

impl FakeHost {
    /// Starts on a free port; `price` is per million tokens, (input, output).
    pub async fn start(host: Address, price: (u128, u128), lie: Lie) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let received: Arc<Mutex<Vec<Value>>> = Arc::default();
        let heard = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(socket) = accept_async(socket).await else { continue };
                tokio::spawn(serve(socket, host, price, lie, Arc::clone(&heard)));
            }
        });
        Self { url, received }
    }

    /// Messages of this type that it got.
    pub fn received(&self, kind: &str) -> usize {
        let received = self.received.lock().expect("messages");
        received.iter().filter(|message| message["type"] == kind).count()
    }
}

async fn serve(
    mut socket: WebSocketStream<TcpStream>,
    host: Address,
    price: (u128, u128),
    lie: Lie,
    heard: Arc<Mutex<Vec<Value>>>,
) {
    let hello = json!({
        "type": "hello", "host": host, "challenge": B256::repeat_byte(1), "window": 32,
        "max_frame_bytes": 1 << 20,
    });
    send(&mut socket, vec![hello]).await;
    while let Some(Ok(Message::Text(text))) = socket.next().await {
        let message: Value = serde_json::from_str(text.as_str()).expect("JSON");
        heard.lock().expect("messages").push(message.clone());
        let frames = match message["type"].as_str() {
            Some("session_init") => vec![json!({
                "type": "session_ready", "chain_id": message["chain_id"],
                "session_id": B256::ZERO, "tokens": 0, "resumed": false,
            })],
            Some("ping") => vec![json!({ "type": "pong" })],
            Some("prompt") => answer(&message, price, lie),
            Some("end") => vec![json!({ "type": "ended", "reason": "end" })],
            _ => Vec::new(),
        };
        send(&mut socket, frames).await;
    }
}

async fn send(socket: &mut WebSocketStream<TcpStream>, frames: Vec<Value>) {
    for mut frame in frames {
        frame["v"] = json!(1);
        let _ = socket.send(Message::text(frame.to_string())).await;
    }
}

fn answer(prompt: &Value, price: (u128, u128), lie: Lie) -> Vec<Value> {
    let request_id = &prompt["request_id"];
    let question = prompt["prompt"]["messages"][0]["content"].as_str().expect("a question");
    let ids = MODEL.encode_chat(&[capstan_model::Message::new("user", question)]).expect("ids");
    let piece = |id| MODEL.tokenizer().piece(id).unwrap_or_default();
    let mut count = Count::default();
    for id in &ids {
        count.input(*id, piece(*id));
    }
    let claimed_prompt = count.input + if let Lie::Prompt(more) = lie { more } else { 0 };
    let mut frames = vec![json!({
        "type": "prompt_accepted", "request_id": request_id, "index": 0,
        "input_tokens": claimed_prompt,
    })];
    for id in SENT {
        let index = count.tokens() + u64::from(lie == Lie::Gap && count.output > 2);
        let sent = if lie == Lie::Token { u32::MAX } else { id };
        frames.push(json!({
            "type": "chunk", "request_id": request_id, "index": index, "ids": [sent], "text": "",
        }));
        count.output(id, piece(id));
    }
    let root = if lie == Lie::Root { B256::repeat_byte(7) } else { count.root() };
    let more = if let Lie::Tokens(more) = lie { more } else { 0 };
    let cost = price.0 * u128::from(count.input) + price.1 * u128::from(count.output + more);
    let amount = cost.div_ceil(1_000_000) + if let Lie::Amount(more) = lie { more } else { 0 };
    frames.push(json!({
        "type": "voucher_request", "amount": amount.to_string(), "tokens": count.tokens() + more,
        "transcript_root": root,
    }));
    frames
}
