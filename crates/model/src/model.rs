//! A model ready to run: file, tokenizer, template and weights under one id.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::gguf::{GgufFile, Value};
use crate::reference::{Sequence, Weights};
use crate::template::{ChatTemplate, Message, encode_chat};
use crate::{Error, Tokenizer};

/// Bytes hashed at a time.
const HASH_BUFFER: usize = 1 << 16;

/// Everything needed to answer; share it in an [`Arc`].
#[derive(Debug)]
pub struct Model {
    id: [u8; 32],
    name: String,
    metadata: BTreeMap<String, Value>,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    weights: Arc<Weights>,
}

impl Model {
    /// Loads a GGUF file. The id is taken from the very bytes that are then used.
    ///
    /// # Errors
    /// [`Error::ReadFile`] or those of [`Model::from_bytes`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_gguf(&GgufFile::open(path)?)
    }

    /// Loads a GGUF file held in memory, such as one built into a program.
    ///
    /// # Errors
    /// Any variant about files and their contents; each says what to do.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        Self::from_gguf(&GgufFile::parse(bytes)?)
    }

    /// Builds the model from a parsed file, which can be dropped afterwards.
    ///
    /// # Errors
    /// As for [`Model::from_bytes`].
    pub fn from_gguf(file: &GgufFile) -> Result<Self, Error> {
        let weights = Weights::load(file)?;
        let tokenizer = Tokenizer::from_gguf(file)?;
        if tokenizer.vocab_size() != weights.vocab_size() {
            let (tokens, rows) = (tokenizer.vocab_size(), weights.vocab_size());
            return Err(Error::LoadTensor {
                name: "token_embd.weight".to_owned(),
                what: format!("has {rows} rows for {tokens} tokens"),
            });
        }
        let template = match ChatTemplate::from_gguf(file, &tokenizer) {
            Ok(template) => Some(template),
            Err(Error::NoChatTemplate) => None,
            Err(error) => return Err(error),
        };
        let name = file.optional("general.name", Value::as_str)?.unwrap_or("unnamed").to_owned();
        // Vocabulary and merges live on in the tokenizer.
        let scalars = file.metadata().iter().filter(|(_, value)| value.as_array().is_none());
        let metadata = scalars.map(|(key, value)| (key.clone(), value.clone())).collect();
        let id = Sha256::digest(file.bytes()).into();
        Ok(Self { id, name, metadata, tokenizer, template, weights })
    }

    /// SHA-256 of the file: the model's id on every chain.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        self.id
    }

    /// `general.name` of the file; chosen by its maker, for display only.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's metadata without its arrays.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The chat template, if the file has one.
    #[must_use]
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.template.as_ref()
    }

    /// The weights.
    #[must_use]
    pub fn weights(&self) -> &Arc<Weights> {
        &self.weights
    }

    /// Longest prompt and answer together, in tokens.
    #[must_use]
    pub fn context_length(&self) -> usize {
        self.weights.config().context_length
    }

    /// An empty sequence of the model's full context.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence::new(Arc::clone(&self.weights), self.context_length())
    }

    /// Prompt ids for the next assistant message; see [`encode_chat`].
    ///
    /// # Errors
    /// [`Error::NoChatTemplate`] and those of [`encode_chat`].
    pub fn encode_chat(&self, messages: &[Message]) -> Result<Vec<u32>, Error> {
        let template = self.template.as_ref().ok_or(Error::NoChatTemplate)?;
        encode_chat(&self.tokenizer, template, messages)
    }

    /// Prompt ids for the plain continuation of a text, with the opening token if the model wants
    /// one. Control tokens in the text stay plain text.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, Error> {
        let bos = self.tokenizer.bos().filter(|_| self.tokenizer.adds_bos());
        let mut ids: Vec<u32> = bos.into_iter().collect();
        ids.extend(self.tokenizer.encode(text, false)?);
        Ok(ids)
    }
}

/// SHA-256 of a file, read in pieces: the id a model would have, without loading it.
///
/// # Errors
/// [`Error::ReadFile`].
pub fn file_id(path: impl AsRef<Path>) -> Result<[u8; 32], Error> {
    let path = path.as_ref();
    let fail = |source| Error::ReadFile { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(fail)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; HASH_BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(len) => hasher.update(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fail(error)),
        }
    }
}
