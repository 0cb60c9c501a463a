//! Requests over HTTP: served under a signed ceiling, never above it.

use capstan_base::SignedVoucher;
use capstan_host::session::{Command, Started};
use capstan_store::SessionState;
use capstan_wire::openai::{AnswerEvent, ChatRequest, CompletionRequest, GenerationRequest};
use capstan_wire::session::{EndReason, FinishReason};
use capstan_wire::{ApiError, ErrorCode};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::fixture::{per_token, units};
use crate::stage::{Stage, config};

fn request(model: &str) -> GenerationRequest {
    let body = json!({ "model": model, "prompt": [11, 12, 13, 14, 15] });
    serde_json::from_value::<CompletionRequest>(body).unwrap().into_generation().unwrap()
}

async fn start(
    stage: &Stage,
    request: GenerationRequest,
    ceiling: &SignedVoucher,
) -> Result<(Started, mpsc::Receiver<AnswerEvent>), ApiError> {
    let (events, receiver) = mpsc::channel(4);
    let (reply, answer) = oneshot::channel();
    let (request, ceiling) = (Box::new(request), Box::new(ceiling.clone()));
    stage.session.send(Command::Generate { request, ceiling, events, reply }).await;
    Ok((answer.await.unwrap()?, receiver))
}

async fn read(mut events: mpsc::Receiver<AnswerEvent>) -> (usize, FinishReason) {
    let mut tokens = 0;
    loop {
        match events.recv().await.unwrap() {
            AnswerEvent::Token { .. } => tokens += 1,
            AnswerEvent::Finished { reason, .. } => return (tokens, reason),
            AnswerEvent::Failed(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn an_answer_ends_at_the_ceiling_and_is_claimed_to_the_token() {
    let stage = Stage::new(100, 1000, per_token(1, 1), config()).await;
    let ceiling = stage.renter().ceiling(units(25));
    let (started, events) = start(&stage, request(""), &ceiling).await.unwrap();
    assert_eq!(started.prompt_ids, [11, 12, 13, 14, 15]);
    assert_eq!(read(events).await, (20, FinishReason::Length));
    let refused = start(&stage, request(""), &ceiling).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::PaymentRequired);
    stage.session.send(Command::End(EndReason::Idle)).await;
    let record = stage.ended().await;
    assert_eq!((record.state, record.tally.frontier.size), (SessionState::Settling, 25));
}

#[tokio::test]
async fn less_than_the_ceiling_is_claimed_if_less_was_served() {
    let mut stage = Stage::new(10, 1000, per_token(1, 1), config()).await;
    let ceiling = stage.renter().ceiling(units(500));
    let (_, events) = start(&stage, request("tiny"), &ceiling).await.unwrap();
    assert_eq!(read(events).await, (10, FinishReason::Stop));
    // The tally is stored with the end of the answer, so a crash does not raise the claim.
    let (_, events) = start(&stage, request("tiny"), &ceiling).await.unwrap();
    read(events).await;
    let record = stage.record().await;
    assert_eq!(record.tally.frontier.size, 30);
    stage.restart().await;
    let (_, events) = start(&stage, request("tiny"), &ceiling).await.unwrap();
    read(events).await;
    assert_eq!(stage.record().await.tally.frontier.size, 45);
}

#[tokio::test]
async fn a_ceiling_that_is_not_the_keys_or_above_the_deposit_serves_nothing() {
    let stage = Stage::new(10, 100, per_token(1, 1), config()).await;
    let mut forged = stage.renter().ceiling(units(50));
    forged.voucher.amount = units(51);
    let high = stage.renter().ceiling(units(101));
    let none = stage.renter().ceiling(units(5));
    for (ceiling, code) in [
        (forged, ErrorCode::BadSignature),
        (high, ErrorCode::VoucherOverDeposit),
        (none, ErrorCode::PaymentRequired),
    ] {
        let refused = start(&stage, request(""), &ceiling).await.unwrap_err();
        assert_eq!(refused.code, code);
    }
    assert_eq!(stage.record().await.tally.frontier.size, 0);
}

#[tokio::test]
async fn another_model_or_a_second_request_is_refused() {
    let stage = Stage::new(50, 1000, per_token(1, 1), config()).await;
    let ceiling = stage.renter().ceiling(units(500));
    let refused = start(&stage, request("gpt-5"), &ceiling).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::ModelNotFound);
    let (_, events) = start(&stage, request(""), &ceiling).await.unwrap();
    let refused = start(&stage, request(""), &ceiling).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RequestRunning);
    drop(events);
    // The client hung up: the session is free again, and what it was sent is all that is counted.
    let body = json!({ "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 2 });
    loop {
        let chat: ChatRequest = serde_json::from_value(body.clone()).unwrap();
        match start(&stage, chat.into_generation().unwrap(), &ceiling).await {
            Ok((_, events)) => break assert_eq!(read(events).await, (2, FinishReason::Length)),
            Err(error) => assert_eq!(error.code, ErrorCode::RequestRunning),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_pays_exactly_beyond_a_ceiling() {
    let stage = Stage::new(30, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    let ceiling = renter.ceiling(units(12));
    renter.send(capstan_wire::session::FromRenter::Voucher(ceiling)).await;
    renter.ask(1, &[11, 12, 13, 14, 15], None).await;
    let finished = |frame: &capstan_wire::session::FromHost| {
        matches!(frame, capstan_wire::session::FromHost::Finished { .. })
    };
    renter.until(finished).await;
    stage.session.send(Command::End(EndReason::Idle)).await;
    let record = stage.ended().await;
    let newest = record.voucher.unwrap().voucher;
    assert!(newest.amount > units(12) && !newest.is_ceiling());
}
