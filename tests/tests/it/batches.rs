//! Sessions that end together are closed together, and one that cannot be closed hurts no other.

use std::collections::BTreeSet;
use std::time::Duration;

use alloy_primitives::{Address, U256, keccak256};
use capstan_base::{Amount, ChainId, SignedVoucher, UnixSeconds};
use capstan_chain::{Call, calls};
use capstan_engine::LaneChain;
use capstan_store::{LaneKey, NewIntent, Store};
use capstan_tests::paper::Paper;
use capstan_tests::renter::Renter;
use capstan_tests::scene::{DEPOSIT, Scene, now, terms};
use capstan_tests::world::{BASE_SEPOLIA, World};
use serde_json::json;

/// Sessions that end together.
const SESSIONS: usize = 5;

/// Seconds until the poisoned close is due: by then the host is back and the sessions have ended.
const DUE: u64 = 6;

/// A close above the deposit, signed by the renter: the contract refuses it for ever.
fn poisoned(paper: &Paper) -> Call {
    let above = DEPOSIT + 1;
    let voucher = paper.voucher(above, 1, keccak256(b"a transcript"));
    let voucher: SignedVoucher = serde_json::from_value(voucher).unwrap();
    let claim = Amount::new(above).unwrap();
    calls::complete_session_job(paper.marketplace, &terms(paper), Some(&voucher), claim)
}

/// Puts a call into the outbox of a host that does not run, to be sent when the sessions are.
async fn submit(scene: &Scene, call: Call) -> u64 {
    let chain_id = ChainId(scene.chain().anvil.chain_id);
    let lane = LaneKey { chain_id, sender: scene.account.address() };
    let store = Store::open(scene.database()).unwrap();
    let intent = NewIntent {
        repeat_safe: true,
        not_before: UnixSeconds::new(now() + DUE).ok(),
        ..NewIntent::new("poison", lane, call.to, call.value, call.data)
    };
    store.submit_intent(intent).await.unwrap().id().0
}

#[tokio::test]
async fn plain_calls_of_an_account_share_a_transaction_once_it_runs_the_code_for_it() {
    let world = World::with_chains(&[(BASE_SEPOLIA, "base-sepolia")]).await;
    let (chain, account) = (&world.chains[0], world.account(0, 0).await);
    let client: &dyn LaneChain = chain.client();
    let transfer = calls::native_transfer(Address::repeat_byte(7), U256::from(1));
    let before = client.batching(account.address()).await;
    assert_eq!(before.group(account.address(), &transfer), None);
    chain.delegate(&world.owner, &account).await;
    let after = client.batching(account.address()).await;
    let group = after.group(account.address(), &transfer).expect("it may share");
    assert_eq!(group.to, account.address());
    // Another account's code says nothing of this one's.
    let other = world.account(0, 0).await.address();
    assert_eq!(client.batching(other).await.group(other, &transfer), None);
}

#[tokio::test]
async fn sessions_that_end_together_share_transactions_and_a_poisoned_one_fails_alone() {
    // Whoever waits for company waits until the transaction before is mined.
    let limits = "grace_seconds = 1\n[chains.base-sepolia.settlement]\nbatch_wait_seconds = 600";
    let mut scene = Scene::start(limits).await;
    let poison = scene.open(DEPOSIT).await;
    let mut renters = Vec::new();
    for _ in 0..SESSIONS {
        let paper = scene.open(DEPOSIT).await;
        let mut renter = Renter::attach(&scene.url, &paper).await;
        renter.ask("What is a voucher?", 5).await;
        renter.to_end().await;
        renters.push(renter);
    }
    // One goes alone, and stays on its way: nothing is mined.
    scene.chain().anvil.rpc("evm_setAutomine", json!([false])).await;
    renters[0].end().await;
    let first = scene.intent_of(&renters[0].paper).await;
    scene.explained(first, |story| story["attempts"][0]["broadcast"] == "accepted").await;
    scene.host.kill().await;
    let due = now() + DUE;
    let poisoned = submit(&scene, poisoned(&poison)).await;

    // Nobody comes back: all end, and gather behind the one on its way.
    scene.restart().await;
    let mut numbers = BTreeSet::new();
    for renter in &renters {
        numbers.insert(scene.intent_of(&renter.paper).await);
    }
    let left = due.saturating_sub(now()) + 1;
    tokio::time::sleep(Duration::from_secs(left)).await;
    scene.chain().anvil.rpc("evm_setIntervalMining", json!([1])).await;

    let mut transactions = BTreeSet::new();
    for renter in &renters {
        transactions.insert(scene.settles_for(&renter.paper, renter.owed()).await.tx);
    }
    assert!(transactions.len() < SESSIONS, "{transactions:?}");
    let story = scene.explained(poisoned, |story| story["state"] == "failed").await;
    assert_eq!(story["failure"]["code"], "reverted", "{story:#}");
    let why = story["failure"]["reason"].as_str().unwrap();
    assert!(why.contains("AmountAboveDeposit"), "{story:#}");
    let history = story["history"].as_array().unwrap();
    assert!(
        history.iter().any(|row| row["what"] == "isolated" && row["reason"] == why),
        "{story:#}"
    );
    assert!(scene.closings(&poison).await.is_empty());
    for renter in &renters {
        assert_eq!(scene.closings(&renter.paper).await.len(), 1, "closed once");
    }

    // Each session of a batch names the others.
    let mut shared = 0;
    for number in &numbers {
        let story = scene.explained(*number, |story| story["state"] == "final").await;
        let others = story["neighbours"].as_array().unwrap();
        shared += usize::from(!others.is_empty());
        assert!(others.iter().all(|other| numbers.contains(&other.as_u64().unwrap())), "{story:#}");
    }
    assert!(shared > 1, "{numbers:?}");
}
