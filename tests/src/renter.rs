//! A renter by hand: counts what it is served, and signs for exactly that.

use std::sync::{Arc, LazyLock};

use capstan_model::Model;
use serde_json::{Value, json};

use crate::paper::{Count, Paper};
use crate::socket::Wire;
use crate::tools;

/// The project's model, for its vocabulary alone.
pub static MODEL: LazyLock<Arc<Model>> =
    LazyLock::new(|| Arc::new(Model::load(tools::model()).expect("the model loads")));

/// How an answer came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// `stop`, `length`, …
    pub reason: String,
    /// Its text.
    pub text: String,
    /// Tokens generated for it.
    pub output: u64,
}

/// A renter with its own count.
pub struct Renter {
    /// Its connection.
    pub wire: Wire,
    /// Its session.
    pub paper: Paper,
    /// What it counted.
    pub count: Count,
    /// Amount and tokens of its newest voucher.
    pub signed: (u128, u64),
    /// Furthest that the host served beyond the newest voucher.
    pub furthest: u64,
    prompt: Vec<u32>,
    requests: u64,
}

impl Renter {
    /// Connects and attaches to a session just opened.
    pub async fn attach(url: &str, paper: &Paper) -> Self {
        let mut renter = Self {
            wire: Wire::connect(url).await,
            paper: paper.clone(),
            count: Count::default(),
            signed: (0, 0),
            furthest: 0,
            prompt: Vec::new(),
            requests: 0,
        };
        renter.wire.init(paper, 0).await;
        let ready = renter.wire.expect("session_ready").await;
        assert_eq!(ready["session_id"], json!(paper.id()));
        renter
    }

    /// Leaves without a word and comes back on a fresh connection; gives `session_ready`.
    pub async fn come_back(&mut self, url: &str) -> Value {
        self.wire = Wire::connect(url).await;
        self.wire.init(&self.paper, self.count.tokens()).await;
        self.wire.expect("session_ready").await
    }

    /// Asks a question as a chat; `max` bounds the answer.
    pub async fn ask(&mut self, question: &str, max: u64) {
        let message = capstan_model::Message::new("user", question);
        let ids = MODEL.encode_chat(&[message]).expect("a prompt");
        let prompt = json!({ "messages": [{ "role": "user", "content": question }] });
        self.ask_as(ids, prompt, max).await;
    }

    /// Asks with token ids as they stand.
    pub async fn ask_ids(&mut self, ids: Vec<u32>, max: u64) {
        let prompt = json!({ "ids": ids });
        self.ask_as(ids, prompt, max).await;
    }

    async fn ask_as(&mut self, ids: Vec<u32>, prompt: Value, max: u64) {
        self.requests += 1;
        self.prompt = ids;
        let request = json!({
            "type": "prompt", "request_id": self.requests, "prompt": prompt, "max_tokens": max,
        });
        self.wire.send(request).await;
    }

    /// Counts a frame. Gives the voucher that a request for one deserves: over exactly what was
    /// counted here.
    pub fn count_frame(&mut self, frame: &Value) -> Option<Value> {
        match frame["type"].as_str().expect("a type") {
            "prompt_accepted" => {
                assert_eq!(frame["index"], json!(self.count.tokens()), "{frame}");
                assert_eq!(frame["input_tokens"], json!(self.prompt.len()), "{frame}");
                for id in self.prompt.clone() {
                    self.count.input(id, MODEL.tokenizer().piece(id).expect("a known token"));
                }
            }
            "chunk" => {
                assert_eq!(frame["index"], json!(self.count.tokens()), "{frame}");
                for id in frame["ids"].as_array().expect("ids") {
                    let id = u32::try_from(id.as_u64().expect("an id")).expect("an id");
                    self.count.output(id, MODEL.tokenizer().piece(id).expect("a known token"));
                }
                self.furthest = self.furthest.max(self.count.tokens() - self.signed.1);
            }
            "voucher_request" => {
                let amount = self.owed();
                assert_eq!(frame["amount"], json!(amount.to_string()), "the host's sum");
                assert_eq!(frame["tokens"], json!(self.count.tokens()), "the host's count");
                assert_eq!(frame["transcript_root"], json!(self.count.root()), "the host's root");
                return Some(self.statement());
            }
            _ => {}
        }
        None
    }

    /// Owed for everything counted.
    pub fn owed(&self) -> u128 {
        self.paper.cost(self.count.input, self.count.output)
    }

    /// A voucher over everything counted.
    pub fn statement(&self) -> Value {
        self.paper.voucher(self.owed(), self.count.tokens(), self.count.root())
    }

    /// Sends the voucher over everything counted.
    pub async fn pay(&mut self) {
        let voucher = self.statement();
        self.signed = (self.owed(), self.count.tokens());
        self.send_voucher(voucher).await;
    }

    /// Sends any voucher.
    pub async fn send_voucher(&mut self, mut voucher: Value) {
        voucher["type"] = json!("voucher");
        self.wire.send(voucher).await;
    }

    /// Pays as asked until the answer ends and everything is accepted.
    pub async fn to_end(&mut self) -> Finished {
        let (mut finished, mut text) = (None, String::new());
        let mut accepted = 0;
        loop {
            if let Some(done) = &finished
                && accepted == self.count.tokens()
            {
                return Finished { text, ..Finished::clone(done) };
            }
            let frame = self.wire.next().await.expect("the answer's end");
            assert!(frame["type"] != "error", "{frame}");
            if self.count_frame(&frame).is_some() {
                self.pay().await;
            }
            match frame["type"].as_str().expect("a type") {
                "chunk" => text.push_str(frame["text"].as_str().expect("text")),
                "voucher_accepted" => accepted = frame["tokens"].as_u64().expect("a count"),
                "finished" => {
                    finished = Some(Finished {
                        reason: frame["reason"].as_str().expect("a reason").to_owned(),
                        text: String::new(),
                        output: frame["output_tokens"].as_u64().expect("a count"),
                    });
                }
                _ => {}
            }
        }
    }

    /// Reads without paying until nothing more comes.
    pub async fn to_silence(&mut self) {
        while let Some(frame) = self.wire.next_or_silence().await {
            self.count_frame(&frame);
        }
    }

    /// Counts everything the host sent so far, while no answer is running; pays what is open.
    pub async fn catch_up(&mut self) {
        self.wire.send(json!({ "type": "ping" })).await;
        loop {
            let frame = self.wire.next().await.expect("a pong");
            if frame["type"] == "pong" {
                break;
            }
            self.count_frame(&frame);
        }
        if self.count.tokens() > self.signed.1 {
            self.pay().await;
            self.wire.expect("voucher_accepted").await;
        }
    }

    /// Reads and pays until nothing is open and nothing more comes.
    pub async fn settle_up(&mut self) {
        loop {
            self.to_silence().await;
            if self.count.tokens() == self.signed.1 {
                return;
            }
            self.pay().await;
        }
    }

    /// Pays as asked until so many tokens are counted.
    pub async fn to_tokens(&mut self, tokens: u64) {
        while self.count.tokens() < tokens {
            let frame = self.wire.next().await.expect("more tokens");
            assert!(frame["type"] != "finished", "the answer ended first");
            if self.count_frame(&frame).is_some() {
                self.pay().await;
            }
        }
    }

    /// Ends the session; gives the reason the host names.
    pub async fn end(&mut self) -> String {
        self.wire.send(json!({ "type": "end" })).await;
        self.ended().await
    }

    /// Waits until the host says that the session is over, and why.
    pub async fn ended(&mut self) -> String {
        let ended = self.wire.expect("ended").await;
        ended["reason"].as_str().expect("a reason").to_owned()
    }
}
