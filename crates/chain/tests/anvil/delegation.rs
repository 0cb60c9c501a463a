//! An account that delegates to `SelfBatch`: probe, batch, failures, and the way back.

use std::time::Duration;

use capstan_base::{Address, ChainId, U256};
use capstan_chain::batch::{self, BatchKind, ItemOutcome};
use capstan_chain::bindings::decode_revert;
use capstan_chain::deploy::{deploy_self_batch, transact};
use capstan_chain::types::Receipt;
use capstan_chain::{
    BlockTag, Call, ChainClient, Delegation, GasEstimate, LocalSigner, SendOutcome, TxFields, calls,
};

use crate::support::{Chain, ETHER, bare};
use crate::{amount, open, register, voucher};

/// Sends with an authorization of the sender's own.
async fn send_delegating(
    client: &ChainClient,
    signer: &LocalSigner,
    call: &Call,
    delegate: Address,
) -> Receipt {
    let (chain, account) = (client.chain_id(), signer.address());
    let nonce = client.account_nonce(account, BlockTag::Latest).await.unwrap();
    let authorizations = vec![signer.authorize_own_code(chain, delegate, nonce).unwrap()];
    let estimate = client.estimate_delegating(account, call, &authorizations).await.unwrap();
    let GasEstimate::Gas(gas) = estimate else { panic!("{estimate:?}") };
    let fees = client.gas_price().await.unwrap().offer();
    let fields = TxFields::of_call(chain, nonce, call, gas + gas / 5, fees);
    let own_code = Some(delegate);
    let signed = signer.sign_transaction(&TxFields { own_code, ..fields }).unwrap();
    assert_eq!(client.send_raw(&signed.raw).await, SendOutcome::Accepted);
    loop {
        match client.receipt(signed.hash).await.unwrap() {
            Some(receipt) => return receipt,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_batch_brings_the_code_along_and_one_bad_call_fails_alone() {
    let chain = Chain::start().await;
    register(&chain).await;
    let (client, host) = (&chain.client, &chain.host);
    let (account, market) = (host.address(), chain.deployed.contracts.job_marketplace);
    let (code, _) = deploy_self_batch(client, &chain.owner).await.unwrap();
    assert_eq!(client.delegation(account).await.unwrap(), Delegation::None);
    assert_eq!(client.delegation(code).await.unwrap(), Delegation::Contract);
    assert!(client.supports_delegation(code).await.unwrap());
    client.verify_self_batch(code).await.unwrap();
    assert!(client.verify_self_batch(market).await.is_err());
    assert!(client.verify_self_batch(Address::repeat_byte(0x99)).await.is_err());

    let (key, to) = (LocalSigner::random(), Address::repeat_byte(0x99));
    let terms = open(&chain, &key, 2).await;
    let close = |place: usize, owed| {
        let signed = voucher(&chain, &key, &terms[place], owed);
        calls::complete_session_job(market, &terms[place], Some(&signed), amount(owed))
    };
    let above = close(1, terms[1].deposit.base_units() + 1);
    let all = [close(0, 1_000), above, calls::native_transfer(to, ETHER)];
    let all: Vec<_> = all.iter().collect();
    let kind = BatchKind::SelfCall { account };
    let merged = batch::merge(kind, &all).unwrap();

    // Without the code the same transaction succeeds and does nothing.
    let idle = transact(client, host, &merged).await.unwrap();
    assert!(idle.success);
    let outcomes = batch::outcomes(kind, &all, &idle);
    assert!(outcomes.iter().all(|outcome| *outcome != ItemOutcome::Done), "{outcomes:?}");

    let receipt = send_delegating(client, host, &merged, code).await;
    assert_eq!(client.delegation(account).await.unwrap(), Delegation::To(code));
    let outcomes = batch::outcomes(kind, &all, &receipt);
    let [ItemOutcome::Done, ItemOutcome::Failed { reason }, ItemOutcome::Done] = &outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    assert_eq!(decode_revert(reason), "AmountAboveDeposit { amount: 1000001, deposit: 1000000 }");
    assert!(client.closing_in(&chain.key(terms[0].id()), &receipt).unwrap().is_some());
    assert_eq!(client.balance(to).await.unwrap(), ETHER);

    // From now on an ordinary transaction will do; a stranger's is refused by the code.
    let next = [close(1, 1_000), calls::withdraw(market, Address::ZERO, account)];
    let next: Vec<_> = next.iter().collect();
    let merged = batch::merge(kind, &next).unwrap();
    let estimate = client.estimate_gas(chain.renter.address(), &merged).await.unwrap();
    let GasEstimate::Revert(data) = estimate else { panic!("{estimate:?}") };
    assert!(decode_revert(&data).starts_with("NotSelf"), "{}", decode_revert(&data));
    let receipt = transact(client, host, &merged).await.unwrap();
    assert_eq!(batch::outcomes(kind, &next, &receipt), [ItemOutcome::Done, ItemOutcome::Done]);

    // Coins still arrive, and the account can have its old self back.
    let gift = calls::native_transfer(account, ETHER);
    transact(client, &chain.renter, &gift).await.unwrap();
    let nothing = calls::native_transfer(to, U256::ZERO);
    let receipt = send_delegating(client, host, &nothing, Address::ZERO).await;
    // 21,000 and 25,000, less a fifth: the most that is given back of the 12,500 for an account that exists.
    assert_eq!(receipt.gas_used, 36_800);
    assert_eq!(client.delegation(account).await.unwrap(), Delegation::None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_before_prague_has_no_delegation() {
    let (_anvil, config) = bare("cancun").await;
    assert_eq!(config.chain_id, ChainId(84_532));
    let client = ChainClient::connect(config);
    assert!(!client.supports_delegation(Address::repeat_byte(1)).await.unwrap());
}
