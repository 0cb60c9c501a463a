//! One session on a stage: a scripted backend, a store in memory, an engine without chains, and a
//! renter that counts for itself.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use capstan_base::{
    Address, Amount, B256, ModelId, Price, SessionKey, SessionTerms, Tally, UnixSeconds, Voucher,
};
use capstan_chain::LocalSigner;
use capstan_engine::{Engine, EngineConfig};
use capstan_host::backend::{
    Backend, BackendError, GenerateRequest, GeneratedToken, Generation, Step,
};
use capstan_host::meter::Meter;
use capstan_host::session::{
    Command, Connection, ConnectionId, SessionActor, SessionContext, SessionHandle,
};
use capstan_host::settlement::Outbox;
use capstan_host::{HostConfig, ServedModel};
use capstan_kit::clock::ManualClock;
use capstan_store::{NewSession, Session, Store};
use capstan_wire::ApiError;
use capstan_wire::openai::Prompt;
use capstan_wire::session::{
    EndReason, FinishReason, FromHost, FromRenter, NewestVoucher, PromptMessage, SessionReady,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::fixture::{sign, tiny, units};

/// Longest wait for anything: far above what a loaded machine needs.
const SOON: Duration = Duration::from_secs(20);

/// Gives ids 100, 101, … and then stops.
pub struct Script {
    /// Tokens of each answer.
    pub tokens: u64,
    /// Fails in the place of this token.
    pub fails_at: Option<u64>,
    /// Tokens made so far, over all answers.
    pub made: AtomicU64,
}

struct Playing {
    script: Arc<Script>,
    next: u64,
}

pub struct Scripted(pub Arc<Script>);

#[async_trait]
impl Backend for Scripted {
    async fn start(&self, _: GenerateRequest) -> Result<Box<dyn Generation>, BackendError> {
        Ok(Box::new(Playing { script: Arc::clone(&self.0), next: 0 }))
    }

    fn name(&self) -> &'static str {
        "scripted"
    }
}

#[async_trait]
impl Generation for Playing {
    async fn next(&mut self) -> Result<Step, BackendError> {
        tokio::task::yield_now().await;
        if self.script.fails_at == Some(self.next) {
            return Err(BackendError::Failed("as scripted".into()));
        }
        if self.next >= self.script.tokens {
            return Ok(Step::Finished(FinishReason::Stop));
        }
        let id = 100 + u32::try_from(self.next % 100).unwrap();
        self.next += 1;
        self.script.made.fetch_add(1, Ordering::Relaxed);
        Ok(Step::Token(GeneratedToken { id, logprob: None }))
    }
}

/// A session, its host and its renter.
pub struct Stage {
    pub key: SessionKey,
    pub terms: SessionTerms,
    pub price: Price,
    pub signer: LocalSigner,
    pub store: Store,
    pub context: SessionContext,
    pub served: ServedModel,
    pub script: Arc<Script>,
    pub session: SessionHandle,
    task: JoinHandle<()>,
}

pub fn config() -> HostConfig {
    HostConfig {
        window: 8,
        grace: Duration::from_secs(30),
        idle: Duration::from_secs(30),
        drain: Duration::from_secs(5),
        ..HostConfig::default()
    }
}

impl Stage {
    /// A session whose answers have so many tokens, with this deposit and price.
    pub async fn new(tokens: u64, deposit: u128, price: Price, config: HostConfig) -> Self {
        let script = Script { tokens, fails_at: None, made: AtomicU64::new(0) };
        Self::with(script, deposit, price, config).await
    }

    pub async fn with(script: Script, deposit: u128, price: Price, config: HostConfig) -> Self {
        let store = Store::open_in_memory().unwrap();
        let cancel = CancellationToken::new();
        let lanes = EngineConfig::default();
        let engine =
            Engine::start(Arc::new(store.clone()), HashMap::new(), Vec::new(), lanes, cancel);
        let signer = LocalSigner::random();
        let account = Arc::new(LocalSigner::random());
        let host = account.address();
        let model = tiny();
        let terms = SessionTerms {
            host,
            renter: signer.address(),
            token: Address::ZERO,
            deposit: units(deposit),
            expiry: UnixSeconds::new(10_000).unwrap(),
            voucher_key: signer.address(),
            model: ModelId(model.id().into()),
            salt: B256::repeat_byte(1),
        };
        let key = SessionKey { session_id: terms.id(), ..crate::fixture::session_key(0) };
        let script = Arc::new(script);
        let backend = Arc::new(Scripted(Arc::clone(&script)));
        let served = ServedModel { name: "tiny".into(), model, backend };
        let context = SessionContext {
            store: Arc::new(store.clone()),
            outbox: Arc::new(Outbox::new(
                Arc::new(store.clone()),
                engine.unwrap(),
                host,
                BTreeMap::new(),
            )),
            chains: BTreeMap::new(),
            config,
            clock: Arc::new(ManualClock::new(UnixSeconds::new(1000).unwrap())),
            receipts: Some(account),
        };
        let opened_at = UnixSeconds::new(1000).unwrap();
        let new = NewSession { key, terms: terms.clone(), price, opened_at, admitted_block: 1 };
        store.insert_session(new).await.unwrap();
        let meter = Meter::new(key.session_id, price, terms.deposit, context.config.window);
        let expires = Instant::now() + Duration::from_secs(600);
        let (session, mailbox) = SessionHandle::channel();
        let actor = SessionActor::new(
            context.clone(),
            key,
            terms.clone(),
            served.clone(),
            meter,
            expires,
            EndReason::HostRestart,
        );
        let task = tokio::spawn(actor.run(mailbox));
        Self { key, terms, price, signer, store, context, served, script, session, task }
    }

    fn actor(&self, meter: Meter, expires: Instant) -> SessionActor {
        let (context, served) = (self.context.clone(), self.served.clone());
        let absent = EndReason::HostRestart;
        SessionActor::new(context, self.key, self.terms.clone(), served, meter, expires, absent)
    }

    /// The host's process dies and comes back with what its store holds.
    pub async fn restart(&mut self) {
        self.kill();
        let record = self.record().await;
        let deposit = self.terms.deposit;
        let window = self.context.config.window;
        let mut meter = Meter::new(self.key.session_id, self.price, deposit, window);
        if let Some(voucher) = record.voucher {
            meter.resume(voucher, record.tally).unwrap();
        }
        let (session, mailbox) = SessionHandle::channel();
        let expires = Instant::now() + Duration::from_secs(600);
        self.task = tokio::spawn(self.actor(meter, expires).run(mailbox));
        self.session = session;
    }

    /// The host's process dies.
    pub fn kill(&self) {
        self.task.abort();
    }

    pub async fn record(&self) -> Session {
        self.store.session(self.key).await.unwrap().unwrap()
    }

    /// Waits until the session has left service.
    pub async fn ended(&self) -> Session {
        let deadline = Instant::now() + SOON;
        loop {
            let record = self.record().await;
            if record.end_reason.is_some() {
                return record;
            }
            assert!(Instant::now() < deadline, "session does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the outbox holds for this session.
    pub async fn claimed(&self) -> Option<capstan_store::Intent> {
        let id = self.record().await.settle_intent?;
        self.store.intent(id).await.unwrap()
    }

    pub async fn attach(&self, id: u64, renter: &mut Renter) -> Result<SessionReady, ApiError> {
        self.attach_queue(id, renter, 1024).await
    }

    pub async fn attach_queue(
        &self,
        id: u64,
        renter: &mut Renter,
        queue: usize,
    ) -> Result<SessionReady, ApiError> {
        let (frames, receiver) = mpsc::channel(queue);
        let connection = Connection::new(ConnectionId(id), frames);
        renter.closed = connection.closed.clone();
        let (reply, answer) = oneshot::channel();
        let (newest, have) = (renter.newest.clone(), renter.tally.tokens());
        assert!(self.session.send(Command::Attach { connection, newest, have, reply }).await);
        let ready = timeout(SOON, answer).await.unwrap().unwrap()?;
        renter.id = ConnectionId(id);
        renter.frames = receiver;
        Ok(ready)
    }

    pub fn renter(&self) -> Renter {
        Renter {
            id: ConnectionId(0),
            key: self.key,
            signer: self.signer.clone(),
            tally: Tally::new(self.price),
            newest: None,
            frames: mpsc::channel(1).1,
            closed: CancellationToken::new(),
            session: self.session.clone(),
            prompt: Vec::new(),
            accepted: Amount::ZERO,
        }
    }
}

/// The other side: counts what it gets and signs what it counted.
pub struct Renter {
    pub id: ConnectionId,
    key: SessionKey,
    signer: LocalSigner,
    pub tally: Tally,
    pub newest: Option<NewestVoucher>,
    pub frames: mpsc::Receiver<FromHost>,
    pub closed: CancellationToken,
    pub session: SessionHandle,
    prompt: Vec<u32>,
    accepted: Amount,
}

impl Renter {
    pub async fn send(&self, frame: FromRenter) {
        self.session.send(Command::Frame(self.id, frame)).await;
    }

    pub async fn ask(&mut self, request_id: u64, prompt: &[u32], max_tokens: Option<u64>) {
        self.prompt = prompt.to_vec();
        let prompt = PromptMessage {
            request_id,
            prompt: Prompt::Ids(prompt.to_vec()),
            max_tokens,
            temperature: 0.0,
            top_p: 1.0,
            seed: 0,
            stop: Vec::new(),
        };
        self.send(FromRenter::Prompt(prompt)).await;
    }

    /// The next frame, counted. `None` once the host has let go and everything was read.
    pub async fn next(&mut self) -> Option<FromHost> {
        let frame = timeout(SOON, self.frames.recv()).await.expect("no frame comes")?;
        match &frame {
            FromHost::PromptAccepted { index, input_tokens, .. } => {
                assert_eq!(*index, self.tally.tokens());
                assert_eq!(*input_tokens, self.prompt.len() as u64);
                for id in self.prompt.clone() {
                    self.tally.push_input(id, tiny().tokenizer().piece(id).unwrap());
                }
            }
            FromHost::Chunk(chunk) => {
                assert_eq!(chunk.index, self.tally.tokens());
                for id in &chunk.ids {
                    self.tally.push_output(*id, tiny().tokenizer().piece(*id).unwrap());
                }
            }
            FromHost::VoucherRequest { amount, tokens, transcript_root } => {
                let own = self.tally.voucher(self.key.session_id).unwrap();
                assert_eq!((*amount, *tokens), (own.amount, own.tokens));
                assert_eq!(*transcript_root, own.transcript_root);
            }
            FromHost::VoucherAccepted { amount, .. } => self.accepted = *amount,
            _ => {}
        }
        Some(frame)
    }

    /// Reads on, paying whatever is asked, until a frame is as wanted.
    pub async fn until(&mut self, wanted: impl Fn(&FromHost) -> bool) -> FromHost {
        loop {
            let frame = self.next().await.expect("the host let go");
            if let FromHost::VoucherRequest { .. } = frame {
                self.pay().await;
            }
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// Reads on until the host has stored a voucher over everything it served.
    pub async fn until_paid(&mut self) {
        while self.accepted < self.tally.owed().unwrap() {
            self.until(|frame| matches!(frame, FromHost::VoucherAccepted { .. })).await;
        }
    }

    /// Signs its own count and sends it.
    pub async fn pay(&mut self) {
        let signed = self.voucher();
        self.send(FromRenter::Voucher(signed.voucher)).await;
    }

    /// Signs its own count without sending it.
    pub fn voucher(&mut self) -> NewestVoucher {
        let voucher = self.tally.voucher(self.key.session_id).unwrap();
        let voucher = sign(&self.signer, &self.key, voucher);
        let newest = NewestVoucher { voucher, tally: self.tally.state() };
        self.newest = Some(newest.clone());
        newest
    }

    pub fn ceiling(&self, amount: Amount) -> capstan_base::SignedVoucher {
        sign(&self.signer, &self.key, Voucher::ceiling(self.key.session_id, amount))
    }
}
