//! Asks a model questions, one after the other in one chat:
//! `cargo run -p capstan-model --example ask -- MODEL.gguf "Question" "Next question"`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use capstan_model::{Error, Generation, GenerationParams, Message, Model, Sampling, Utf8Stream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let Some(path) = args.next() else {
        return Err("usage: ask MODEL.gguf \"Question\"...".into());
    };
    let began = Instant::now();
    let model = Arc::new(Model::load(path)?);
    eprintln!("{}, loaded in {:?}", model.name(), began.elapsed());
    let mut chat = Vec::new();
    for question in args {
        chat.push(Message::user(question));
        let answer = answer(&model, &chat)?;
        chat.push(Message::assistant(answer));
    }
    Ok(())
}

/// Streams an answer to standard output and returns it.
fn answer(model: &Arc<Model>, chat: &[Message]) -> Result<String, Error> {
    let prompt = model.encode_chat(chat)?;
    let params = GenerationParams { max_tokens: usize::MAX, sampling: Sampling::greedy() };
    let began = Instant::now();
    let mut generation = Generation::new(Arc::clone(model), prompt, params)?;
    let (mut stream, mut text) = (Utf8Stream::new(), String::new());
    let mut out = std::io::stdout();
    for token in &mut generation {
        let piece = stream.push(&token?.bytes);
        let _ = write!(out, "{piece}");
        let _ = out.flush();
        text += &piece;
    }
    text += &stream.finish();
    let _ = writeln!(out);
    let tokens = generation.output().len();
    let rate = tokens as f64 / began.elapsed().as_secs_f64();
    eprintln!("{tokens} tokens, {:?}, {rate:.0} tokens/s", generation.finish());
    Ok(text)
}
