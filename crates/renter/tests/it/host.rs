//! A host that does as the test says: one WebSocket listener, and a tally of its own.

use core::time::Duration;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use capstan_base::{
    Address, Amount, AttachChallenge, B256, ChainId, ModelId, Price, Receipt, SessionKey,
    SessionTerms, SignedReceipt, Tally, UnixSeconds,
};
use capstan_chain::LocalSigner;
use capstan_model::Model;
use capstan_renter::Book;
use capstan_renter::link::{Link, LinkContext};
use capstan_store::{NewRental, Store};
use capstan_wire::openai::Prompt;
use capstan_wire::session::{
    Chunk, FinishReason, FromHost, FromRenter, Hello, MAX_FRAME_BYTES, PromptMessage, SessionInit,
    SessionReady, decode, encode,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

const SOON: Duration = Duration::from_secs(20);

/// The tiny model, loaded once.
pub fn tiny() -> Arc<Model> {
    static MODEL: OnceLock<Arc<Model>> = OnceLock::new();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models/capstan-tiny.gguf");
    Arc::clone(MODEL.get_or_init(|| Arc::new(Model::load(path).unwrap())))
}

/// A listener, the session that is rented from it, and the link.
pub struct Host {
    listener: TcpListener,
    pub key: SessionKey,
    terms: SessionTerms,
    pub price: Price,
    pub link: Link,
    pub store: Store,
    /// Key of the host's account.
    account: LocalSigner,
}

impl Host {
    pub async fn new(budget: u128) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let one = Amount::new(1_000_000).unwrap();
        let price = Price { input: one, output: one };
        let (signer, account) = (Arc::new(LocalSigner::random()), LocalSigner::random());
        let terms = SessionTerms {
            host: account.address(),
            renter: signer.address(),
            token: Address::ZERO,
            deposit: Amount::new(10_000).unwrap(),
            expiry: UnixSeconds::new(2_000_000_000).unwrap(),
            voucher_key: signer.address(),
            model: ModelId(tiny().id().into()),
            salt: B256::ZERO,
        };
        let key = SessionKey {
            chain_id: ChainId(5611),
            marketplace: Address::repeat_byte(2),
            session_id: terms.id(),
        };
        let host_url = format!("http://{}", listener.local_addr().unwrap());
        let store = Store::open_in_memory().unwrap();
        let rental = NewRental { key, terms: terms.clone(), host_url: host_url.clone(), price };
        store.insert_rental(rental, None).await.unwrap();
        let link = Link::start(LinkContext {
            key,
            terms: terms.clone(),
            host_url,
            signer,
            store: store.clone(),
            book: Book::new(key.session_id, tiny(), price, Amount::new(budget).unwrap()),
            newest: None,
            reconnect_for: Duration::from_secs(10),
        });
        Self { listener, key, terms, price, link, store, account }
    }

    /// The next connection, attached: its `session_init` is checked and answered.
    pub async fn attach(&self, tokens: Option<u64>, running: Option<u64>) -> (Peer, SessionInit) {
        let mut peer = self.connect().await;
        let FromRenter::SessionInit(init) = peer.receive().await.unwrap() else { panic!() };
        let SessionKey { chain_id, marketplace, session_id } = self.key;
        let digest = peer.challenge.digest(chain_id, marketplace, session_id);
        assert_eq!(init.proof.verify(digest, self.terms.voucher_key), Ok(()));
        assert_eq!((init.chain_id, &init.terms, init.price), (chain_id, &self.terms, self.price));
        let tokens = tokens.unwrap_or(init.have);
        let resumed = tokens > 0;
        let ready = SessionReady { chain_id, session_id, tokens, resumed, running };
        peer.send(FromHost::SessionReady(ready)).await;
        (peer, *init)
    }

    /// A receipt as the host signs it.
    pub fn sign(&self, receipt: Receipt) -> SignedReceipt {
        let digest = receipt.digest(self.key.chain_id, self.key.marketplace);
        SignedReceipt { receipt, signature: self.account.sign_digest_65(digest).unwrap() }
    }

    /// The next connection, greeted.
    pub async fn connect(&self) -> Peer {
        let (stream, _) = timeout(SOON, self.listener.accept()).await.unwrap().unwrap();
        let challenge = AttachChallenge(B256::random());
        let socket = accept_async(stream).await.unwrap();
        let mut peer = Peer { socket, challenge };
        let (host, challenge) = (self.terms.host, challenge.0);
        let hello = Hello { host, challenge, window: 32, max_frame_bytes: MAX_FRAME_BYTES };
        peer.send(FromHost::Hello(hello)).await;
        peer
    }
}

/// One connection, seen from the host.
pub struct Peer {
    socket: WebSocketStream<TcpStream>,
    challenge: AttachChallenge,
}

impl Peer {
    pub async fn send(&mut self, frame: FromHost) {
        self.socket.send(Message::text(encode(frame))).await.unwrap();
    }

    /// The next frame; pings are answered on the way. `None` once the renter has gone.
    pub async fn receive(&mut self) -> Option<FromRenter> {
        timeout(SOON, self.next()).await.expect("nothing comes")
    }

    async fn next(&mut self) -> Option<FromRenter> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => match decode(text.as_str()).unwrap() {
                    FromRenter::Ping => self.send(FromHost::Pong).await,
                    frame => return Some(frame),
                },
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub async fn prompt(&mut self) -> PromptMessage {
        match self.receive().await {
            Some(FromRenter::Prompt(prompt)) => prompt,
            other => panic!("{other:?}"),
        }
    }

    /// Counts the prompt and says so.
    pub async fn accept(&mut self, tally: &mut Tally, prompt: &PromptMessage) {
        let Prompt::Ids(ids) = &prompt.prompt else { panic!() };
        let accepted = FromHost::PromptAccepted {
            request_id: prompt.request_id,
            index: tally.tokens(),
            input_tokens: ids.len() as u64,
        };
        ids.iter().for_each(|id| tally.push_input(*id, tiny().tokenizer().piece(*id).unwrap()));
        self.send(accepted).await;
    }

    pub async fn serve(&mut self, tally: &mut Tally, request_id: u64, ids: &[u32]) {
        for id in ids {
            let chunk = chunk(request_id, tally.tokens(), *id);
            tally.push_output(*id, tiny().tokenizer().piece(*id).unwrap());
            self.send(chunk).await;
        }
    }

    pub async fn bill(&mut self, tally: &Tally) {
        let (amount, tokens) = (tally.owed().unwrap(), tally.tokens());
        self.send(FromHost::VoucherRequest { amount, tokens, transcript_root: tally.root() }).await;
    }

    pub async fn finish(&mut self, request_id: u64) {
        let (input_tokens, output_tokens) = (0, 0);
        let reason = FinishReason::Stop;
        self.send(FromHost::Finished { request_id, reason, input_tokens, output_tokens }).await;
    }
}

pub fn chunk(request_id: u64, index: u64, id: u32) -> FromHost {
    let (text, logprobs) = (String::new(), Vec::new());
    FromHost::Chunk(Chunk { request_id, index, ids: vec![id], text, logprobs })
}

/// A prompt of these ids.
pub fn prompt(ids: &[u32], max_tokens: Option<u64>) -> PromptMessage {
    PromptMessage {
        request_id: 0,
        prompt: Prompt::Ids(ids.to_vec()),
        max_tokens,
        temperature: 0.0,
        top_p: 1.0,
        seed: 0,
        stop: Vec::new(),
    }
}
