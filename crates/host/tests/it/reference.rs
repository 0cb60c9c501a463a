//! The reference backend: many answers at once, each the same as alone.

use core::time::Duration;

use capstan_host::backend::reference::ReferenceBackend;
use capstan_host::backend::{Backend, BackendError, GenerateRequest, Generation, Step};
use capstan_wire::session::FinishReason;

use crate::fixture::tiny;

fn request(number: u64, max_tokens: u64) -> GenerateRequest {
    let question = format!("Question {number}: what is a voucher?");
    let prompt = tiny().encode_chat(&[capstan_model::Message::user(&question)]).unwrap();
    let temperature = if number.is_multiple_of(2) { 0.0 } else { 0.9 };
    GenerateRequest { prompt, max_tokens, temperature, top_p: 0.95, seed: number }
}

async fn run(mut generation: Box<dyn Generation>) -> (Vec<u32>, FinishReason) {
    let mut ids = Vec::new();
    loop {
        match generation.next().await.unwrap() {
            Step::Token(token) => ids.push(token.id),
            Step::Finished(reason) => return (ids, reason),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_give_what_each_gives_alone() {
    let backend = ReferenceBackend::start(tiny(), 2).unwrap();
    let mut alone = Vec::new();
    for number in 0..6 {
        alone.push(run(backend.start(request(number, 24)).await.unwrap()).await);
    }
    let mut together = tokio::task::JoinSet::new();
    for number in 0..6_usize {
        let generation = backend.start(request(number as u64, 24)).await.unwrap();
        together.spawn(async move { (number, run(generation).await) });
    }
    while let Some(done) = together.join_next().await {
        let (number, answer) = done.unwrap();
        assert_eq!(answer, alone[number], "request {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_dropped_loses_no_token() {
    let backend = ReferenceBackend::start(tiny(), 1).unwrap();
    let expected = run(backend.start(request(3, 30)).await.unwrap()).await;
    let mut generation = backend.start(request(3, 30)).await.unwrap();
    let mut ids = Vec::new();
    for round in 0_u64.. {
        let step = tokio::select! {
            biased;
            // Rounds of waits too short for a token, then one that is long enough.
            () = tokio::time::sleep(Duration::from_micros(round % 7 * 40)), if round % 7 < 6 => continue,
            step = generation.next() => step.unwrap(),
        };
        match step {
            Step::Token(token) => ids.push(token.id),
            Step::Finished(reason) => {
                assert_eq!((ids, reason), expected);
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_answer_leaves_the_worker_to_the_others() {
    let backend = ReferenceBackend::start(tiny(), 1).unwrap();
    let expected = run(backend.start(request(4, 12)).await.unwrap()).await;
    for _ in 0..20 {
        let mut dropped = backend.start(request(1, 1_000)).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_micros(50), dropped.next()).await;
    }
    let answer = run(backend.start(request(4, 12)).await.unwrap());
    let answer = tokio::time::timeout(Duration::from_secs(60), answer).await.unwrap();
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn what_does_not_fit_the_model_is_refused_before_any_work() {
    let backend = ReferenceBackend::start(tiny(), 1).unwrap();
    let context = tiny().context_length();
    for prompt in [vec![], vec![u32::MAX], vec![11; context]] {
        let refused = backend.start(GenerateRequest { prompt, ..request(0, 1) }).await;
        assert!(matches!(refused.err(), Some(BackendError::Refused(_))));
    }
    for (temperature, top_p) in [(-1.0, 1.0), (f64::NAN, 1.0), (1.0, f64::NAN), (1.0, -0.5)] {
        let odd = GenerateRequest { temperature, top_p, ..request(0, 1) };
        assert!(backend.start(odd).await.is_err(), "{temperature} {top_p}");
    }
}
