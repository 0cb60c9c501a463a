//! Closes merged into the marketplace's own batch, against the same closes sent alone.

use capstan_base::{Amount, Signature65};
use capstan_chain::batch::{self, BatchKind, ItemOutcome};
use capstan_chain::bindings::decode_revert;
use capstan_chain::deploy::transact;
use capstan_chain::{BlockTag, Call, GasEstimate, LocalSigner, SessionStatus, calls};

use crate::support::Chain;
use crate::{amount, open, register, voucher};

/// What each call would be refused with alone; `None` if it would not.
async fn alone(chain: &Chain, calls: &[&Call]) -> Vec<Option<String>> {
    let mut refusals = Vec::new();
    for call in calls {
        let estimate = chain.client.estimate_gas(chain.host.address(), call).await.unwrap();
        refusals.push(match estimate {
            GasEstimate::Gas(_) => None,
            GasEstimate::Revert(data) => Some(decode_revert(&data)),
        });
    }
    refusals
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_closes_end_as_they_would_have_alone() {
    let chain = Chain::start().await;
    register(&chain).await;
    let (client, market) = (&chain.client, chain.deployed.contracts.job_marketplace);
    let (key, stranger) = (LocalSigner::random(), LocalSigner::random());
    let terms = open(&chain, &key, 6).await;
    let close = |place: usize, signer, claim| {
        let voucher = voucher(&chain, signer, &terms[place], 1_000);
        calls::complete_session_job(market, &terms[place], Some(&voucher), amount(claim))
    };
    let mut never_opened = terms[0].clone();
    never_opened.salt.0[0] ^= 1;
    let all = [
        close(0, &key, 1_000),
        close(1, &stranger, 1_000),
        close(2, &key, 1_001),
        close(3, &key, 999),
        calls::complete_session_job(market, &terms[4], None, Amount::ZERO),
        calls::complete_session_job(market, &terms[5], None, amount(1)),
        calls::complete_session_job(market, &never_opened, None, Amount::ZERO),
    ];
    let all: Vec<_> = all.iter().collect();
    let kind = BatchKind::Completions { marketplace: market };
    assert!(all.iter().all(|call| batch::native_kind(call) == Some(kind)));
    let expected = alone(&chain, &all).await;
    assert_eq!(expected.iter().filter(|refusal| refusal.is_none()).count(), 3);

    let merged = batch::merge(kind, &all).unwrap();
    let receipt = transact(client, &chain.host, &merged).await.unwrap();
    let outcomes = batch::outcomes(kind, &all, &receipt);
    let refusals = outcomes.into_iter().map(|outcome| match outcome {
        ItemOutcome::Done => None,
        ItemOutcome::Failed { reason } => Some(decode_revert(&reason)),
    });
    assert_eq!(refusals.collect::<Vec<_>>(), expected);
    for (terms, refusal) in terms.iter().zip(expected) {
        let state = client.session(terms.id(), BlockTag::Latest).await.unwrap();
        assert_eq!(state.status == SessionStatus::Closed, refusal.is_none());
    }

    // What the packed form cannot say is no batch, and is refused alone for its own reason.
    let mut signed = voucher(&chain, &key, &terms[1], 1_000);
    signed.signature = Signature65(signed.signature.0.slice(..64));
    let short = calls::complete_session_job(market, &terms[1], Some(&signed), amount(1_000));
    assert_eq!(batch::native_kind(&short), None);
    assert_eq!(alone(&chain, &[&short]).await, [Some("BadSignature".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_one_is_the_close_itself() {
    let chain = Chain::start().await;
    register(&chain).await;
    let market = chain.deployed.contracts.job_marketplace;
    let key = LocalSigner::random();
    let terms = open(&chain, &key, 1).await;
    let signed = voucher(&chain, &key, &terms[0], 1_000);
    let close = calls::complete_session_job(market, &terms[0], Some(&signed), amount(1_000));
    let kind = batch::native_kind(&close).unwrap();
    let merged = batch::merge(kind, &[&close]).unwrap();
    assert_eq!(merged, close);
    let receipt = transact(&chain.client, &chain.host, &merged).await.unwrap();
    assert_eq!(batch::outcomes(kind, &[&close], &receipt), [ItemOutcome::Done]);
}
