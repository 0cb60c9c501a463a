//! Receipts of a scripted host: kept, compared with this side's count, and the end of it if they lie.

use capstan_base::{Amount, B256, Receipt, SignedReceipt, Tally};
use capstan_store::Rental;
use capstan_wire::session::{EndReason, FromHost, FromRenter};

use crate::host::{Host, Peer};
use crate::link::{Asked, asked, paid, refused};

async fn rental(host: &Host) -> Rental {
    host.store.rental(host.key).await.unwrap().unwrap()
}

fn receipt(host: &Host, tally: &Tally) -> Receipt {
    Receipt::of(&tally.voucher(host.key.session_id).unwrap())
}

fn accepted(receipt: SignedReceipt) -> FromHost {
    let Receipt { amount, tokens, .. } = receipt.receipt;
    FromHost::VoucherAccepted { amount, tokens, receipt: Some(receipt) }
}

/// A host that has served three tokens after a prompt of three, and was paid for them. The answer is
/// kept: one that nobody reads is cancelled.
async fn served() -> (Host, Peer, Tally, u64, Asked) {
    let (host, mut peer, mut tally, id, answer) = asked(1000, None).await;
    peer.serve(&mut tally, id, &[20, 21, 22]).await;
    peer.bill(&tally).await;
    paid(&mut peer).await;
    (host, peer, tally, id, answer)
}

/// Waits until everything sent so far was taken: the next bill is answered after it.
async fn taken(peer: &mut Peer, tally: &mut Tally, id: u64) {
    peer.serve(tally, id, &[23]).await;
    peer.bill(tally).await;
    paid(peer).await;
}

#[tokio::test]
async fn the_newest_receipt_is_kept_and_the_last_one_after_the_end() {
    let (host, mut peer, mut tally, id, _answer) = served().await;
    let first = host.sign(receipt(&host, &tally));
    peer.send(accepted(first.clone())).await;
    taken(&mut peer, &mut tally, id).await;
    assert_eq!(rental(&host).await.receipt, Some(first));
    let second = host.sign(receipt(&host, &tally));
    peer.send(accepted(second)).await;
    let last = host.sign(Receipt { last: true, ..receipt(&host, &tally) });
    peer.send(FromHost::Ended { reason: EndReason::Idle, receipt: Some(last.clone()) }).await;
    host.link.over().await;
    assert_eq!(host.link.status().ended, Some(EndReason::Idle));
    assert_eq!(host.link.status().refusals, Vec::<String>::new());
    let rental = rental(&host).await;
    assert_eq!((rental.receipt, rental.contradiction), (Some(last), None));
}

/// A voucher may be on its way while the one before it is acknowledged.
#[tokio::test]
async fn a_receipt_of_an_earlier_voucher_is_good() {
    let (host, mut peer, mut tally, id, _answer) = served().await;
    let first = host.sign(receipt(&host, &tally));
    taken(&mut peer, &mut tally, id).await;
    peer.serve(&mut tally, id, &[24]).await;
    peer.send(accepted(first.clone())).await;
    taken(&mut peer, &mut tally, id).await;
    assert_eq!(rental(&host).await.receipt, Some(first));
}

/// Less than was counted here may be said to be owed: what was not signed for is not claimed.
#[tokio::test]
async fn a_last_receipt_below_this_sides_count_is_good() {
    let (host, mut peer, mut tally, id, _answer) = served().await;
    let paid = receipt(&host, &tally);
    peer.serve(&mut tally, id, &[23, 24]).await;
    let last = host.sign(Receipt { last: true, ..paid });
    peer.send(FromHost::Ended { reason: EndReason::Idle, receipt: Some(last.clone()) }).await;
    host.link.over().await;
    assert_eq!(host.link.status().ended, Some(EndReason::Idle));
    assert_eq!(rental(&host).await.receipt, Some(last));
}

#[tokio::test]
async fn a_receipt_that_is_not_this_sides_count_ends_the_link_and_is_kept() {
    for change in [
        (|receipt| Receipt { transcript_root: B256::ZERO, ..receipt }) as fn(Receipt) -> Receipt,
        |receipt| Receipt { amount: Amount::new(7).unwrap(), ..receipt },
        |receipt| Receipt { tokens: 7, ..receipt },
        |receipt| Receipt { tokens: 5, amount: Amount::new(7).unwrap(), ..receipt },
    ] {
        let (host, mut peer, tally, _, _answer) = served().await;
        let wrong = host.sign(change(receipt(&host, &tally)));
        peer.send(accepted(wrong.clone())).await;
        refused(&host, peer, "not what this side counted", 6).await;
        assert_eq!(rental(&host).await.receipt, Some(wrong));
    }
}

#[tokio::test]
async fn a_last_receipt_above_this_sides_count_is_no_good_end() {
    let (host, mut peer, tally, _, _answer) = served().await;
    let amount = Amount::new(7).unwrap();
    let wrong = host.sign(Receipt { amount, last: true, ..receipt(&host, &tally) });
    peer.send(FromHost::Ended { reason: EndReason::Idle, receipt: Some(wrong) }).await;
    refused(&host, peer, "not what this side counted", 6).await;
}

#[tokio::test]
async fn two_receipts_that_contradict_each_other_are_kept_as_evidence() {
    let (host, mut peer, mut tally, id, _answer) = served().await;
    let first = host.sign(receipt(&host, &tally));
    peer.send(accepted(first.clone())).await;
    taken(&mut peer, &mut tally, id).await;
    let second = host.sign(Receipt { amount: Amount::new(5).unwrap(), ..first.receipt });
    peer.send(accepted(second.clone())).await;
    refused(&host, peer, "contradict each other", 7).await;
    let rental = rental(&host).await;
    assert_eq!((rental.receipt, rental.contradiction), (Some(first), Some(second)));
}

#[tokio::test]
async fn what_proves_nothing_is_left_aside() {
    let (host, mut peer, mut tally, id, _answer) = served().await;
    let good = receipt(&host, &tally);
    let mut forged = host.sign(good);
    forged.receipt.amount = Amount::new(7).unwrap();
    peer.send(accepted(forged)).await;
    let session_id = capstan_base::SessionId(B256::ZERO);
    peer.send(accepted(host.sign(Receipt { session_id, ..good }))).await;
    taken(&mut peer, &mut tally, id).await;
    assert_eq!(rental(&host).await.receipt, None);
    peer.finish(id).await;
    let link = host.link.clone();
    tokio::spawn(async move { link.end().await });
    assert_eq!(peer.receive().await, Some(FromRenter::End));
}
