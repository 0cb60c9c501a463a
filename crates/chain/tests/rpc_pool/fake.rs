//! An endpoint that does as it is told: JSON-RPC over as much of HTTP/1.1 as the pool's client needs.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capstan_chain::RpcUrl;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const CHAIN: u64 = 84_532;

/// What an endpoint says to a request. `ID` in a raw body becomes the request's id.
pub(crate) enum Say {
    Result(Value),
    Error(i64, &'static str),
    Raw(u16, String),
}

/// What it does with the answers to a batch.
pub(crate) type OnBatch = fn(Vec<Value>) -> (u16, Value);

type Behave = Box<dyn Fn(&str, &Value) -> Option<Say> + Send + Sync>;

pub(crate) struct State {
    behave: Behave,
    on_batch: Mutex<OnBatch>,
    delay: Duration,
    pub(crate) chain: AtomicU64,
    pub(crate) head: AtomicU64,
    asked: AtomicUsize,
    batches: AtomicUsize,
    /// Parameters of single and batched requests, in the order they came.
    seen: Mutex<Vec<Value>>,
}

/// Chain id and head are its own; anything else is "0x1" unless `behave` says otherwise.
pub(crate) struct Fake {
    pub(crate) url: RpcUrl,
    pub(crate) state: Arc<State>,
}

impl Fake {
    pub(crate) async fn start(
        behave: impl Fn(&str, &Value) -> Option<Say> + Send + Sync + 'static,
    ) -> Self {
        Self::slow(Duration::ZERO, behave).await
    }

    /// Takes its time for everything but chain id and head.
    pub(crate) async fn slow(
        delay: Duration,
        behave: impl Fn(&str, &Value) -> Option<Say> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v2/APIKEY", listener.local_addr().unwrap());
        let state = Arc::new(State {
            behave: Box::new(behave),
            on_batch: Mutex::new(|answers| (200, json!(answers))),
            delay,
            chain: AtomicU64::new(CHAIN),
            head: AtomicU64::new(100),
            asked: AtomicUsize::new(0),
            batches: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url: url.parse().unwrap(), state }
    }

    /// The same to everything but chain id and head.
    pub(crate) async fn answering(status: u16, body: &'static str) -> Self {
        Self::start(move |method, _| (!is_look(method)).then(|| Say::Raw(status, body.to_owned())))
            .await
    }

    /// A result to everything but chain id and head.
    pub(crate) async fn knowing(result: Value) -> Self {
        Self::start(move |method, _| (!is_look(method)).then(|| Say::Result(result.clone()))).await
    }

    pub(crate) fn on_batch(self, on_batch: OnBatch) -> Self {
        *self.state.on_batch.lock().unwrap() = on_batch;
        self
    }

    pub(crate) fn at(self, head: u64) -> Self {
        self.set_head(head);
        self
    }

    pub(crate) fn set_head(&self, head: u64) {
        self.state.head.store(head, Ordering::SeqCst);
    }

    /// Requests so far, each of a batch counted, looks at chain id and head not.
    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn batches(&self) -> usize {
        self.state.batches.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> Vec<Value> {
        self.state.seen.lock().unwrap().clone()
    }
}

pub(crate) fn is_look(method: &str) -> bool {
    matches!(method, "eth_chainId" | "eth_blockNumber")
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let Some(request) = read_request(&mut stream).await else { return };
    let (status, body) = match &request {
        Value::Array(requests) => {
            state.batches.fetch_add(1, Ordering::SeqCst);
            let mut answers = Vec::new();
            for request in requests {
                let (_, body) = answer(&state, request).await;
                answers.push(serde_json::from_str(&body).unwrap_or(json!("garbled")));
            }
            let on_batch = *state.on_batch.lock().unwrap();
            let (status, body) = on_batch(answers);
            (status, body.to_string())
        }
        request => answer(&state, request).await,
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n");
    // A client that gave up is no fault of the server.
    let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes()).await;
}

async fn answer(state: &State, request: &Value) -> (u16, String) {
    let (method, id) = (request["method"].as_str().unwrap(), &request["id"]);
    let said = (state.behave)(method, &request["params"]).unwrap_or_else(|| {
        let number = match method {
            "eth_chainId" => state.chain.load(Ordering::SeqCst),
            "eth_blockNumber" => state.head.load(Ordering::SeqCst),
            _ => 1,
        };
        Say::Result(json!(format!("{number:#x}")))
    });
    if !is_look(method) {
        state.asked.fetch_add(1, Ordering::SeqCst);
        state.seen.lock().unwrap().push(request["params"].clone());
        tokio::time::sleep(state.delay).await;
    }
    match said {
        Say::Result(result) => (200, json!({ "id": id, "result": result }).to_string()),
        Say::Error(code, message) => {
            (200, json!({ "id": id, "error": { "code": code, "message": message } }).to_string())
        }
        Say::Raw(status, body) => (status, body.replace("ID", &id.to_string())),
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        if let Some(request) = body.and_then(|body| serde_json::from_str(body).ok()) {
            return Some(request);
        }
    }
}
