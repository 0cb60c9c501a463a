//! An inference server that misbehaves on purpose: each request gets the next scripted answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One answer: status line and type, then pieces with a pause before each.
#[derive(Clone, Debug)]
pub struct Script {
    head: String,
    pieces: Vec<String>,
    pause: Duration,
}

impl Script {
    /// A stream of events; ends without a word unless `[DONE]` is among them.
    pub fn events(events: &[Value]) -> Self {
        let pieces = events.iter().map(|event| match event.as_str() {
            Some(raw) => format!("data: {raw}\n\n"),
            None => format!("data: {event}\n\n"),
        });
        Self {
            head: "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream".to_owned(),
            pieces: pieces.collect(),
            pause: Duration::ZERO,
        }
    }

    /// A page, as a proxy in front of a dead server sends it.
    pub fn page(status: &str) -> Self {
        Self {
            head: format!("HTTP/1.1 {status}\r\ncontent-type: text/html"),
            pieces: vec!["<html><body>data: hello</body></html>\n".to_owned()],
            pause: Duration::ZERO,
        }
    }

    /// The same with a pause before each piece.
    pub fn slowly(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }
}

/// An event with these token ids.
pub fn ids(ids: &[u32]) -> Value {
    json!({ "choices": [{ "index": 0, "text": "?", "token_ids": ids }] })
}

/// The event that ends an answer and states this usage.
pub fn usage(prompt: usize, completion: u64) -> Value {
    json!({
        "choices": [{ "index": 0, "text": "", "token_ids": [], "finish_reason": "stop" }],
        "usage": { "prompt_tokens": prompt, "completion_tokens": completion },
    })
}

/// The server.
pub struct FakeUpstream {
    /// Base URL up to `/v1`.
    pub url: String,
    scripts: Arc<Mutex<VecDeque<Script>>>,
}

impl FakeUpstream {
    /// Starts on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("its address"));
        let scripts: Arc<Mutex<VecDeque<Script>>> = Arc::default();
        let shared = Arc::clone(&scripts);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let script = shared.lock().expect("scripts").pop_front();
                tokio::spawn(answer(
                    socket,
                    script.unwrap_or_else(|| Script::page("404 Not Found")),
                ));
            }
        });
        Self { url, scripts }
    }

    /// What the next request gets.
    pub fn next(&self, script: Script) {
        self.scripts.lock().expect("scripts").push_back(script);
    }
}

async fn answer(mut socket: TcpStream, script: Script) -> std::io::Result<()> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !is_whole(&request) {
        match socket.read(&mut buffer).await? {
            0 => return Ok(()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let head =
        format!("{}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n", script.head);
    socket.write_all(head.as_bytes()).await?;
    for piece in script.pieces {
        tokio::time::sleep(script.pause).await;
        let piece = format!("{:x}\r\n{piece}\r\n", piece.len());
        socket.write_all(piece.as_bytes()).await?;
    }
    socket.write_all(b"0\r\n\r\n").await
}

/// True once headers and the body they announce are there.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.is_none_or(|length| body.len() >= length.trim().parse().expect("a length"))
}
