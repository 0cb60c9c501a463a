//! Model files: sound, damaged, hostile, unsupported.

use std::sync::Arc;

use capstan_model::gguf::Value;
use capstan_model::{Error, Generation, GenerationParams, GgufFile, Model, Sampling, file_id};
use proptest::prelude::*;

use crate::fixture::{Parts, path, tiny, tiny_bytes};

#[test]
fn the_id_is_the_digest_beside_the_file() {
    for name in ["capstan-tiny", "capstan-tiny-q8_0"] {
        let model = path(&format!("{name}.gguf"));
        let line = std::fs::read_to_string(path(&format!("{name}.sha256"))).unwrap();
        let digest = line.split_whitespace().next().unwrap();
        assert_eq!(hex::encode(file_id(&model).unwrap()), digest);
        assert_eq!(hex::encode(Model::load(&model).unwrap().id()), digest);
    }
}

#[test]
fn a_rewritten_file_loads_and_keeps_its_name() {
    let model = Parts::of_tiny().load().unwrap();
    assert_eq!(model.name(), tiny().name());
    assert_eq!(model.weights().config(), tiny().weights().config());
    assert_ne!(model.id(), tiny().id());
}

#[test]
fn a_missing_file_names_its_path_and_what_to_give() {
    let text = Model::load("nowhere/none.gguf").unwrap_err().to_string();
    assert_eq!(text, "cannot read the model file nowhere/none.gguf; give the path of a .gguf file");
}

#[test]
fn a_file_of_another_kind_is_refused_at_its_first_byte() {
    let text = GgufFile::parse(b"#!/bin/sh\nexit 1\n".to_vec()).unwrap_err().to_string();
    assert_eq!(
        text,
        "not a sound GGUF file: at byte 0: the magic is not GGUF; download the file again"
    );
}

#[test]
fn what_the_engine_cannot_run_is_refused_by_name() {
    let q4 = {
        // The type code of the first tensor follows its name and two dimensions.
        let mut bytes = tiny_bytes().to_vec();
        let name = b"blk.0.attn_k.weight";
        let at = bytes.windows(name.len()).position(|w| w == name).unwrap() + name.len() + 4 + 16;
        bytes[at] = 2;
        Model::from_bytes(bytes)
    };
    let cases = [
        (q4, "ggml type 2"),
        (Parts::of_tiny().text("general.architecture", "mamba").load(), "architecture mamba"),
        (Parts::of_tiny().text("tokenizer.ggml.model", "llama").load(), "tokenizer llama"),
        (Parts::of_tiny().text("tokenizer.ggml.pre", "tekken").load(), "word splitter tekken"),
        (Parts::of_tiny().text("llama.rope.scaling.type", "yarn").load(), "rotary scaling yarn"),
    ];
    for (result, expected) in cases {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_tensor_too_many_or_too_few_is_named() {
    let mut parts = Parts::of_tiny();
    let norm = parts.tensors["output_norm.weight"].clone();
    parts.tensors.insert("blk.0.attn_q.bias".to_owned(), norm);
    let error = parts.load().unwrap_err().to_string();
    assert!(error.contains("blk.0.attn_q.bias, which a llama model does not have"), "{error}");

    let error = Parts::of_tiny().without("blk.2.ffn_up.weight").load().unwrap_err().to_string();
    assert!(error.starts_with("tensor blk.2.ffn_up.weight: is missing"), "{error}");
}

#[test]
fn senseless_metadata_is_refused_by_key() {
    for (key, value) in [
        ("llama.embedding_length", Value::Unsigned(0)),
        ("llama.block_count", Value::Unsigned(u64::MAX)),
        ("llama.attention.head_count_kv", Value::Unsigned(2)),
        ("llama.context_length", Value::Text("long".to_owned())),
        ("llama.attention.layer_norm_rms_epsilon", Value::Float(f64::NAN)),
    ] {
        let error = Parts::of_tiny().set(key, value).load().unwrap_err();
        assert!(matches!(&error, Error::Metadata { key: k, .. } if k == key), "{error}");
    }
}

#[test]
fn a_vocabulary_of_another_size_than_the_weights_is_refused() {
    let mut parts = Parts::of_tiny();
    for (key, extra) in [
        ("tokenizer.ggml.tokens", Value::Text("extra".to_owned())),
        ("tokenizer.ggml.token_type", Value::Signed(1)),
    ] {
        let Some(Value::Array(items)) = parts.metadata.get_mut(key) else { panic!("no {key}") };
        items.push(extra);
    }
    let error = parts.load().unwrap_err().to_string();
    assert!(error.contains("has 768 rows for 769 tokens"), "{error}");
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let mut parts = Parts::of_tiny();
    let (_, _, data) = parts.tensors.get_mut("output_norm.weight").unwrap();
    data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = parts.load().unwrap_err().to_string();
    assert!(error.contains("output_norm.weight: holds a number that is not finite"), "{error}");
}

/// Where metadata and tensor descriptions end: damage there is what a parser must survive.
fn header_len() -> usize {
    let file = GgufFile::parse(tiny_bytes().to_vec()).unwrap();
    file.tensors().values().map(|info| info.range().start).min().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_truncated_file_is_always_refused(len in 0..tiny_bytes().len()) {
        let error = GgufFile::parse(tiny_bytes()[..len].to_vec()).unwrap_err();
        let is_parse = matches!(error, Error::ParseGguf { at, .. } if at <= len);
        prop_assert!(is_parse, "{}", error);
    }

    #[test]
    fn arbitrary_bytes_after_the_magic_never_panic(tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [b"GGUF\x03\0\0\0".as_slice(), &tail].concat();
        let _ = GgufFile::parse(bytes);
    }

    #[test]
    fn foreign_lengths_never_panic_or_allocate(at in 8..header_len(), value in prop_oneof![
        any::<u64>(), Just(u64::MAX), Just(1 << 40), Just(u64::MAX / 8), 0_u64..64,
    ]) {
        let mut bytes = tiny_bytes().to_vec();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let _ = GgufFile::parse(bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_damaged_model_is_refused_or_runs(flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4)) {
        let mut bytes = tiny_bytes().to_vec();
        let header = header_len();
        for (place, flip) in flips {
            bytes[place.index(header)] ^= flip;
        }
        if let Ok(model) = Model::from_bytes(bytes) {
            let prompt = model.encode_text("What is a voucher?").unwrap();
            let params = GenerationParams { max_tokens: 2, sampling: Sampling::greedy() };
            if let Ok(generation) = Generation::new(Arc::new(model), prompt, params) {
                prop_assert!(generation.count() <= 2);
            }
        }
    }
}
