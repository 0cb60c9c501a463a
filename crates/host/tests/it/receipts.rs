//! Receipts: what is signed is stored, never contradicts itself, and is what is claimed.

use core::time::Duration;

use capstan_base::{Amount, Receipt, SignedReceipt};
use capstan_chain::calls::claimed_in;
use capstan_host::HostConfig;
use capstan_host::session::Command;
use capstan_store::SessionState;
use capstan_wire::session::{EndReason, FromHost, FromRenter};

use crate::fixture::{per_token, units};
use crate::stage::{Renter, Stage, config};

const PROMPT: &[u32] = &[11, 12, 13, 14, 15];

fn receipt_of(frame: &FromHost) -> Option<&SignedReceipt> {
    match frame {
        FromHost::VoucherAccepted { receipt, .. } | FromHost::Ended { receipt, .. } => {
            receipt.as_ref()
        }
        _ => None,
    }
}

/// Reads on until a frame is as wanted, paying what is asked; every receipt on the way is the host's.
async fn receipts_until(
    stage: &Stage,
    renter: &mut Renter,
    wanted: impl Fn(&FromHost) -> bool,
) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    loop {
        let frame = renter.until(|frame| receipt_of(frame).is_some() || wanted(frame)).await;
        if let Some(signed) = receipt_of(&frame) {
            assert_eq!(signed.verify(&stage.key, stage.terms.host), Ok(()));
            receipts.push(signed.receipt);
        }
        if wanted(&frame) {
            return receipts;
        }
    }
}

fn finished(frame: &FromHost) -> bool {
    matches!(frame, FromHost::Finished { .. })
}

fn ended(frame: &FromHost) -> bool {
    matches!(frame, FromHost::Ended { .. })
}

/// The last receipt of a session that is ended for this reason without another word from its renter.
async fn last(stage: &Stage, renter: &mut Renter, reason: EndReason) -> Option<Receipt> {
    stage.session.send(Command::End(reason)).await;
    loop {
        let frame = renter.next().await.unwrap();
        if let FromHost::Ended { receipt, .. } = frame {
            return receipt.map(|signed| {
                assert_eq!(signed.verify(&stage.key, stage.terms.host), Ok(()));
                assert!(signed.receipt.last);
                signed.receipt
            });
        }
    }
}

async fn claimed(stage: &Stage) -> Amount {
    stage.ended().await;
    let Some(intent) = stage.claimed().await else { return Amount::ZERO };
    claimed_in(&intent.request.data).unwrap()
}

#[tokio::test]
async fn an_accepted_voucher_is_signed_for_and_the_last_receipt_is_the_claim() {
    let stage = Stage::new(20, 1000, per_token(1, 3), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    let mut receipts = receipts_until(&stage, &mut renter, finished).await;
    renter.send(FromRenter::End).await;
    receipts.extend(receipts_until(&stage, &mut renter, ended).await);
    assert!(receipts.len() > 2, "{receipts:?}");
    let last = receipts.pop().unwrap();
    assert!(receipts.iter().all(|receipt| !receipt.last));
    assert!(receipts.is_sorted_by_key(|receipt| receipt.tokens));
    let stated = renter.tally.voucher(stage.key.session_id).unwrap();
    assert_eq!(last, Receipt { last: true, ..Receipt::of(&stated) });
    assert_eq!(claimed(&stage).await, last.amount);
}

#[tokio::test]
async fn no_crash_makes_a_receipt_untrue() {
    let mut stage = Stage::new(30, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    let mut receipts = Vec::new();
    for connection in 1..4 {
        stage.attach(connection, &mut renter).await.unwrap();
        renter.ask(connection, PROMPT, None).await;
        receipts.extend(receipts_until(&stage, &mut renter, finished).await);
        // Whatever was served after the newest voucher is lost, and served again otherwise.
        renter.ask(connection + 100, &PROMPT[1..], Some(2)).await;
        renter.until(|frame| matches!(frame, FromHost::Chunk(_))).await;
        stage.restart().await;
        renter = stage.renter();
        let record = stage.record().await;
        let (voucher, tally) = (record.voucher.unwrap(), record.tally);
        renter.tally = capstan_base::Tally::resume(stage.price, tally.clone()).unwrap();
        renter.newest = Some(capstan_wire::session::NewestVoucher { voucher, tally });
    }
    stage.attach(9, &mut renter).await.unwrap();
    receipts.extend(last(&stage, &mut renter, EndReason::Idle).await);
    assert!(receipts.len() > 6, "{receipts:?}");
    for one in &receipts {
        assert!(receipts.iter().all(|other| !one.contradicts(other)), "{receipts:?}");
    }
    assert_eq!(claimed(&stage).await, receipts.last().unwrap().amount);
}

#[tokio::test]
async fn a_last_receipt_claims_no_token_that_was_not_signed_for() {
    let stage = Stage::new(40, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    while renter.tally.tokens() < 8 {
        renter.next().await.unwrap();
    }
    let paid = renter.voucher().voucher;
    renter.send(FromRenter::Voucher(paid.clone())).await;
    while renter.tally.tokens() < 12 {
        renter.next().await.unwrap();
    }
    let last = last(&stage, &mut renter, EndReason::Disconnect).await.unwrap();
    assert_eq!(last, Receipt { last: true, ..Receipt::of(&paid.voucher) });
    assert_eq!(claimed(&stage).await, units(8));
}

#[tokio::test]
async fn a_session_without_a_voucher_ends_with_a_receipt_over_nothing() {
    let stage = Stage::new(40, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    while renter.tally.tokens() < 8 {
        renter.next().await.unwrap();
    }
    let last = last(&stage, &mut renter, EndReason::Disconnect).await.unwrap();
    assert_eq!((last.amount, last.tokens), (Amount::ZERO, 8));
    assert_eq!(last.transcript_root, renter.tally.root());
    assert_eq!(stage.ended().await.state, SessionState::Abandoned);
}

/// A voucher signed ahead of the work: the receipt that counts is the one over what was served.
#[tokio::test]
async fn a_ceiling_gets_no_receipt_but_the_last_below_it() {
    let stage = Stage::new(10, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    let ceiling = renter.ceiling(units(500));
    renter.send(FromRenter::Voucher(ceiling)).await;
    let accepted = |frame: &FromHost| matches!(frame, FromHost::VoucherAccepted { .. });
    let accepted = renter.until(accepted).await;
    assert!(matches!(accepted, FromHost::VoucherAccepted { receipt: None, .. }), "{accepted:?}");
    renter.ask(1, PROMPT, None).await;
    renter.until(finished).await;
    let last = last(&stage, &mut renter, EndReason::Idle).await.unwrap();
    assert_eq!((last.amount, last.tokens), (units(15), 15));
    assert_eq!(claimed(&stage).await, units(15));
}

#[tokio::test]
async fn a_session_that_ended_before_gets_no_last_receipt() {
    let stage = Stage::new(10, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    stage.store.settle_session(stage.key, "somebody else", None).await.unwrap();
    assert_eq!(last(&stage, &mut renter, EndReason::Idle).await, None);
}

#[tokio::test]
async fn a_host_without_the_key_gives_none() {
    let short = HostConfig { grace: Duration::from_secs(60), ..config() };
    let mut stage = Stage::new(20, 1000, per_token(1, 1), short).await;
    stage.context.receipts = None;
    stage.restart().await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    let receipts = receipts_until(&stage, &mut renter, finished).await;
    assert_eq!(receipts, Vec::<Receipt>::new());
    renter.until_paid().await;
    assert_eq!(last(&stage, &mut renter, EndReason::Idle).await, None);
}
