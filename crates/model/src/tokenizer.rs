//! Byte-level BPE tokenizers from GGUF vocabularies.
//!
//! Merging is done by the `tokenizers` crate; control tokens are handled here, because the
//! difference between a marker that a template wrote and the same letters typed by a user decides
//! who is speaking. Plain text can never become a control token: control tokens are not part of
//! the vocabulary that the merges work on.
//!
//! Format: the tokenizer section of the GGUF specification; byte-level BPE as in Radford et al.,
//! "Language Models are Unsupervised Multitask Learners" (2019).

mod alphabet;
mod pretokenize;
mod utf8;
mod vocabulary;

use tokenizers::models::bpe::BPE;
use tokenizers::{Model as _, PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper};

use crate::Error;
use crate::gguf::GgufFile;
pub use utf8::Utf8Stream;
use vocabulary::{Kind, Vocabulary};

/// Splits text into token ids and gives the exact bytes of each id.
#[derive(Debug)]
pub struct Tokenizer {
    bpe: BPE,
    pretokenizer: PreTokenizerWrapper,
    vocabulary: Vocabulary,
}

impl Tokenizer {
    /// Reads the `tokenizer.ggml.*` keys of a byte-level BPE vocabulary (`gpt2`).
    ///
    /// # Errors
    /// [`Error::Metadata`], [`Error::BuildTokenizer`], or [`Error::Unsupported`] for other kinds
    /// of tokenizer.
    pub fn from_gguf(file: &GgufFile) -> Result<Self, Error> {
        let vocabulary = Vocabulary::from_gguf(file)?;
        let (pretokenizer, ignore_merges) = pretokenize::from_gguf(file)?;
        let merges = vocabulary::merges(file)?;
        let bpe = BPE::builder()
            .vocab_and_merges(vocabulary.mergeable(), merges)
            .ignore_merges(ignore_merges)
            .build()
            .map_err(|source| Error::BuildTokenizer { what: source.to_string() })?;
        Ok(Self { bpe, pretokenizer, vocabulary })
    }

    /// Token ids of a text. Nothing is added at either end. With `parse_special`, the text of a
    /// control token becomes that token; without, it is split like any other text, which is the
    /// only right choice for text from a user.
    ///
    /// The pieces of the ids always join to the bytes of `text`.
    ///
    /// # Errors
    /// [`Error::Encode`] for text that the splitting pattern gives up on, such as a run of a
    /// million spaces.
    pub fn encode(&self, text: &str, parse_special: bool) -> Result<Vec<u32>, Error> {
        let mut ids = Vec::new();
        for part in self.vocabulary.split(text, parse_special) {
            match part {
                Part::Marker(id) => ids.push(id),
                Part::Text(text) => self.encode_plain(text, &mut ids)?,
            }
        }
        Ok(ids)
    }

    /// Cuts a text at the control tokens in it.
    pub(crate) fn split_control<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Part<'a>> {
        self.vocabulary.split(text, true)
    }

    /// Texts of all control tokens.
    pub(crate) fn control_texts(&self) -> impl Iterator<Item = &str> {
        self.vocabulary.control_texts()
    }

    /// The exact bytes of a token: part of a text, or the name of a control token.
    #[must_use]
    pub fn piece(&self, id: u32) -> Option<&[u8]> {
        self.vocabulary.entry(id).map(|entry| entry.bytes.as_slice())
    }

    /// The bytes of a token as a reader should see them: nothing for control tokens.
    #[must_use]
    pub fn visible_piece(&self, id: u32) -> Option<&[u8]> {
        let entry = self.vocabulary.entry(id)?;
        Some(if entry.kind == Kind::Control { &[] } else { &entry.bytes })
    }

    /// Text of the visible pieces of several tokens; invalid UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> =
            ids.iter().filter_map(|id| self.visible_piece(*id)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether this token ends a turn or the text.
    #[must_use]
    pub fn is_eog(&self, id: u32) -> bool {
        self.vocabulary.is_eog(id)
    }

    /// Whether an answer ends before this token: it ends the turn, or is a control token without
    /// text. So every token of an answer adds at least one byte, and nobody is billed for more
    /// tokens than bytes.
    #[must_use]
    pub fn ends_answer(&self, id: u32) -> bool {
        self.is_eog(id) || self.is_control(id)
    }

    /// Whether this token is a control token.
    #[must_use]
    pub fn is_control(&self, id: u32) -> bool {
        self.vocabulary.entry(id).is_some_and(|entry| entry.kind == Kind::Control)
    }

    /// The token that opens a text, if the model has one.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.vocabulary.bos
    }

    /// The token that ends a text, if the model names one.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.vocabulary.eos
    }

    /// Whether a plain completion starts with [`Tokenizer::bos`].
    #[must_use]
    pub fn adds_bos(&self) -> bool {
        self.vocabulary.add_bos
    }

    /// Number of tokens; ids are below it.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    fn encode_plain(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        let fail = |source: tokenizers::Error| Error::Encode { what: source.to_string() };
        let mut words = PreTokenizedString::from(text);
        self.pretokenizer.pre_tokenize(&mut words).map_err(fail)?;
        words.tokenize(|word| self.bpe.tokenize(word.get())).map_err(fail)?;
        let encoding = words.into_encoding(None, 0, tokenizers::OffsetType::None).map_err(fail)?;
        ids.extend_from_slice(encoding.get_ids());
        Ok(())
    }
}

/// A stretch of text between control tokens, or one of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Text(&'a str),
    Marker(u32),
}
