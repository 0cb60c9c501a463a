//! The link against a scripted host: it pays what it counted, comes back, and refuses the rest.

use capstan_base::{Amount, Tally};
use capstan_renter::RenterError;
use capstan_renter::link::Answer;
use capstan_wire::openai::AnswerEvent;
use capstan_wire::session::{EndReason, FromHost, FromRenter};
use capstan_wire::{ApiError, ErrorCode};
use tokio::task::JoinHandle;

use crate::host::{Host, Peer, chunk, prompt};

const PROMPT: &[u32] = &[11, 12, 13];

pub type Asked = JoinHandle<Result<Answer, RenterError>>;

fn ask(host: &Host, max_tokens: Option<u64>) -> Asked {
    let link = host.link.clone();
    tokio::spawn(async move { link.ask(prompt(PROMPT, max_tokens)).await })
}

pub async fn drain(mut answer: Answer) -> (usize, Option<AnswerEvent>) {
    let (mut tokens, mut last) = (0, None);
    while let Some(event) = answer.events.recv().await {
        tokens += usize::from(matches!(event, AnswerEvent::Token { .. }));
        last = Some(event);
    }
    (tokens, last)
}

pub async fn paid(peer: &mut Peer) -> (Amount, u64) {
    match peer.receive().await {
        Some(FromRenter::Voucher(signed)) => (signed.voucher.amount, signed.voucher.tokens),
        other => panic!("{other:?}"),
    }
}

/// A host, attached, that has accepted one prompt.
pub async fn asked(budget: u128, max_tokens: Option<u64>) -> (Host, Peer, Tally, u64, Asked) {
    let host = Host::new(budget).await;
    let (mut peer, _) = host.attach(None, None).await;
    let answer = ask(&host, max_tokens);
    let prompt = peer.prompt().await;
    let mut tally = Tally::new(host.price);
    peer.accept(&mut tally, &prompt).await;
    (host, peer, tally, prompt.request_id, answer)
}

/// The renter has refused: it hangs up, says why, and has signed no more than `signed`.
pub async fn refused(host: &Host, mut peer: Peer, word: &str, signed: u128) {
    while let Some(frame) = peer.receive().await {
        assert!(!matches!(frame, FromRenter::Voucher(_)), "{frame:?}");
    }
    let why = host.link.over().await.to_string();
    assert!(why.contains(word), "{why}");
    assert_eq!(host.link.status().signed.base_units(), signed);
}

#[tokio::test]
async fn an_answer_is_delivered_paid_and_stored() {
    let (host, mut peer, mut tally, id, answer) = asked(1000, None).await;
    peer.serve(&mut tally, id, &[20, 21, 22]).await;
    peer.bill(&tally).await;
    assert_eq!(paid(&mut peer).await, (Amount::new(6).unwrap(), 6));
    peer.finish(id).await;
    let (tokens, last) = drain(answer.await.unwrap().unwrap()).await;
    assert_eq!(tokens, 3);
    assert!(matches!(last, Some(AnswerEvent::Finished { .. })));
    let rental = host.store.rental(host.key).await.unwrap().unwrap();
    assert_eq!(rental.voucher.unwrap().voucher.tokens, 6);
    assert_eq!(rental.tally, tally.state());
}

#[tokio::test]
async fn the_end_pays_what_is_still_open() {
    let (host, mut peer, mut tally, id, answer) = asked(1000, None).await;
    peer.serve(&mut tally, id, &[20, 21]).await;
    peer.finish(id).await;
    drain(answer.await.unwrap().unwrap()).await;
    let link = host.link.clone();
    let ending = tokio::spawn(async move { link.end().await });
    assert_eq!(paid(&mut peer).await, (Amount::new(5).unwrap(), 5));
    assert_eq!(peer.receive().await, Some(FromRenter::End));
    peer.send(FromHost::Ended { reason: EndReason::End, receipt: None }).await;
    ending.await.unwrap();
    assert_eq!(host.link.status().ended, Some(EndReason::End));
}

#[tokio::test]
async fn a_drop_is_bridged_and_what_was_missed_is_counted() {
    let (host, mut peer, mut tally, id, answer) = asked(1000, None).await;
    peer.serve(&mut tally, id, &[20, 21]).await;
    peer.bill(&tally).await;
    paid(&mut peer).await;
    drop(peer);
    let (mut peer, init) = host.attach(None, Some(id)).await;
    assert_eq!(init.have, 5);
    assert_eq!(init.newest.unwrap().voucher.voucher.tokens, 5);
    peer.serve(&mut tally, id, &[22]).await;
    peer.finish(id).await;
    let (tokens, last) = drain(answer.await.unwrap().unwrap()).await;
    assert_eq!(tokens, 3);
    assert!(matches!(last, Some(AnswerEvent::Finished { .. })));
    assert_eq!(host.link.status().reconnects, 1);
}

#[tokio::test]
async fn a_request_the_host_never_got_is_asked_again() {
    let host = Host::new(1000).await;
    let (mut peer, _) = host.attach(None, None).await;
    let answer = ask(&host, None);
    let first = peer.prompt().await;
    drop(peer);
    let (mut peer, _) = host.attach(None, None).await;
    let again = peer.prompt().await;
    assert!(again.request_id > first.request_id);
    let mut tally = Tally::new(host.price);
    peer.accept(&mut tally, &again).await;
    peer.serve(&mut tally, again.request_id, &[20]).await;
    peer.finish(again.request_id).await;
    assert_eq!(drain(answer.await.unwrap().unwrap()).await.0, 1);
}

#[tokio::test]
async fn an_answer_the_host_lost_fails_and_the_link_goes_on() {
    let (host, mut peer, mut tally, id, answer) = asked(1000, None).await;
    peer.serve(&mut tally, id, &[20]).await;
    peer.bill(&tally).await;
    paid(&mut peer).await;
    let answer = answer.await.unwrap().unwrap();
    drop(peer);
    let (mut peer, _) = host.attach(None, None).await;
    let next = ask(&host, None);
    let prompt = peer.prompt().await;
    let (_, last) = drain(answer).await;
    let Some(AnswerEvent::Failed(error)) = last else { panic!("{last:?}") };
    assert_eq!(error.code, ErrorCode::SessionClosed);
    peer.accept(&mut tally, &prompt).await;
    peer.finish(prompt.request_id).await;
    next.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_voucher_that_was_lost_is_sent_again_when_asked_for() {
    let (_host, mut peer, tally, _, _answer) = asked(1000, None).await;
    for _ in 0..2 {
        peer.bill(&tally).await;
        assert_eq!(paid(&mut peer).await, (Amount::new(3).unwrap(), 3));
    }
}

#[tokio::test]
async fn an_over_count_is_refused_and_the_session_left() {
    let (host, mut peer, mut tally, id, answer) = asked(1000, None).await;
    peer.serve(&mut tally, id, &[20]).await;
    let mut padded = tally.clone();
    padded.push_output(21, b"x");
    peer.bill(&padded).await;
    refused(&host, peer, "over-count of 1 tokens and 1 base units", 0).await;
    let (_, last) = drain(answer.await.unwrap().unwrap()).await;
    assert!(matches!(last, Some(AnswerEvent::Failed(_))));
}

#[tokio::test]
async fn another_transcript_for_the_same_count_is_refused() {
    let (host, mut peer, mut tally, id, _answer) = asked(1000, None).await;
    let mut other = tally.clone();
    peer.serve(&mut tally, id, &[20]).await;
    other.push_output(21, b"x");
    peer.bill(&other).await;
    refused(&host, peer, "transcript root differs", 0).await;
}

#[tokio::test]
async fn the_budget_is_the_end() {
    let (host, mut peer, mut tally, id, _answer) = asked(4, None).await;
    peer.serve(&mut tally, id, &[20]).await;
    peer.bill(&tally).await;
    assert_eq!(paid(&mut peer).await.0, Amount::new(4).unwrap());
    peer.serve(&mut tally, id, &[21]).await;
    peer.bill(&tally).await;
    refused(&host, peer, "exceeds the budget", 4).await;
}

#[tokio::test]
async fn tokens_that_nobody_asked_for_are_not_billed() {
    let host = Host::new(1000).await;
    let (mut peer, _) = host.attach(None, None).await;
    // A few could be the tail of a former process; a stream of them is not.
    for index in 0..300 {
        peer.send(chunk(77, index, 20)).await;
    }
    refused(&host, peer, "not asked for", 0).await;
}

#[tokio::test]
async fn more_tokens_than_asked_for_are_not_billed() {
    let (host, mut peer, mut tally, id, _answer) = asked(1000, Some(2)).await;
    peer.serve(&mut tally, id, &[20, 21, 22]).await;
    refused(&host, peer, "not asked for", 0).await;
}

#[tokio::test]
async fn a_prompt_is_billed_once() {
    let (host, mut peer, _tally, request_id, _answer) = asked(1000, None).await;
    peer.send(FromHost::PromptAccepted { request_id, index: 3, input_tokens: 3 }).await;
    refused(&host, peer, "not asked for", 0).await;
}

#[tokio::test]
async fn tokens_before_the_prompt_was_counted_are_refused() {
    let host = Host::new(1000).await;
    let (mut peer, _) = host.attach(None, None).await;
    let _answer = ask(&host, None);
    let prompt = peer.prompt().await;
    peer.send(chunk(prompt.request_id, 0, 20)).await;
    refused(&host, peer, "not asked for", 0).await;
}

#[tokio::test]
async fn a_refused_prompt_fails_alone() {
    let host = Host::new(1000).await;
    let (mut peer, _) = host.attach(None, None).await;
    let answer = ask(&host, None);
    let request_id = Some(peer.prompt().await.request_id);
    let error = ApiError::new(ErrorCode::Overloaded, "busy");
    peer.send(FromHost::Error { error, request_id, fatal: false }).await;
    let Err(RenterError::Host(error)) = answer.await.unwrap() else { panic!() };
    assert_eq!(error.code, ErrorCode::Overloaded);
    let next = ask(&host, None);
    assert!(Some(peer.prompt().await.request_id) > request_id);
    drop((peer, next));
}

#[tokio::test]
async fn a_session_taken_over_is_not_fought_for() {
    let host = Host::new(1000).await;
    let (mut peer, _) = host.attach(None, None).await;
    let error = ApiError::new(ErrorCode::SessionTaken, "another connection took it");
    peer.send(FromHost::Error { error, request_id: None, fatal: true }).await;
    refused(&host, peer, "session_taken", 0).await;
}

#[tokio::test]
async fn a_host_that_goes_back_behind_the_newest_voucher_is_left() {
    let (host, mut peer, tally, _, _answer) = asked(1000, None).await;
    peer.bill(&tally).await;
    paid(&mut peer).await;
    drop(peer);
    let (peer, _) = host.attach(Some(1), None).await;
    refused(&host, peer, "goes on from token 1", 3).await;
}

#[tokio::test]
async fn a_request_of_a_former_process_is_cancelled() {
    let host = Host::new(1000).await;
    let (mut peer, _) = host.attach(None, Some(42)).await;
    assert_eq!(peer.receive().await, Some(FromRenter::Cancel { request_id: 42 }));
}

#[tokio::test]
async fn a_passing_refusal_is_tried_again_and_a_lasting_one_is_not() {
    let host = Host::new(1000).await;
    for (code, fatal) in [(ErrorCode::UnknownSession, false), (ErrorCode::PriceMismatch, true)] {
        let mut peer = host.connect().await;
        peer.receive().await.unwrap();
        let error = ApiError::new(code, "no");
        peer.send(FromHost::Error { error, request_id: None, fatal: false }).await;
        if fatal {
            refused(&host, peer, "price_mismatch", 0).await;
        }
    }
}

#[tokio::test]
async fn a_link_that_nobody_holds_leaves_once_its_answer_is_over() {
    let (host, mut peer, mut tally, id, answer) = asked(1000, None).await;
    let answer = answer.await.unwrap().unwrap();
    drop(host);
    peer.serve(&mut tally, id, &[20]).await;
    peer.finish(id).await;
    assert_eq!(drain(answer).await.0, 1);
    assert_eq!(peer.receive().await, None);
}
