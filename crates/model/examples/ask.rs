//! Asks a model one question: `cargo run -p capstan-model --example ask -- MODEL.gguf "Question"`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use capstan_model::{Error, Generation, GenerationParams, Message, Model, Sampling, Utf8Stream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(question)) = (args.next(), args.next()) else {
        return Err("usage: ask MODEL.gguf \"Question\"".into());
    };
    let began = Instant::now();
    let model = Arc::new(Model::load(path)?);
    eprintln!("{}, loaded in {:?}", model.name(), began.elapsed());
    answer(&model, &question)?;
    Ok(())
}

fn answer(model: &Arc<Model>, question: &str) -> Result<(), Error> {
    let prompt = model.encode_chat(&[Message::user(question)])?;
    let params = GenerationParams { max_tokens: usize::MAX, sampling: Sampling::greedy() };
    let began = Instant::now();
    let mut generation = Generation::new(Arc::clone(model), prompt, params)?;
    let mut text = Utf8Stream::new();
    let mut out = std::io::stdout();
    for token in &mut generation {
        let _ = write!(out, "{}", text.push(&token?.bytes));
    }
    let _ = writeln!(out, "{}", text.finish());
    let tokens = generation.output().len();
    let rate = tokens as f64 / began.elapsed().as_secs_f64();
    eprintln!("{tokens} tokens, {:?}, {rate:.0} tokens/s", generation.finish());
    Ok(())
}
