//! What a settlement may cost, and what it is worth, goes into the outbox with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use capstan_base::{
    Address, B256, ChainId, ModelId, SessionKey, SessionTerms, U256, UnixSeconds, Voucher,
};
use capstan_chain::{ChainClient, ChainRegistry, LocalSigner};
use capstan_engine::{Engine, EngineConfig};
use capstan_host::settlement::Outbox;
use capstan_store::{NewIntent, NewSession, Store};
use capstan_wire::session::EndReason;
use tokio_util::sync::CancellationToken;

use crate::fixture::{per_token, session_key, sign, units};

/// A token of six decimals, of which one is worth 0.0004 coins.
const DOLLAR: Address = Address::repeat_byte(0xd0);

const CONFIG: &str = "[chains.base-sepolia]\nrpc_urls = [\"http://127.0.0.1:1\"]\n\
    [chains.base-sepolia.settlement]\nmax_cost = \"0.0003\"\n\
    [chains.base-sepolia.tokens.USDC]\naddress = \"0xd0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0\"\n\
    decimals = 6\ncoin_price = \"0.0004\"\n";

/// The intent of a session that ended with this claim.
async fn settled(config: &str, token: Address, claim: u128) -> NewIntent {
    let registry = ChainRegistry::load(&config.parse().unwrap(), |_| None).unwrap();
    let chain = ChainClient::connect(registry.known(ChainId(84532)).unwrap().clone());
    let chains = BTreeMap::from([(chain.chain_id(), Arc::new(chain))]);
    let store = Store::open_in_memory().unwrap();
    let (lanes, cancel) = (EngineConfig::default(), CancellationToken::new());
    let engine = Engine::start(Arc::new(store.clone()), HashMap::new(), Vec::new(), lanes, cancel);
    let (host, signer) = (Address::repeat_byte(0xaa), LocalSigner::random());
    let terms = SessionTerms {
        host,
        renter: signer.address(),
        token,
        deposit: units(claim),
        expiry: UnixSeconds::new(10_000).unwrap(),
        voucher_key: signer.address(),
        model: ModelId(B256::repeat_byte(2)),
        salt: B256::repeat_byte(1),
    };
    let key = SessionKey { session_id: terms.id(), ..session_key(0) };
    let (opened_at, price) = (UnixSeconds::new(1000).unwrap(), per_token(1, 1));
    let session = NewSession { key, terms: terms.clone(), price, opened_at, admitted_block: 1 };
    store.insert_session(session).await.unwrap();
    let voucher = Voucher {
        session_id: key.session_id,
        amount: units(claim),
        tokens: 3,
        transcript_root: B256::repeat_byte(7),
    };
    let signed = sign(&signer, &key, voucher);
    let outbox = Outbox::new(Arc::new(store.clone()), engine.unwrap(), host, chains);
    outbox.end(key, &terms, Some(&signed), units(claim), EndReason::End).await.unwrap();
    let id = store.session(key).await.unwrap().unwrap().settle_intent.unwrap();
    store.intent(id).await.unwrap().unwrap().request
}

#[tokio::test]
async fn a_settlement_carries_what_it_may_cost_and_what_it_is_worth() {
    let coins = settled(CONFIG, Address::ZERO, 5_000).await;
    assert_eq!(coins.max_cost, Some(U256::from(300_000_000_000_000_u64)));
    assert_eq!(coins.worth, Some(U256::from(5_000)));
    let dollars = settled(CONFIG, DOLLAR, 2_500_000).await;
    assert_eq!(
        dollars.worth,
        Some(U256::from(1_000_000_000_000_000_u64)),
        "two and a half dollars"
    );
    assert!(dollars.repeat_safe);
}

#[tokio::test]
async fn what_nobody_priced_is_settled_at_any_cost() {
    let plain = "[chains.base-sepolia]\nrpc_urls = [\"http://127.0.0.1:1\"]\n";
    let intent = settled(plain, DOLLAR, 2_500_000).await;
    assert_eq!((intent.max_cost, intent.worth), (None, None));
}
