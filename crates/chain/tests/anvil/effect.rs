//! Whether a call's effect is there, before and after.

use capstan_base::{Address, Amount, B256, U256};
use capstan_chain::deploy::transact;
use capstan_chain::{BlockTag, Call, ContractKind, Effect, LocalSigner, NewOffer, calls};

use crate::support::Chain;
use crate::{MODEL, amount, open, price, register, terms, voucher};

async fn effect(chain: &Chain, from: &LocalSigner, call: &Call) -> Effect {
    chain.client.effect(from.address(), call, BlockTag::Latest).await.unwrap()
}

/// Not done, then sent, then done; and still not done at the block before.
async fn check(chain: &Chain, from: &LocalSigner, call: &Call) {
    assert_eq!(effect(chain, from, call).await, Effect::NotDone, "before {call:?}");
    let receipt = transact(&chain.client, from, call).await.unwrap();
    assert_eq!(effect(chain, from, call).await, Effect::Done, "after {call:?}");
    let before = BlockTag::Number(receipt.block_number - 1);
    let earlier = chain.client.effect(from.address(), call, before).await.unwrap();
    assert_eq!(earlier, Effect::NotDone, "a block before {call:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosts_calls_are_done_once_the_registry_says_so() {
    let chain = Chain::start().await;
    let (client, owner, host) = (&chain.client, &chain.owner, &chain.host);
    let contracts = chain.deployed.contracts.clone();
    let (nodes, fab) =
        (contracts.node_registry, contracts.of(ContractKind::GovernanceToken).unwrap());
    let stake = client.min_stake().await.unwrap();

    let models = contracts.of(ContractKind::ModelRegistry).unwrap();
    check(&chain, owner, &calls::approve_model(models, MODEL, "file:model.gguf")).await;
    let fund = calls::erc20_transfer(fab, host.address(), stake.into());
    assert_eq!(effect(&chain, owner, &fund).await, Effect::Unknown);
    transact(client, owner, &fund).await.unwrap();
    check(&chain, host, &calls::erc20_approve(fab, nodes, stake.into())).await;

    let unbond = calls::start_unbonding(nodes);
    assert_eq!(effect(&chain, host, &unbond).await, Effect::Unknown, "not registered");
    let offers = [NewOffer { model: MODEL, token: Address::ZERO, price: price() }];
    let register =
        calls::register_node(nodes, stake, "http://host.example", "eu", B256::ZERO, &offers);
    check(&chain, host, &register).await;
    assert_eq!(effect(&chain, owner, &register).await, Effect::NotDone, "somebody else");
    let info = calls::update_info(nodes, "http://host.example", "eu", B256::ZERO);
    assert_eq!(effect(&chain, host, &info).await, Effect::Unknown);

    check(&chain, host, &unbond).await;
    check(&chain, host, &calls::cancel_unbonding(nodes)).await;
    transact(client, host, &unbond).await.unwrap();
    let day = 33 * 24 * 3_600;
    let _: serde_json::Value =
        client.pool().call("evm_increaseTime", serde_json::json!([day])).await.unwrap();
    let _: serde_json::Value = client.pool().call("evm_mine", serde_json::json!([])).await.unwrap();
    check(&chain, host, &calls::withdraw_stake(nodes)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_calls_are_done_once_its_slot_says_so() {
    let chain = Chain::start().await;
    register(&chain).await;
    let (client, market) = (&chain.client, chain.deployed.contracts.job_marketplace);
    let (host, renter, key) = (&chain.host, &chain.renter, LocalSigner::random());
    let first = terms(&chain, &key, 9).await;
    check(&chain, renter, &calls::create_session_job(market, &first)).await;
    let top_up = calls::top_up(market, &first, amount(5));
    assert_eq!(effect(&chain, renter, &top_up).await, Effect::Unknown);

    let presented = voucher(&chain, &key, &first, 700);
    let present = calls::present_voucher(market, &first, &presented);
    assert_eq!(effect(&chain, host, &present).await, Effect::NotDone, "still active");
    check(&chain, renter, &calls::request_session_close(market, &first, amount(3))).await;
    check(&chain, host, &present).await;
    // The contract takes a voucher above the deposit for the whole deposit.
    let above = voucher(&chain, &key, &first, 2_000_000);
    check(&chain, host, &calls::present_voucher(market, &first, &above)).await;
    let finalize = calls::finalize_session(market, &first);
    let timeout = calls::trigger_session_timeout(market, &first);
    assert_eq!(effect(&chain, host, &timeout).await, Effect::NotDone);
    let close = calls::complete_session_job(market, &first, Some(&above), first.deposit);
    check(&chain, host, &close).await;
    // Whoever closed it.
    for call in [&finalize, &timeout, &present] {
        assert_eq!(effect(&chain, renter, call).await, Effect::Done, "{call:?}");
    }

    let second = open(&chain, &key, 1).await.remove(0);
    let refund = calls::complete_session_job(market, &second, None, Amount::ZERO);
    check(&chain, host, &refund).await;
    let late = calls::present_voucher(market, &second, &voucher(&chain, &key, &second, 1));
    assert_eq!(effect(&chain, host, &late).await, Effect::NotDone, "closed at nothing");

    let elsewhere = Call { to: Address::repeat_byte(0x55), ..close.clone() };
    assert_eq!(effect(&chain, host, &elsewhere).await, Effect::Unknown);
    let damaged = Call { data: close.data.slice(..close.data.len() - 1), ..close };
    assert_eq!(effect(&chain, host, &damaged).await, Effect::Unknown);
    let plain = calls::native_transfer(renter.address(), U256::ONE);
    assert_eq!(effect(&chain, host, &plain).await, Effect::Unknown);
    let no_token = calls::erc20_approve(chain.deployed.contracts.node_registry, market, U256::ONE);
    assert_eq!(effect(&chain, host, &no_token).await, Effect::Unknown);
    assert!(client.marketplace().is_ok());
}
