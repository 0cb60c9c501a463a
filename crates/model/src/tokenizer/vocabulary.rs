//! The tokens of a vocabulary: their bytes, their kinds, and where they occur in a text.

use std::collections::{BTreeMap, BTreeSet};

use tokenizers::models::bpe::{Merges, Vocab};

use super::{Part, alphabet};
use crate::Error;
use crate::gguf::{GgufFile, Value};

/// Names that end a turn even where the metadata does not say so; llama.cpp knows them too.
const END_NAMES: [&str; 8] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "</s>",
];

/// What a token is (`tokenizer.ggml.token_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Part of a text, found by merging.
    Normal,
    /// A marker that only the model's own template may write.
    Control,
    /// A whole word that is recognised wherever it stands.
    UserDefined,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) bytes: Vec<u8>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) struct Vocabulary {
    entries: Vec<Entry>,
    /// Control and user-defined tokens by first byte, the longest first.
    markers: BTreeMap<u8, Vec<(String, u32, Kind)>>,
    ends: BTreeSet<u32>,
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) add_bos: bool,
}

impl Vocabulary {
    pub(super) fn from_gguf(file: &GgufFile) -> Result<Self, Error> {
        let model = file.required("tokenizer.ggml.model", Value::as_str)?;
        if model != "gpt2" {
            return Err(Error::Unsupported {
                what: format!("tokenizer {model:.32}"),
                hint: "byte-level BPE (gpt2) is read; serve this model through another backend",
            });
        }
        let tokens = file.required("tokenizer.ggml.tokens", Value::as_array)?;
        let kinds = file.required("tokenizer.ggml.token_type", Value::as_array)?;
        if tokens.len() != kinds.len() || u32::try_from(tokens.len()).is_err() {
            return Err(build(format!("{} tokens, but {} types", tokens.len(), kinds.len())));
        }
        let mut entries = Vec::new();
        let mut markers: BTreeMap<u8, Vec<_>> = BTreeMap::new();
        let mut ends = BTreeSet::new();
        for (id, (token, kind)) in (0_u32..).zip(tokens.iter().zip(kinds)) {
            let text = token.as_str().ok_or_else(|| build(format!("token {id} is not text")))?;
            let kind = match kind.as_u64() {
                // Unknown, unused and byte tokens are never produced from plain text.
                Some(2 | 3 | 5 | 6) => Kind::Control,
                Some(4) => Kind::UserDefined,
                Some(1) => Kind::Normal,
                _ => return Err(build(format!("token {id} has an unknown type"))),
            };
            let bytes = match kind {
                Kind::Normal => alphabet::bytes_of(text)
                    .ok_or_else(|| build(format!("token {id} is not in the byte alphabet")))?,
                Kind::Control | Kind::UserDefined => text.as_bytes().to_vec(),
            };
            if bytes.is_empty() {
                return Err(build(format!("token {id} is empty")));
            }
            if kind == Kind::Control && END_NAMES.contains(&text) {
                ends.insert(id);
            }
            if let (Kind::Control | Kind::UserDefined, Some(first)) = (kind, bytes.first()) {
                markers.entry(*first).or_default().push((text.to_owned(), id, kind));
            }
            entries.push(Entry { bytes, kind });
        }
        for list in markers.values_mut() {
            list.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.1.cmp(&b.1)));
        }

        let special = |name: &str| -> Result<Option<u32>, Error> {
            let key = format!("tokenizer.ggml.{name}_token_id");
            match file.optional(&key, Value::as_u32)? {
                Some(id) if id as usize >= entries.len() => {
                    Err(build(format!("{key} is outside the vocabulary")))
                }
                other => Ok(other),
            }
        };
        let (bos, eos) = (special("bos")?, special("eos")?);
        ends.extend([eos, special("eot")?, special("eom")?].into_iter().flatten());
        let add_bos = file.optional("tokenizer.ggml.add_bos_token", Value::as_bool)?;
        let add_bos = add_bos.unwrap_or(false) && bos.is_some();

        let out = Self { entries, markers, ends, bos, eos, add_bos };
        let known = out.mergeable();
        match alphabet::characters().find(|c| !known.contains_key(c.to_string().as_str())) {
            Some(missing) => Err(build(format!("no token for the byte character {missing:?}"))),
            None => Ok(out),
        }
    }

    /// The tokens that merging may produce. Control tokens are left out, so that no text typed by
    /// a user can turn into one.
    pub(super) fn mergeable(&self) -> Vocab {
        let normal = (0_u32..).zip(&self.entries).filter(|(_, e)| e.kind == Kind::Normal);
        let characters: Vec<char> = alphabet::characters().collect();
        normal
            .map(|(id, e)| (e.bytes.iter().map(|b| characters[usize::from(*b)]).collect(), id))
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entry(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize)
    }

    pub(super) fn is_eog(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    pub(super) fn control_texts(&self) -> impl Iterator<Item = &str> {
        let all = self.markers.values().flatten();
        all.filter(|(_, _, kind)| *kind == Kind::Control).map(|(text, _, _)| text.as_str())
    }

    /// Cuts a text at user-defined tokens and, if `control`, at control tokens; at each place the
    /// longest wins.
    pub(super) fn split<'a>(
        &'a self,
        text: &'a str,
        control: bool,
    ) -> impl Iterator<Item = Part<'a>> {
        let mut rest = text;
        let mut pending = None;
        std::iter::from_fn(move || {
            if let Some(id) = pending.take() {
                return Some(Part::Marker(id));
            }
            if rest.is_empty() {
                return None;
            }
            let Some((at, len, id)) = self.find(rest, control) else {
                return Some(Part::Text(std::mem::take(&mut rest)));
            };
            let (before, after) = (&rest[..at], &rest[at + len..]);
            rest = after;
            if before.is_empty() {
                return Some(Part::Marker(id));
            }
            pending = Some(id);
            Some(Part::Text(before))
        })
    }

    /// Offset, length and id of the first marker in a text.
    fn find(&self, text: &str, control: bool) -> Option<(usize, usize, u32)> {
        text.bytes().enumerate().find_map(|(at, byte)| {
            let rest = &text.as_bytes()[at..];
            let list = self.markers.get(&byte)?;
            let hit = list.iter().find(|(marker, _, kind)| {
                (control || *kind == Kind::UserDefined) && rest.starts_with(marker.as_bytes())
            });
            hit.map(|(marker, id, _)| (at, marker.len(), *id))
        })
    }
}

/// The merge rules, most important first; each is two tokens with a space between them.
pub(super) fn merges(file: &GgufFile) -> Result<Merges, Error> {
    let list = file.required("tokenizer.ggml.merges", Value::as_array)?;
    let pair = |(i, rule): (usize, &Value)| match rule.as_str().and_then(|r| r.split_once(' ')) {
        Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
        None => Err(build(format!("merge {i} is not a pair"))),
    };
    list.iter().enumerate().map(pair).collect()
}

fn build(what: String) -> Error {
    Error::BuildTokenizer { what }
}
