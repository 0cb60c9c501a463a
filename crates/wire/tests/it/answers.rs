//! Answers against the OpenAI contract, chunk by chunk.

use capstan_wire::openai::{
    AnswerEvent, Assembler, ChatRequest, CompletionRequest, GenerationRequest, InferenceRequest,
    payloads, whole,
};
use capstan_wire::session::FinishReason;
use capstan_wire::{ApiError, ErrorCode};
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

fn chat(extra: Value) -> GenerationRequest {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    serde_json::from_value::<ChatRequest>(body).unwrap().into_generation().unwrap()
}

fn completion(extra: Value) -> GenerationRequest {
    let mut body = json!({ "model": "m", "prompt": "hi" });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    serde_json::from_value::<CompletionRequest>(body).unwrap().into_generation().unwrap()
}

fn token(id: u32, text: &str) -> AnswerEvent {
    AnswerEvent::Token { id, text: text.into(), piece: text.into(), logprob: Some(-0.5) }
}

fn answer() -> Vec<AnswerEvent> {
    let finished = AnswerEvent::Finished { reason: FinishReason::Stop, text: String::new() };
    vec![token(7, "He"), token(8, "llo"), finished]
}

fn assembler(request: &GenerationRequest) -> Assembler {
    Assembler::new(request, "m".into(), "00ff", 1_700_000_000)
}

fn streamed(request: &GenerationRequest, events: Vec<AnswerEvent>) -> Vec<String> {
    payloads(assembler(request), vec![1, 2, 3], stream::iter(events))
        .collect()
        .now_or_never()
        .unwrap()
}

fn parsed(payloads: &[String]) -> Vec<Value> {
    payloads.iter().map(|payload| serde_json::from_str(payload).unwrap()).collect()
}

#[test]
fn a_chat_stream_is_the_contracts_to_the_byte() {
    let payloads = streamed(&chat(json!({})), answer());
    let chunk = |delta: Value, reason: Value| {
        json!({
            "id": "chatcmpl-00ff", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": "m", "system_fingerprint": null,
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }],
        })
    };
    let (last, chunks) = payloads.split_last().unwrap();
    assert_eq!(last, "[DONE]");
    assert_eq!(
        parsed(chunks),
        [
            chunk(json!({ "role": "assistant", "content": "" }), Value::Null),
            chunk(json!({ "content": "He" }), Value::Null),
            chunk(json!({ "content": "llo" }), Value::Null),
            chunk(json!({}), json!("stop")),
        ]
    );
}

#[test]
fn usage_comes_last_with_no_choices_and_is_null_before() {
    let request = chat(json!({ "stream_options": { "include_usage": true } }));
    let payloads = streamed(&request, answer());
    let chunks = parsed(&payloads[..payloads.len() - 1]);
    let (usage, rest) = chunks.split_last().unwrap();
    assert_eq!(usage["choices"], json!([]));
    let sums = json!({ "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 });
    assert_eq!(usage["usage"], sums);
    for chunk in rest {
        assert_eq!(chunk.get("usage"), Some(&Value::Null), "{chunk}");
        assert_eq!(chunk["id"], usage["id"]);
    }
}

#[test]
fn running_usage_rises_with_each_chunk() {
    let options = json!({ "include_usage": true, "continuous_usage_stats": true });
    let payloads = streamed(&completion(json!({ "stream_options": options })), answer());
    let chunks = parsed(&payloads[..payloads.len() - 1]);
    let counts: Vec<_> = chunks.iter().map(|chunk| &chunk["usage"]["completion_tokens"]).collect();
    assert_eq!(counts, [1, 2, 2, 2]);
}

#[test]
fn ids_and_log_probabilities_come_if_they_are_asked_for() {
    let request = chat(json!({ "logprobs": true, "return_token_ids": true }));
    let chunks = streamed(&request, answer());
    let chunks = parsed(&chunks[..chunks.len() - 1]);
    assert_eq!(chunks[0]["prompt_token_ids"], json!([1, 2, 3]));
    let choice = &chunks[1]["choices"][0];
    assert_eq!(choice["token_ids"], json!([7]));
    let known = json!({ "token": "He", "logprob": -0.5, "bytes": [72, 101], "top_logprobs": [] });
    assert_eq!(choice["logprobs"]["content"], json!([known]));
}

#[test]
fn a_failure_ends_without_done() {
    let failed = AnswerEvent::Failed(ApiError::new(ErrorCode::BackendFailed, "it failed"));
    for (events, code) in [
        (vec![token(7, "He"), failed], "backend_failed"),
        (vec![token(7, "He")], "session_closed"),
        (vec![], "session_closed"),
    ] {
        let payloads = streamed(&chat(json!({})), events.clone());
        assert!(!payloads.iter().any(|payload| payload == "[DONE]"));
        let chunks = parsed(&payloads);
        assert_eq!(chunks.last().unwrap()["error"]["code"], code);
        let refused =
            whole(&assembler(&chat(json!({}))), &[1], stream::iter(events)).now_or_never().unwrap();
        assert_eq!(refused.unwrap_err().code.as_str(), code);
    }
}

#[test]
fn nothing_follows_the_end() {
    let mut events = answer();
    events.extend([token(9, "more"), events[2].clone()]);
    let payloads = streamed(&chat(json!({})), events);
    assert_eq!(payloads.last().unwrap(), "[DONE]");
    assert_eq!(payloads.len(), 5);
}

#[test]
fn held_back_text_is_shown_before_the_end() {
    let end = AnswerEvent::Finished { reason: FinishReason::Length, text: "EN".into() };
    let payloads = streamed(&completion(json!({})), vec![token(7, "a"), end]);
    let chunks = parsed(&payloads[..payloads.len() - 1]);
    let texts: Vec<_> = chunks.iter().map(|chunk| &chunk["choices"][0]["text"]).collect();
    assert_eq!(texts, ["a", "EN", ""]);
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "length");
    assert_eq!(chunks[0]["object"], "text_completion");
    assert!(chunks[0]["id"].as_str().unwrap().starts_with("cmpl-"));
}

#[test]
fn a_whole_chat_answer_is_the_contracts() {
    let request = chat(json!({}));
    let body = whole(&assembler(&request), &[1, 2, 3], stream::iter(answer()))
        .now_or_never()
        .unwrap()
        .unwrap();
    let expected = json!({
        "id": "chatcmpl-00ff", "object": "chat.completion", "created": 1_700_000_000,
        "model": "m", "system_fingerprint": null,
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": null,
            "message": { "role": "assistant", "content": "Hello", "refusal": null },
        }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
    });
    assert_eq!(body, expected);
}

#[test]
fn the_node_protocols_answer_has_its_flat_fields_too() {
    let request: InferenceRequest = serde_json::from_value(json!({ "prompt": "hi" })).unwrap();
    let request = request.into_generation().unwrap();
    let body = whole(&assembler(&request), &[1, 2, 3], stream::iter(answer()))
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(body["response"], "Hello");
    assert_eq!(body["tokens_used"], 5);
    assert_eq!(body["finish_reason"], "stop");
    assert_eq!(body["choices"][0]["text"], "Hello");
}

#[test]
fn the_reasons_that_openai_does_not_know_are_limits() {
    let request = chat(json!({}));
    for (reason, word) in [
        (FinishReason::Stop, "stop"),
        (FinishReason::Length, "length"),
        (FinishReason::Cancelled, "length"),
        (FinishReason::DepositExhausted, "length"),
    ] {
        let chunks = assembler(&request).closing(reason, capstan_wire::openai::Usage::new(1, 1));
        assert_eq!(chunks[0]["choices"][0]["finish_reason"], word);
    }
}
