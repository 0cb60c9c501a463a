//! Against a real EVM: deployment, reads, a whole session, reverts.
//!
//! `cargo xtask test` sets `CAPSTAN_TOOLS` to the folder with `anvil`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panic")]

mod batch;
mod delegation;
mod effect;
mod rpc;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use alloy_primitives::U256;
use capstan_base::{
    Address, Amount, B256, ChainId, ModelId, Price, SessionTerms, SignedVoucher, UnixSeconds,
    Voucher,
};
use capstan_chain::bindings::ContractKind;
use capstan_chain::bindings::calls::{self, CompletionItem};
use capstan_chain::deploy::transact;
use capstan_chain::{
    BlockTag, ChainError, CloseReason, Fees, GasEstimate, LocalSigner, NewOffer, SendOutcome,
    SessionStatus, TxFields,
};
use support::{Chain, ETHER};

const MODEL: ModelId = ModelId(B256::repeat_byte(0x11));

fn amount(units: u128) -> Amount {
    Amount::new(units).unwrap()
}

fn price() -> Price {
    Price { input: amount(1_000), output: amount(2_000) }
}

/// Registers `chain.host` for [`MODEL`] in the native coin.
async fn register(chain: &Chain) {
    let nodes = chain.deployed.contracts.node_registry;
    let stake = chain.client.min_stake().await.unwrap();
    let fab = chain.client.governance_token().await.unwrap();
    let models = chain.client.model_registry().await.unwrap();
    let (client, owner, host) = (&chain.client, &chain.owner, &chain.host);
    let approve = calls::approve_model(models, MODEL, "file:model.gguf");
    transact(client, owner, &approve).await.unwrap();
    let fund = calls::erc20_transfer(fab, host.address(), stake.into());
    transact(client, owner, &fund).await.unwrap();
    let allow = calls::erc20_approve(fab, nodes, stake.into());
    transact(client, host, &allow).await.unwrap();
    let offers = [NewOffer { model: MODEL, token: Address::ZERO, price: price() }];
    let call = calls::register_node(nodes, stake, "http://host.example", "eu", B256::ZERO, &offers);
    transact(client, host, &call).await.unwrap();
}

/// Opens so many sessions of [`terms`], by salts from one upwards.
async fn open(chain: &Chain, key: &LocalSigner, count: u8) -> Vec<SessionTerms> {
    let mut opened = Vec::new();
    for salt in 1..=count {
        let terms = terms(chain, key, salt).await;
        let call = calls::create_session_job(chain.deployed.contracts.job_marketplace, &terms);
        transact(&chain.client, &chain.renter, &call).await.unwrap();
        opened.push(terms);
    }
    opened
}

async fn terms(chain: &Chain, voucher_key: &LocalSigner, salt: u8) -> SessionTerms {
    let now = chain.client.head(BlockTag::Latest).await.unwrap().timestamp;
    SessionTerms {
        host: chain.host.address(),
        renter: chain.renter.address(),
        token: Address::ZERO,
        deposit: amount(1_000_000),
        expiry: now.plus(7_200),
        voucher_key: voucher_key.address(),
        model: MODEL,
        salt: B256::repeat_byte(salt),
    }
}

fn voucher(chain: &Chain, key: &LocalSigner, terms: &SessionTerms, owed: u128) -> SignedVoucher {
    let voucher = Voucher {
        session_id: terms.id(),
        amount: amount(owed),
        tokens: 12,
        transcript_root: B256::repeat_byte(7),
    };
    let digest = voucher.digest(ChainId(84_532), chain.deployed.contracts.job_marketplace);
    SignedVoucher { voucher, signature: key.sign_digest_65(digest).unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_verifies_and_a_wrong_configuration_does_not() {
    let chain = Chain::start().await;
    chain.client.verify().await.unwrap();
    // All but governance, the contracts of smart accounts, and nothing twice.
    let kinds: BTreeSet<_> = chain.deployed.steps.iter().map(|step| step.kind).collect();
    assert_eq!((kinds.len(), chain.deployed.steps.len()), (14, 14));

    // The seed's names give two addresses: the others are read from the chain.
    let only_two = chain.configured(|contracts| {
        contracts.others.clear();
    });
    only_two.verify().await.unwrap();
    let expected = &chain.deployed.contracts;
    assert_eq!(
        Some(only_two.model_registry().await.unwrap()),
        expected.of(ContractKind::ModelRegistry)
    );
    assert_eq!(
        Some(only_two.governance_token().await.unwrap()),
        expected.of(ContractKind::GovernanceToken)
    );

    let swapped = chain.configured(|contracts| {
        core::mem::swap(&mut contracts.job_marketplace, &mut contracts.node_registry);
    });
    let wrong = swapped.verify().await.unwrap_err();
    assert_eq!(wrong.len(), 2);
    assert!(wrong.iter().all(|error| matches!(error, ChainError::InterfaceMismatch { .. })));

    let empty = chain.configured(|contracts| contracts.node_registry = Address::repeat_byte(0xee));
    let wrong = empty.verify().await.unwrap_err();
    assert_eq!(
        wrong[0].to_string(),
        format!(
            "NodeRegistry is not deployed on chain 84532: no code at {}",
            Address::repeat_byte(0xee)
        )
    );

    let other = chain.on_chain_id(ChainId(5_611));
    let wrong = other.verify().await.unwrap_err();
    assert!(
        matches!(wrong[..], [ChainError::WrongChainId { found: ChainId(84_532), .. }]),
        "{wrong:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_read_as_it_registered() {
    let chain = Chain::start().await;
    let (client, host) = (&chain.client, chain.host.address());
    assert_eq!(client.node(host).await.unwrap(), None);
    assert_eq!(client.node_info(host).await.unwrap(), None);
    register(&chain).await;
    let node = client.node(host).await.unwrap().unwrap();
    assert_eq!((node.stake, node.unbonds_at), (client.min_stake().await.unwrap(), None));
    let info = client.node_info(host).await.unwrap().unwrap();
    assert_eq!((info.endpoint.as_str(), info.region.as_str()), ("http://host.example", "eu"));
    assert_eq!(client.price_of(host, MODEL, Address::ZERO).await.unwrap(), Some(price()));
    let other = Address::repeat_byte(1);
    assert_eq!(client.price_of(host, MODEL, other).await.unwrap(), None);
    assert!(client.is_serving(host, MODEL, Address::ZERO).await.unwrap());
    assert!(client.is_model_approved(MODEL).await.unwrap());
    let nodes = chain.deployed.contracts.node_registry;
    transact(client, &chain.host, &calls::start_unbonding(nodes)).await.unwrap();
    assert!(client.node(host).await.unwrap().unwrap().unbonds_at.is_some());
    assert!(!client.is_serving(host, MODEL, Address::ZERO).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_opened_closed_and_accounted_to_the_unit() {
    let chain = Chain::start().await;
    register(&chain).await;
    let (client, market) = (&chain.client, chain.deployed.contracts.job_marketplace);
    let key = LocalSigner::random();
    let first = terms(&chain, &key, 1).await;
    let id = first.id();
    let from = client.head(BlockTag::Latest).await.unwrap().number;
    let none = client.session(id, BlockTag::Latest).await.unwrap();
    assert_eq!(none.status, SessionStatus::None);

    let opening = calls::create_session_job(market, &first);
    let opened = transact(client, &chain.renter, &opening).await.unwrap();
    let (job, state) = client.job(&first, BlockTag::Latest).await.unwrap();
    assert_eq!((job, state.status, state.fee_bps), (id, SessionStatus::Active, 100));
    // A session of a marketplace that was configured before is read all the same.
    let moved = chain.configured(|contracts| contracts.job_marketplace = Address::repeat_byte(7));
    assert_eq!(moved.session_of(&chain.key(id), BlockTag::Latest).await.unwrap(), state);
    let found = client.opened_terms(id, from).await.unwrap().unwrap();
    assert_eq!((found.terms, found.tx_hash, found.fee_bps), (first.clone(), opened.tx_hash, 100));
    assert_eq!(client.closing_of(&chain.key(id), from).await.unwrap(), None);

    // The same again is refused by name, as an estimate and as a call.
    let estimate = client.estimate_gas(chain.renter.address(), &opening).await.unwrap();
    let GasEstimate::Revert(data) = estimate else { panic!("{estimate:?}") };
    assert_eq!(
        capstan_chain::bindings::decode_revert(&data),
        format!("SessionExists {{ sessionId: {} }}", id.0)
    );
    let refused = transact(client, &chain.renter, &opening).await.unwrap_err();
    assert!(!refused.is_retryable() && refused.revert_data().is_some());

    let top_up = calls::top_up(market, &first, amount(500));
    transact(client, &chain.renter, &top_up).await.unwrap();
    let signed = voucher(&chain, &key, &first, 300_001);
    let session = chain.key(id);
    signed.verify(&session, key.address()).unwrap();
    let close = calls::complete_session_job(market, &first, Some(&signed), amount(300_001));
    let receipt = transact(client, &chain.host, &close).await.unwrap();

    let closing = client.closing_in(&chain.key(id), &receipt).unwrap().unwrap();
    assert_eq!(closing.reason, CloseReason::Completed);
    assert_eq!(closing.fee, amount(3_000), "one per cent, rounded down");
    assert_eq!(closing.host_paid, amount(297_001));
    assert_eq!(closing.refund, amount(1_000_500 - 300_001));
    assert_eq!((closing.tokens, closing.transcript_root), (12, B256::repeat_byte(7)));
    assert_eq!(client.closing_of(&chain.key(id), from).await.unwrap(), Some(closing.clone()));
    assert_eq!(moved.closing_in(&chain.key(id), &receipt).unwrap(), Some(closing.clone()));
    assert_eq!(moved.closing_of(&chain.key(id), from).await.unwrap(), Some(closing.clone()));
    assert_eq!(calls::claimed_in(&close.data), Some(amount(300_001)));
    assert_eq!(calls::claimed_in(&opening.data), None);
    let canonical = client.block_hash(receipt.block_number).await.unwrap();
    assert_eq!(canonical, Some(receipt.block_hash));
    assert_eq!(client.block_hash(receipt.block_number + 100).await.unwrap(), None);
    assert!(receipt.cost() > U256::ZERO);

    let host = chain.host.address();
    let ledger = client.ledger_balance(host, Address::ZERO, BlockTag::Latest).await.unwrap();
    assert_eq!(ledger, closing.host_paid);
    let to = Address::repeat_byte(0x77);
    let withdraw = calls::withdraw(market, Address::ZERO, to);
    transact(client, &chain.host, &withdraw).await.unwrap();
    assert_eq!(client.balance(to).await.unwrap(), U256::from(297_001));
    assert_eq!(client.session(id, BlockTag::Latest).await.unwrap().status, SessionStatus::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_item_of_a_batch_fails_alone_and_says_why() {
    let chain = Chain::start().await;
    register(&chain).await;
    let (client, market) = (&chain.client, chain.deployed.contracts.job_marketplace);
    let (key, stranger) = (LocalSigner::random(), LocalSigner::random());
    let mut items = Vec::new();
    for salt in 1..=3 {
        let terms = terms(&chain, &key, salt).await;
        let opening = calls::create_session_job(market, &terms);
        transact(client, &chain.renter, &opening).await.unwrap();
        let signer = if salt == 2 { &stranger } else { &key };
        let voucher = Some(voucher(&chain, signer, &terms, 1_000));
        items.push(CompletionItem { terms, voucher, claim: amount(1_000) });
    }
    let batch = calls::complete_session_jobs(market, &items).unwrap();
    let receipt = transact(client, &chain.host, &batch).await.unwrap();
    let ids: Vec<_> = items.iter().map(|item| item.terms.id()).collect();
    for (index, id) in ids.iter().enumerate() {
        let closed = client.closing_in(&chain.key(*id), &receipt).unwrap().is_some();
        let failure = client.completion_failure_in(*id, &receipt).unwrap();
        assert_eq!(closed, index != 1);
        assert_eq!(failure.as_deref(), (index == 1).then_some("BadSignature"));
    }

    // The renter's own close, acknowledged as nothing, and the host's answer without a voucher.
    let bad = &items[1].terms;
    let request = calls::request_session_close(market, bad, Amount::ZERO);
    transact(client, &chain.renter, &request).await.unwrap();
    let state = client.session(bad.id(), BlockTag::Latest).await.unwrap();
    assert_eq!(state.status, SessionStatus::Closing);
    assert!(state.challenge_end > UnixSeconds::default());
    let early = transact(client, &chain.renter, &calls::finalize_session(market, bad)).await;
    assert!(early.unwrap_err().to_string().contains("ChallengeRunning { challengeEnd: "));
    let accept = calls::complete_session_job(market, bad, None, Amount::ZERO);
    let receipt = transact(client, &chain.host, &accept).await.unwrap();
    let closing = client.closing_in(&chain.key(bad.id()), &receipt).unwrap().unwrap();
    assert_eq!((closing.host_paid, closing.refund), (Amount::ZERO, bad.deposit));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erc20_session_is_paid_in_the_test_dollar() {
    let chain = Chain::start().await;
    register(&chain).await;
    let (client, market) = (&chain.client, chain.deployed.contracts.job_marketplace);
    let usdc = chain.deployed.test_usdc.unwrap();
    let nodes = chain.deployed.contracts.node_registry;
    let offers = [NewOffer { model: MODEL, token: usdc, price: price() }];
    transact(client, &chain.host, &calls::set_offers(nodes, &offers)).await.unwrap();
    let renter = chain.renter.address();
    let mint = calls::test_usdc_mint(usdc, renter, U256::from(5_000_000));
    transact(client, &chain.renter, &mint).await.unwrap();
    let approve = calls::erc20_approve(usdc, market, U256::from(1_000_000));
    transact(client, &chain.renter, &approve).await.unwrap();
    assert_eq!(client.allowance(usdc, renter, market).await.unwrap(), U256::from(1_000_000));
    let key = LocalSigner::random();
    let terms = SessionTerms { token: usdc, ..terms(&chain, &key, 9).await };
    let opening = calls::create_session_job(market, &terms);
    assert_eq!(opening.value, U256::ZERO);
    transact(client, &chain.renter, &opening).await.unwrap();
    assert_eq!(client.token_balance(usdc, renter).await.unwrap(), U256::from(4_000_000));
    let signed = voucher(&chain, &key, &terms, 1_000_000);
    let close = calls::complete_session_job(market, &terms, Some(&signed), amount(1_000_000));
    let receipt = transact(client, &chain.host, &close).await.unwrap();
    let closing = client.closing_in(&chain.key(terms.id()), &receipt).unwrap().unwrap();
    assert_eq!((closing.token, closing.refund), (usdc, Amount::ZERO));

    // The same in one transaction, by a signed permit.
    let terms = SessionTerms { salt: B256::repeat_byte(10), ..terms };
    let deadline = U256::from(terms.expiry.get());
    let digest = calls::permit_digest(
        client.domain_separator(usdc).await.unwrap(),
        renter,
        market,
        terms.deposit,
        client.permit_nonce(usdc, renter).await.unwrap(),
        deadline,
    );
    let permit = chain.renter.sign_digest(digest).unwrap();
    let opening = calls::create_session_job_with_permit(market, &terms, deadline, &permit);
    transact(client, &chain.renter, &opening).await.unwrap();
    assert_eq!(client.token_balance(usdc, renter).await.unwrap(), U256::from(3_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn broadcasts_are_told_apart() {
    let chain = Chain::start().await;
    let client = &chain.client;
    let to = calls::native_transfer(Address::repeat_byte(5), ETHER);
    let fees = client.gas_price().await.unwrap().offer();
    assert!(matches!(fees, Fees::Eip1559 { .. }));
    let nonce = client.account_nonce(chain.renter.address(), BlockTag::Latest).await.unwrap();
    let fields = |nonce, fees| TxFields::of_call(ChainId(84_532), nonce, &to, 21_000, fees);
    let sign = |fields| chain.renter.sign_transaction(&fields).unwrap();

    let sent = sign(fields(nonce, fees));
    assert_eq!(client.send_raw(&sent.raw).await, SendOutcome::Accepted);
    let receipt = loop {
        match client.receipt(sent.hash).await.unwrap() {
            Some(receipt) => break receipt,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!((receipt.success, receipt.gas_used, receipt.tx_hash), (true, 21_000, sent.hash));
    assert!(client.knows_transaction(sent.hash).await.unwrap());
    assert_eq!(client.receipt(B256::repeat_byte(1)).await.unwrap(), None);

    let other = sign(fields(nonce, Fees::Legacy { gas_price: fees.max_fee() * 3 }));
    assert_eq!(client.send_raw(&other.raw).await, SendOutcome::NonceTooLow);
    let cheap = sign(fields(nonce + 1, Fees::Legacy { gas_price: 1 }));
    assert_eq!(client.send_raw(&cheap.raw).await, SendOutcome::Underpriced);
    let poor = LocalSigner::random();
    let poor = poor.sign_transaction(&fields(0, fees)).unwrap();
    assert_eq!(client.send_raw(&poor.raw).await, SendOutcome::InsufficientFunds);
    let ahead = sign(fields(nonce + 2, fees));
    assert_eq!(client.send_raw(&ahead.raw).await, SendOutcome::Accepted);
    assert_eq!(client.send_raw(&ahead.raw).await, SendOutcome::AlreadyKnown);
    let garbage = capstan_chain::types::Bytes::from_static(&[0xff, 0]);
    let outcome = client.send_raw(&garbage).await;
    assert!(matches!(outcome, SendOutcome::Rejected(_)), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_the_oracle_charges_no_l1_fee() {
    let chain = Chain::start().await;
    assert_eq!(chain.client.l1_fee_upper_bound(500).await.unwrap(), U256::ZERO);
    assert_eq!(ContractKind::JobMarketplace.name(), "JobMarketplace");
    let finalized = chain.client.head(BlockTag::Finalized).await.unwrap();
    assert!(finalized.number <= chain.client.head(BlockTag::Latest).await.unwrap().number);
}
