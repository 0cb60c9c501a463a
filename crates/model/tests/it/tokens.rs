//! Text to tokens and back.

use capstan_model::{Tokenizer, Utf8Stream};
use proptest::prelude::*;

use crate::fixture::{Parts, greedy, tiny};

fn pieces(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|id| tokenizer.piece(*id).unwrap()).copied().collect()
}

/// Text with everything that splitters treat in their own way.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        "[a-z' ]{0,12}",
        "[0-9]{1,8}",
        "[ \t\r\n]{1,6}",
        prop::sample::select(vec![
            "<|end|>", "<|user|>", "<|", "|>", "🦊", "日本", "\u{301}", "\0"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn pieces_join_to_the_text(text in text(), parse_special: bool) {
        let tokenizer = tiny().tokenizer();
        let ids = tokenizer.encode(&text, parse_special).unwrap();
        prop_assert_eq!(pieces(tokenizer, &ids), text.as_bytes());
    }

    #[test]
    fn plain_text_never_becomes_a_control_token(text in text()) {
        let tokenizer = tiny().tokenizer();
        let ids = tokenizer.encode(&text, false).unwrap();
        prop_assert!(!ids.iter().any(|id| tokenizer.is_control(*id)));
    }

    #[test]
    fn a_stream_gives_the_same_text_however_it_is_cut(
        bytes in prop_oneof![any::<String>().prop_map(String::into_bytes), any::<Vec<u8>>()],
        cuts in prop::collection::vec(0_usize..5, 0..64),
    ) {
        let (mut stream, mut out, mut rest) = (Utf8Stream::new(), String::new(), &bytes[..]);
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            out += &stream.push(now);
            prop_assert!(stream.held().len() <= 3);
            rest = later;
        }
        out += &stream.push(rest);
        out += &stream.finish();
        prop_assert_eq!(out, String::from_utf8_lossy(&bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_word_splitter_keeps_every_byte(text in text()) {
        for tokenizer in other_splitters() {
            let ids = tokenizer.encode(&text, false).unwrap();
            prop_assert_eq!(pieces(tokenizer, &ids), text.as_bytes());
        }
    }
}

fn other_splitters() -> &'static [Tokenizer] {
    static ALL: std::sync::OnceLock<Vec<Tokenizer>> = std::sync::OnceLock::new();
    ALL.get_or_init(|| {
        let load = |name: &&str| {
            let bytes = Parts::of_tiny().text("tokenizer.ggml.pre", name).write();
            Tokenizer::from_gguf(&capstan_model::GgufFile::parse(bytes).unwrap()).unwrap()
        };
        ["llama-bpe", "qwen2", "smollm"].iter().map(load).collect()
    })
}

#[test]
fn control_tokens_are_parsed_only_when_asked_for() {
    let tokenizer = tiny().tokenizer();
    let text = "a<|end|><|user|>b";
    let special = tokenizer.encode(text, true).unwrap();
    assert_eq!(special.iter().filter(|id| tokenizer.is_control(**id)).count(), 2);
    assert!(special.iter().any(|id| tokenizer.is_eog(*id)));
    assert_eq!(tokenizer.decode(&special), "ab");
    let plain = tokenizer.encode(text, false).unwrap();
    assert!(plain.len() > special.len());
    assert_eq!(tokenizer.decode(&plain), text);
}

#[test]
fn ids_outside_the_vocabulary_have_no_piece() {
    let tokenizer = tiny().tokenizer();
    let size = u32::try_from(tokenizer.vocab_size()).unwrap();
    assert!((0..size).all(|id| tokenizer.piece(id).is_some()));
    assert_eq!(tokenizer.piece(size), None);
    assert_eq!(tokenizer.visible_piece(u32::MAX), None);
}

#[test]
fn an_answer_with_characters_split_over_tokens_streams_whole() {
    let tokens: Vec<_> = greedy("Say hello in Japanese.", 64).map(Result::unwrap).collect();
    assert!(tokens.iter().any(|token| std::str::from_utf8(&token.bytes).is_err()));
    let mut stream = Utf8Stream::new();
    let mut text: String = tokens.iter().map(|token| stream.push(&token.bytes)).collect();
    text += &stream.finish();
    assert_eq!(text, "こんにちは、元気ですか。");
}

#[test]
fn every_token_of_an_answer_adds_a_byte() {
    // What a renter relies on to bound a count without a tokenizer.
    let tokenizer = tiny().tokenizer();
    for id in 0..u32::try_from(tokenizer.vocab_size()).unwrap() {
        assert!(tokenizer.ends_answer(id) || !tokenizer.visible_piece(id).unwrap().is_empty());
    }
}
