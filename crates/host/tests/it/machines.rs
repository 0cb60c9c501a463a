//! Hosts with one key on several machines: what one takes up it serves or settles, what one leaves
//! behind another settles, and nothing is taken that cannot be served.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use capstan_base::{Address, ChainId, Tally};
use capstan_chain::{ChainClient, ChainRegistry};
use capstan_engine::{Engine, EngineConfig};
use capstan_host::ServedModel;
use capstan_host::admission::{Admission, Claim};
use capstan_host::session::SessionContext;
use capstan_host::sessions::Sessions;
use capstan_host::settlement::Outbox;
use capstan_store::{
    EngineStore, IntentFilter, NewSession, PgStore, PostgresUrl, Session, SessionState,
    SessionStore, VoucherOutcome,
};
use capstan_test_postgres::Server;
use capstan_wire::ErrorCode;
use capstan_wire::session::EndReason;
use tokio_util::sync::CancellationToken;

use crate::fixture::{per_token, sign, tiny};
use crate::stage::{Stage, config};

/// One session, its renter, and the database that machines share.
struct Shared {
    server: Server,
    url: PostgresUrl,
    stage: Stage,
}

/// One machine.
struct Machine {
    store: Arc<dyn SessionStore>,
    sessions: Sessions,
}

impl Shared {
    async fn start() -> Option<Self> {
        let server = capstan_test_postgres::start()?;
        let url = server.database("capstan").parse().unwrap();
        let stage = Stage::new(5, 1000, per_token(1, 1), config()).await;
        stage.kill();
        Some(Self { server, url, stage })
    }

    async fn machine(&self, name: &str, models: Vec<ServedModel>) -> Machine {
        let store: Arc<dyn SessionStore> =
            Arc::new(PgStore::connect(&self.url, name).await.unwrap());
        let engine = Engine::start(
            Arc::clone(&store) as Arc<dyn EngineStore>,
            HashMap::new(),
            Vec::new(),
            EngineConfig::default(),
            CancellationToken::new(),
        );
        let host = self.stage.terms.host;
        let outbox = Outbox::new(Arc::clone(&store), engine.unwrap(), host, BTreeMap::new());
        let context = SessionContext {
            store: Arc::clone(&store),
            outbox: Arc::new(outbox),
            ..self.stage.context.clone()
        };
        let admission = Admission { host, chains: chain_that_is_down(), models, min_lifetime: 60 };
        Machine { store, sessions: Sessions::new(admission, context) }
    }

    /// A machine that admitted the session.
    async fn serving(&self, name: &str) -> Machine {
        let machine = self.machine(name, vec![self.stage.served.clone()]).await;
        let new = NewSession {
            key: self.stage.key,
            terms: self.stage.terms.clone(),
            price: self.stage.price,
            opened_at: self.stage.context.clock.now(),
            admitted_block: 1,
        };
        machine.store.insert_session(new).await.unwrap();
        machine
    }

    /// A voucher over so many tokens, stored by a machine with a tally that `torn` may spoil.
    async fn voucher(&self, machine: &Machine, tokens: u32, torn: bool) -> VoucherOutcome {
        let mut tally = Tally::new(self.stage.price);
        for id in 11..11 + tokens {
            tally.push_input(id, tiny().tokenizer().piece(id).unwrap());
        }
        let voucher = tally.voucher(self.stage.key.session_id).unwrap();
        let signed = sign(&self.stage.signer, &self.stage.key, voucher);
        let mut state = tally.state();
        state.input += u64::from(torn);
        machine.store.record_voucher(self.stage.key, &signed, &state).await.unwrap()
    }

    fn claim(&self) -> Claim<'_> {
        let (terms, price) = (&self.stage.terms, self.stage.price);
        Claim { chain_id: self.stage.key.chain_id, terms, price }
    }

    async fn record(&self, machine: &Machine) -> Session {
        machine.store.session(self.stage.key).await.unwrap().unwrap()
    }
}

/// What is stored already needs no chain.
fn chain_that_is_down() -> BTreeMap<ChainId, Arc<ChainClient>> {
    let set = |name: &str| match name {
        "BASE_SEPOLIA_RPC_URL" => Some("http://127.0.0.1:1".to_owned()),
        "BASE_SEPOLIA_JOB_MARKETPLACE" => Some(Address::repeat_byte(0x0a).to_string()),
        "BASE_SEPOLIA_NODE_REGISTRY" => Some(Address::repeat_byte(0x0b).to_string()),
        _ => None,
    };
    let registry = ChainRegistry::load(&toml::Table::new(), set).unwrap();
    let config = registry.get(ChainId(84532)).unwrap().clone();
    BTreeMap::from([(config.chain_id, Arc::new(ChainClient::connect(config)))])
}

#[tokio::test]
async fn a_machine_without_the_model_takes_nothing_from_the_one_that_has_it() {
    let Some(shared) = Shared::start().await else { return };
    let first = shared.serving("first").await;
    let second = shared.machine("second", Vec::new()).await;
    assert_eq!(shared.voucher(&first, 3, false).await, VoucherOutcome::Stored);
    let refused = second.sessions.open(&shared.claim()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::ModelNotFound);
    assert_eq!(shared.voucher(&first, 4, false).await, VoucherOutcome::Stored, "served on");
}

#[tokio::test]
async fn a_session_taken_up_that_cannot_be_served_on_is_settled() {
    let Some(shared) = Shared::start().await else { return };
    let first = shared.serving("first").await;
    let second = shared.machine("second", vec![shared.stage.served.clone()]).await;
    shared.voucher(&first, 3, true).await;
    let refused = second.sessions.open(&shared.claim()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::SessionClosed);
    let record = shared.record(&second).await;
    assert_eq!(record.state, SessionState::Settling);
    assert_eq!(second.store.intents(IntentFilter::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_that_nothing_runs_is_taken_up_while_serving() {
    let Some(shared) = Shared::start().await else { return };
    let first = shared.serving("first").await;
    first.sessions.resume_left_out().await.unwrap();
    assert_eq!(first.sessions.count(), 1);
    first.sessions.resume_left_out().await.unwrap();
    assert_eq!(first.sessions.count(), 1);
    // What another serves is not this one's to take up.
    let second = shared.machine("second", vec![shared.stage.served.clone()]).await;
    second.sessions.resume_left_out().await.unwrap();
    assert_eq!(second.sessions.count(), 0);
}

#[tokio::test]
async fn what_the_machine_that_serves_it_does_not_end_another_settles_at_the_second_look() {
    for reason in [EndReason::ClosedOnChain, EndReason::Expired] {
        let Some(shared) = Shared::start().await else { return };
        let first = shared.serving("first").await;
        shared.voucher(&first, 3, false).await;
        let second = shared.machine("second", Vec::new()).await;
        let (due, mut seen) = ([(shared.stage.key, reason)], BTreeSet::new());
        second.sessions.end_due(&due, &mut seen).await;
        assert_eq!(shared.record(&second).await.state, SessionState::Open, "its own host's turn");
        second.sessions.end_due(&[], &mut seen).await;
        second.sessions.end_due(&due, &mut seen).await;
        assert_eq!(shared.record(&second).await.state, SessionState::Open, "not due in between");
        second.sessions.end_due(&due, &mut seen).await;
        let record = shared.record(&second).await;
        assert_eq!(record.state, SessionState::Settling);
        assert_eq!(record.end_reason.as_deref(), Some(reason.as_str()));
        second.sessions.end_due(&due, &mut seen).await;
        assert_eq!(second.store.intents(IntentFilter::default()).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_just_ending_here_is_not_taken_from_the_machine_that_serves_it() {
    let Some(shared) = Shared::start().await else { return };
    let first = shared.serving("first").await;
    shared.voucher(&first, 3, false).await;
    let (key, handle) = first.sessions.open(&shared.claim()).await.unwrap();
    let second = shared.machine("second", vec![shared.stage.served.clone()]).await;
    second.sessions.open(&shared.claim()).await.unwrap();
    assert_eq!(shared.voucher(&second, 5, false).await, VoucherOutcome::Stored);
    // The old copy cannot write its end as long as the row is locked.
    let locks = "BEGIN; SELECT 1 FROM sessions FOR UPDATE; SELECT pg_sleep(2); COMMIT";
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        first.sessions.end(&key, EndReason::Disconnect).await;
        while !handle.is_over() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        first.sessions.open(&shared.claim()).await.unwrap_err()
    };
    let server = &shared.server;
    let (refused, ()) = std::thread::scope(|scope| {
        let lock = scope.spawn(|| drop(server.sql("capstan", locks)));
        let refused =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(meanwhile));
        (refused, lock.join().unwrap())
    });
    assert_eq!(refused.code, ErrorCode::SessionClosed);
    assert_eq!(second.store.sessions_served().await.unwrap().len(), 1);
    assert_eq!(shared.voucher(&second, 6, false).await, VoucherOutcome::Stored, "served on");
}
