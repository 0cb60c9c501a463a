//! Requests: lenient about what they carry, strict about what changes the bill or the answer.

use capstan_wire::ErrorCode;
use capstan_wire::openai::{
    ChatRequest, CompletionRequest, GenerationRequest, InferenceRequest, Message, Prompt, Shape,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn chat(mut fields: Value) -> Result<GenerationRequest, String> {
    let all = fields.as_object_mut().unwrap();
    all.entry("messages").or_insert(json!([{ "role": "user", "content": "hi" }]));
    let request: ChatRequest = serde_json::from_value(fields).map_err(|error| error.to_string())?;
    request.into_generation().map_err(|error| {
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        error.param.unwrap_or_default()
    })
}

fn content_of(message: Value) -> Result<String, String> {
    match chat(json!({ "messages": [message] }))?.prompt.prompt {
        Prompt::Messages(messages) => Ok(messages[0].content.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn defaults_are_greedy_and_unlimited() {
    let request = chat(json!({ "model": "m" })).unwrap();
    assert_eq!((request.model.as_str(), request.shape, request.stream), ("m", Shape::Chat, false));
    assert!(!request.logprobs && !request.return_token_ids);
    let prompt = request.prompt;
    assert_eq!((prompt.max_tokens, prompt.seed), (None, 0));
    assert_eq!((prompt.temperature, prompt.top_p), (0.0, 1.0));
    assert!(prompt.stop.is_empty());
}

#[test]
fn what_clients_send_besides_is_ignored() {
    let request = chat(json!({
        "model": "m", "user": "u", "metadata": { "a": [1] }, "tools": [], "presence_penalty": 0.5,
        "response_format": { "type": "text" }, "n": 1, "stream": null, "stop": null, "seed": null,
        "max_tokens": null, "temperature": null, "top_p": null, "stream_options": null,
    }));
    assert!(request.is_ok(), "{request:?}");
}

#[test]
fn content_is_text_parts_or_nothing() {
    let user = |content: Value| content_of(json!({ "role": "user", "content": content }));
    assert_eq!(user(json!("hi")), Ok("hi".into()));
    assert_eq!(user(json!(null)), Ok(String::new()));
    assert_eq!(content_of(json!({ "role": "assistant" })), Ok(String::new()));
    let parts =
        json!([{ "type": "text", "text": "a" }, { "type": "input_text", "text": "b", "x": 1 }]);
    assert_eq!(user(parts), Ok("ab".into()));
    assert_eq!(user(json!([])), Ok(String::new()));
    let image = json!([{ "type": "image_url", "image_url": { "url": "x" } }]);
    assert!(user(image).unwrap_err().contains("image_url"));
    for wrong in [json!(1), json!({}), json!([1]), json!([{}])] {
        assert!(user(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn stop_is_one_text_or_up_to_four() {
    let stop = |stop: Value| chat(json!({ "stop": stop })).map(|request| request.prompt.stop);
    assert_eq!(stop(json!("a")), Ok(vec!["a".to_owned()]));
    assert_eq!(stop(json!(["a", "b", "c", "d"])).unwrap().len(), 4);
    assert_eq!(stop(json!([])), Ok(vec![]));
    for wrong in [json!(["a", "b", "c", "d", "e"]), json!(""), json!(["a", ""])] {
        assert_eq!(stop(wrong.clone()), Err("stop".into()), "{wrong}");
    }
    assert_eq!(stop(json!("x".repeat(1025))), Err("stop".into()));
}

#[test]
fn what_would_change_the_bill_is_refused_with_its_name() {
    for (fields, param) in [
        (json!({ "n": 2 }), "n"),
        (json!({ "n": 0 }), "n"),
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (json!({ "max_completion_tokens": 0, "max_tokens": 5 }), "max_tokens"),
        (json!({ "temperature": 2.01 }), "temperature"),
        (json!({ "temperature": -0.01 }), "temperature"),
        (json!({ "top_p": 0 }), "top_p"),
        (json!({ "top_p": 1.5 }), "top_p"),
        (json!({ "messages": [] }), "messages"),
    ] {
        assert_eq!(chat(fields.clone()).err().as_deref(), Some(param), "{fields}");
    }
    for fields in [json!({ "max_tokens": -1 }), json!({ "max_tokens": 1.5 })] {
        assert!(chat(fields).is_err());
    }
}

#[test]
fn the_newer_name_of_the_limit_wins() {
    let request = chat(json!({ "max_completion_tokens": 7, "max_tokens": 5 })).unwrap();
    assert_eq!(request.prompt.max_tokens, Some(7));
}

#[test]
fn a_negative_seed_is_a_seed() {
    let seed = |seed: i64| chat(json!({ "seed": seed })).unwrap().prompt.seed;
    assert_eq!(seed(-1), u64::MAX);
    assert_eq!(seed(i64::MIN), 1 << 63);
    assert_eq!(seed(7), 7);
}

#[test]
fn a_completion_takes_one_prompt_in_any_form() {
    let text = |prompt: Value| {
        let request: CompletionRequest =
            serde_json::from_value(json!({ "prompt": prompt, "logprobs": 0 })).unwrap();
        request.into_generation().map(|request| {
            assert!(request.logprobs && request.shape == Shape::Completion);
            request.prompt.prompt
        })
    };
    assert_eq!(text(json!("a")), Ok(Prompt::Text("a".into())));
    assert_eq!(text(json!(["a"])), Ok(Prompt::Text("a".into())));
    assert_eq!(text(json!([1, 2])), Ok(Prompt::Ids(vec![1, 2])));
    assert_eq!(text(json!(["a", "b"])).unwrap_err().param.as_deref(), Some("prompt"));
}

#[test]
fn inference_knows_its_older_names() {
    let session = format!("0x{}", "ab".repeat(32));
    for (chain, id) in [("chain_id", "session_id"), ("chainId", "jobId"), ("chain_id", "job_id")] {
        let body = json!({ "prompt": "hi", chain: 5611, id: session, "max_tokens": 3 });
        let request: InferenceRequest = serde_json::from_value(body).unwrap();
        assert_eq!(request.chain_id.map(|id| id.0), Some(5611));
        assert_eq!(request.session_id.map(|id| id.to_string()), Some(session.clone()));
        let request = request.into_generation().unwrap();
        assert_eq!(request.prompt.max_tokens, Some(3));
        let message = Message { role: "user".into(), content: "hi".into() };
        assert_eq!(request.prompt.prompt, Prompt::Messages(vec![message]));
    }
}

proptest! {
    #[test]
    fn no_body_panics(text in "\\PC{0,80}", key in "[a-z_]{1,12}", number: f64) {
        let body = json!({ "messages": [{ "role": text, "content": text }], key: number });
        let body = body.to_string();
        for body in [body.as_str(), &text] {
            let _ = serde_json::from_str::<ChatRequest>(body).map(ChatRequest::into_generation);
            let _ = serde_json::from_str::<CompletionRequest>(body)
                .map(CompletionRequest::into_generation);
            let _ = serde_json::from_str::<InferenceRequest>(body)
                .map(InferenceRequest::into_generation);
        }
    }

    #[test]
    fn a_temperature_is_taken_if_and_only_if_it_is_in_range(temperature in -1.0..4.0) {
        let taken = chat(json!({ "temperature": temperature }));
        prop_assert_eq!(taken.is_ok(), (0.0..=2.0).contains(&temperature));
    }
}
