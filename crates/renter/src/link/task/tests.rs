//! Hosts that cheat or fall silent, played over a real socket.

use std::path::Path;
use std::sync::Arc;

use capstan_base::{
    Address, Amount, B256, ChainId, ModelId, Price, SessionKey, SessionTerms, Tally, UnixSeconds,
};
use capstan_chain::LocalSigner;
use capstan_model::Model;
use capstan_store::{NewRental, Store};
use capstan_wire::openai::Prompt;
use capstan_wire::session::{Chunk, Hello, SessionReady, decode, encode};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::answer::FORMER_TOKENS;
use super::*;
use crate::book::Book;
use crate::link::Link;

const RECONNECT_FOR: Duration = Duration::from_millis(200);

fn price() -> Price {
    let one = Amount::new(1_000_000).unwrap();
    Price { input: one, output: one }
}

fn model() -> Arc<Model> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/capstan-tiny.gguf");
    Arc::new(Model::load(file).unwrap())
}

/// Everything a link to this listener needs.
async fn context(listener: &TcpListener) -> (SessionKey, LinkContext) {
    let host_url = format!("http://{}", listener.local_addr().unwrap());
    let signer = Arc::new(LocalSigner::random());
    let terms = SessionTerms {
        host: Address::repeat_byte(1),
        renter: signer.address(),
        token: Address::ZERO,
        deposit: Amount::MAX,
        expiry: UnixSeconds::MAX,
        voucher_key: signer.address(),
        model: ModelId(B256::ZERO),
        salt: B256::ZERO,
    };
    let key = SessionKey {
        chain_id: ChainId(1),
        marketplace: Address::repeat_byte(2),
        session_id: terms.id(),
    };
    let store = Store::open_in_memory().unwrap();
    let rental =
        NewRental { key, terms: terms.clone(), host_url: host_url.clone(), price: price() };
    store.insert_rental(rental, None).await.unwrap();
    let book = Book::new(key.session_id, model(), price(), Amount::MAX);
    let reconnect_for = RECONNECT_FOR;
    (key, LinkContext { key, terms, host_url, signer, store, book, newest: None, reconnect_for })
}

/// A link to a host that is played by the test, once it is attached, and the host's side of it.
async fn attached() -> (Link, WebSocketStream<TcpStream>, SessionKey) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (key, context) = context(&listener).await;
    let link = Link::start(context);
    let (stream, _) = listener.accept().await.unwrap();
    let mut host = tokio_tungstenite::accept_async(stream).await.unwrap();
    let hello = Hello {
        host: Address::repeat_byte(1),
        challenge: B256::ZERO,
        window: 32,
        max_frame_bytes: 1 << 20,
    };
    say(&mut host, FromHost::Hello(hello)).await;
    assert!(matches!(hear(&mut host).await, FromRenter::SessionInit(_)));
    let ready = SessionReady {
        chain_id: key.chain_id,
        session_id: key.session_id,
        tokens: 0,
        resumed: false,
        running: None,
    };
    say(&mut host, FromHost::SessionReady(ready)).await;
    assert!(matches!(hear(&mut host).await, FromRenter::Ping));
    say(&mut host, FromHost::Pong).await;
    link.attached().await.unwrap();
    (link, host, key)
}

async fn say(host: &mut WebSocketStream<TcpStream>, frame: FromHost) {
    // A link that has left is what some tests wait for.
    let _ = host.send(Message::text(encode(&frame))).await;
}

/// The next frame. The socket's own pings come at times of their own, between any two of them.
async fn hear(host: &mut WebSocketStream<TcpStream>) -> FromRenter {
    loop {
        if let Message::Text(text) = host.next().await.unwrap().unwrap() {
            return decode(text.as_str()).unwrap();
        }
    }
}

/// Sends tokens one chunk each, and asks for a voucher over all of them.
async fn bill(
    host: &mut WebSocketStream<TcpStream>,
    key: SessionKey,
    request_id: u64,
    prompt: &[u32],
    tokens: u64,
) {
    let model = model();
    let mut tally = Tally::new(price());
    for id in prompt {
        tally.push_input(*id, model.tokenizer().piece(*id).unwrap());
    }
    for _ in 0..tokens {
        let index = tally.tokens();
        tally.push_output(5, model.tokenizer().piece(5).unwrap());
        let chunk =
            Chunk { request_id, index, ids: vec![5], text: String::new(), logprobs: Vec::new() };
        say(host, FromHost::Chunk(chunk)).await;
    }
    let owed = tally.voucher(key.session_id).unwrap();
    let request = FromHost::VoucherRequest {
        amount: owed.amount,
        tokens: owed.tokens,
        transcript_root: owed.transcript_root,
    };
    say(host, request).await;
}

#[tokio::test]
async fn tokens_that_nobody_asked_for_are_not_paid() {
    let (link, mut host, key) = attached().await;
    bill(&mut host, key, 77, &[], FORMER_TOKENS + 1).await;
    let over = tokio::time::timeout(Duration::from_secs(20), link.over()).await.unwrap();
    assert!(over.to_string().contains("of request 77 that were not asked for"), "{over}");
    assert_eq!(link.status().signed, Amount::ZERO);
}

/// Asks for four tokens after a prompt of three; the request's number, and the answer to come.
async fn ask_for_four(
    link: &Link,
    host: &mut WebSocketStream<TcpStream>,
) -> (u64, tokio::task::JoinHandle<Result<mpsc::Receiver<AnswerEvent>, RenterError>>) {
    let prompt = PromptMessage {
        request_id: 0,
        prompt: Prompt::Ids(vec![1, 2, 3]),
        max_tokens: Some(4),
        temperature: 0.0,
        top_p: 1.0,
        seed: 0,
        stop: Vec::new(),
    };
    let asking = tokio::spawn({
        let link = link.clone();
        async move { link.ask(prompt).await.map(|answer| answer.events) }
    });
    let FromRenter::Prompt(prompt) = hear(host).await else { panic!("no prompt") };
    (prompt.request_id, asking)
}

#[tokio::test]
async fn an_answer_longer_than_was_asked_for_is_not_paid() {
    let (link, mut host, key) = attached().await;
    let (request_id, asking) = ask_for_four(&link, &mut host).await;
    say(&mut host, FromHost::PromptAccepted { request_id, index: 0, input_tokens: 3 }).await;
    let _events = asking.await.unwrap().unwrap();
    bill(&mut host, key, request_id, &[1, 2, 3], 4 + 1).await;
    let over = tokio::time::timeout(Duration::from_secs(20), link.over()).await.unwrap();
    assert!(over.to_string().contains("1 tokens of request"), "{over}");
    assert_eq!(link.status().signed, Amount::ZERO);
}

#[tokio::test]
async fn a_prompt_is_paid_once() {
    let (link, mut host, key) = attached().await;
    let (request_id, asking) = ask_for_four(&link, &mut host).await;
    say(&mut host, FromHost::PromptAccepted { request_id, index: 0, input_tokens: 3 }).await;
    say(&mut host, FromHost::PromptAccepted { request_id, index: 3, input_tokens: 3 }).await;
    let _events = asking.await.unwrap().unwrap();
    bill(&mut host, key, request_id, &[1, 2, 3, 1, 2, 3], 0).await;
    let over = tokio::time::timeout(Duration::from_secs(20), link.over()).await.unwrap();
    assert!(over.to_string().contains("3 tokens of request"), "{over}");
    assert_eq!(link.status().signed, Amount::ZERO);
}

#[tokio::test]
async fn a_host_that_falls_silent_does_not_hold_the_end_up() {
    let (link, _host, _) = attached().await;
    tokio::time::pause();
    // Paused time runs on by itself: an hour is over at once.
    tokio::time::timeout(Duration::from_secs(3600), link.end()).await.unwrap();
}

#[tokio::test]
async fn a_host_that_never_greets_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_, context) = context(&listener).await;
    let link = Link::start(context);
    let (stream, _) = listener.accept().await.unwrap();
    let _silent = tokio_tungstenite::accept_async(stream).await.unwrap();
    tokio::time::pause();
    let over = tokio::time::timeout(Duration::from_secs(3600), link.attached()).await.unwrap();
    over.unwrap_err();
}
