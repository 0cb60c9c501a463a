//! JSON-RPC over one WebSocket: requests and their answers by id, and new heads as a hint.
//!
//! ```text
//! exchange ──► Order ──► task of the connection ──► socket
//!          ◄── answer ──┘            └── newHeads ──► hint
//! ```
//!
//! The connection is made when it is first needed and again after it broke; how soon, the health of
//! the endpoint decides. Its task ends with the last handle on it.

use core::fmt;
use core::ops::Range;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::U64;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::rpc::fault::RpcFault;
use crate::rpc::http::{MAX_BODY, Reply};
use crate::rpc::message;
use crate::rpc::url::RpcUrl;

/// Buffer per connection; the library's default is 128 KiB.
const READ_BUFFER: usize = 16 << 10;

/// Requests that wait to be written; more than this only wait elsewhere.
const QUEUE: usize = 64;

/// The subscription's own request; requests of the endpoint have ids from one on.
const SUBSCRIPTION: u64 = 0;

/// What is done with the height of a new head.
pub(crate) type Hint = Arc<dyn Fn(u64) + Send + Sync>;

/// An endpoint's side of its connection.
pub(crate) struct Socket {
    url: RpcUrl,
    hint: Hint,
    connection: Mutex<Option<Connection>>,
}

#[derive(Clone)]
struct Connection {
    orders: mpsc::Sender<Order>,
    /// Messages that came in so far.
    heard: Arc<AtomicU64>,
}

struct Order {
    body: String,
    ids: Range<u64>,
    answer: oneshot::Sender<Vec<u8>>,
}

impl Socket {
    pub(crate) fn new(url: RpcUrl, hint: Hint) -> Self {
        Self { url, hint, connection: Mutex::default() }
    }

    /// Sends a request, or a batch, with these ids, and waits for what answers it.
    pub(crate) async fn exchange(
        &self,
        body: &Value,
        ids: Range<u64>,
        deadline: Duration,
    ) -> Result<Reply, RpcFault> {
        let started = Instant::now();
        let connection = tokio::time::timeout(deadline, self.connected(deadline))
            .await
            .unwrap_or(Err(RpcFault::TimedOut))?;
        let heard = connection.heard.load(Ordering::Relaxed);
        let rest = deadline.saturating_sub(started.elapsed());
        match tokio::time::timeout(rest, connection.ask(body.to_string(), ids)).await {
            Ok(answer) => answer.map(|body| Reply { status: 200, body }),
            Err(_) => {
                // A slow answer is the server's business; a socket without any is no connection.
                if connection.heard.load(Ordering::Relaxed) == heard {
                    self.connection.lock().await.take();
                }
                Err(RpcFault::TimedOut)
            }
        }
    }

    async fn connected(&self, deadline: Duration) -> Result<Connection, RpcFault> {
        let mut place = self.connection.lock().await;
        if let Some(connection) = place.as_ref().filter(|open| !open.orders.is_closed()) {
            return Ok(connection.clone());
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(MAX_BODY))
            .max_frame_size(Some(MAX_BODY));
        // The library's own error may hold the whole URL.
        let (stream, _) = connect_async_with_config(self.url.full().as_str(), Some(config), true)
            .await
            .map_err(|_| RpcFault::Connection("cannot connect"))?;
        let (orders, received) = mpsc::channel(QUEUE);
        let heard = Arc::new(AtomicU64::new(0));
        let task = Task {
            stream,
            waiting: Vec::new(),
            heard: Arc::clone(&heard),
            hint: Arc::clone(&self.hint),
            write_within: deadline,
        };
        tokio::spawn(task.run(received));
        Ok(place.insert(Connection { orders, heard }).clone())
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Connection {
    async fn ask(&self, body: String, ids: Range<u64>) -> Result<Vec<u8>, RpcFault> {
        let broken = |_| RpcFault::Connection("connection broke");
        let (answer, answered) = oneshot::channel();
        let sent = self.orders.send(Order { body, ids, answer }).await;
        sent.map_err(|_| RpcFault::Connection("connection broke"))?;
        answered.await.map_err(broken)
    }
}

/// What runs as long as the connection does.
struct Task {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    waiting: Vec<(Range<u64>, oneshot::Sender<Vec<u8>>)>,
    heard: Arc<AtomicU64>,
    hint: Hint,
    write_within: Duration,
}

impl Task {
    /// Whoever still waits at its end is told so by a dropped channel.
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let heads = message::single(SUBSCRIPTION, "eth_subscribe", &json!(["newHeads"]));
        let mut is_open = self.write(heads.to_string()).await;
        while is_open {
            is_open = tokio::select! {
                order = orders.recv() => match order {
                    Some(Order { body, ids, answer }) => {
                        self.waiting.retain(|(_, waiting)| !waiting.is_closed());
                        self.waiting.push((ids, answer));
                        self.write(body).await
                    }
                    None => false,
                },
                message = self.stream.next() => match message {
                    Some(Ok(Message::Text(text))) => self.deliver(text.as_bytes()),
                    Some(Ok(Message::Binary(bytes))) => self.deliver(&bytes),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => false,
                    Some(Ok(_)) => true,
                },
            };
        }
    }

    async fn write(&mut self, body: String) -> bool {
        let sent = self.stream.send(Message::text(body));
        matches!(tokio::time::timeout(self.write_within, sent).await, Ok(Ok(())))
    }

    fn deliver(&mut self, body: &[u8]) -> bool {
        self.heard.fetch_add(1, Ordering::Relaxed);
        match meaning(body) {
            Meaning::Head(number) => (self.hint)(number),
            Meaning::Answer(id) => {
                if let Some(index) = self.waiting.iter().position(|(ids, _)| ids.contains(&id)) {
                    let _ = self.waiting.swap_remove(index).1.send(body.to_vec());
                }
            }
            // A server that could not read a request cannot name it. Only one can be meant here.
            Meaning::Nameless if self.waiting.len() == 1 => {
                if let Some((_, waiting)) = self.waiting.pop() {
                    let _ = waiting.send(body.to_vec());
                }
            }
            Meaning::Nameless | Meaning::Nothing => {}
        }
        true
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// A new head.
    Head(u64),
    /// An answer, or a batch of them, of which this is one id.
    Answer(u64),
    /// An answer to nobody can tell what.
    Nameless,
    Nothing,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Incoming {
    id: Value,
    params: Option<Notification>,
}

#[derive(Deserialize)]
struct Notification {
    result: Head,
}

#[derive(Deserialize)]
struct Head {
    number: U64,
}

fn meaning(body: &[u8]) -> Meaning {
    let id = |entry: &RawValue| serde_json::from_str::<Incoming>(entry.get()).ok()?.id.as_u64();
    if let Ok(entries) = serde_json::from_slice::<Vec<&RawValue>>(body) {
        let first = entries.into_iter().find_map(id);
        return first.map_or(Meaning::Nameless, Meaning::Answer);
    }
    match serde_json::from_slice::<Incoming>(body) {
        Ok(Incoming { params: Some(Notification { result }), .. }) => {
            Meaning::Head(result.number.to())
        }
        Ok(Incoming { id, .. }) => match id.as_u64() {
            Some(SUBSCRIPTION) => Meaning::Nothing,
            Some(id) => Meaning::Answer(id),
            None => Meaning::Nameless,
        },
        Err(_) => Meaning::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_in_is_told_apart() {
        let check = |body: &str, expected| assert_eq!(meaning(body.as_bytes()), expected, "{body}");
        check(
            r#"{"method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0x1f","hash":"0x0"}}}"#,
            Meaning::Head(31),
        );
        check(r#"{"id":7,"result":null}"#, Meaning::Answer(7));
        check(r#"[{"id":null,"error":{}},{"id":8,"result":"0x"}]"#, Meaning::Answer(8));
        check(r#"{"id":0,"result":"0xsubscription"}"#, Meaning::Nothing);
        check(r#"{"id":null,"error":{"code":-32700}}"#, Meaning::Nameless);
        check("[]", Meaning::Nameless);
        check("<html>", Meaning::Nothing);
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = meaning(&body);
        }
    }
}
