//! How a text is cut into words before merging, by the name in `tokenizer.ggml.pre`.
//!
//! The patterns are those of the models' own `tokenizer.json` files. A wrong pattern gives other
//! ids than the model was trained on, so unknown names are refused.

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::Error;
use crate::gguf::{GgufFile, Value};

/// Llama 3: numbers in groups of three.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2: digits one by one.
const QWEN_2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The word splitter, and whether a word that is a token as it stands skips the merges.
pub(super) fn from_gguf(file: &GgufFile) -> Result<(PreTokenizerWrapper, bool), Error> {
    let name = file.optional("tokenizer.ggml.pre", Value::as_str)?.unwrap_or("gpt-2");
    match name {
        "gpt-2" => Ok((ByteLevel::new(false, false, true).into(), false)),
        "llama-bpe" | "llama3" | "llama-v3" => Ok((split_by(LLAMA_3)?, true)),
        "qwen2" => Ok((split_by(QWEN_2)?, false)),
        "smollm" => Ok((
            Sequence::new(vec![
                Digits::new(true).into(),
                ByteLevel::new(false, false, true).into(),
            ])
            .into(),
            false,
        )),
        other => Err(Error::Unsupported {
            what: format!("word splitter {other:.32}"),
            hint: "gpt-2, llama-bpe, qwen2 and smollm are read; serve this model through another \
                   backend",
        }),
    }
}

fn split_by(pattern: &str) -> Result<PreTokenizerWrapper, Error> {
    let pattern = SplitPattern::Regex(pattern.to_owned());
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
        .map_err(|source| Error::BuildTokenizer { what: source.to_string() })?;
    Ok(Sequence::new(vec![split.into(), ByteLevel::new(false, false, false).into()]).into())
}
