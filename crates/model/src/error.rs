//! What can go wrong with a model, one variant per operation.

use std::path::PathBuf;

/// A failed operation on a model, its file or its input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read at all.
    #[error("cannot read the model file {}; give the path of a .gguf file", path.display())]
    ReadFile {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not a sound GGUF file.
    #[error("not a sound GGUF file: at byte {at}: {what}; download the file again")]
    ParseGguf {
        /// Offset of the first byte that cannot be right.
        at: usize,
        /// What is wrong there.
        what: String,
    },
    /// A metadata entry that the model needs is missing or has another type.
    #[error("GGUF metadata {key}: {what}; convert the model again with a current converter")]
    Metadata {
        /// Key of the entry.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// The file is sound, but needs something this engine does not have.
    #[error("unsupported model: {what}; {hint}")]
    Unsupported {
        /// What the file asks for.
        what: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// A tensor is missing, has the wrong shape or holds unusable numbers.
    #[error("tensor {name}: {what}; download or convert the file again")]
    LoadTensor {
        /// Name of the tensor in the file.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// The vocabulary and merges do not form a tokenizer.
    #[error("cannot build the tokenizer: {what}")]
    BuildTokenizer {
        /// What is wrong with the vocabulary.
        what: String,
    },
    /// A text could not be split into tokens.
    #[error("cannot tokenize the text: {what}")]
    Encode {
        /// What the tokenizer said.
        what: String,
    },
    /// The file has no chat template, so chats cannot be rendered.
    #[error("the model has no chat template; use a chat or instruct model, or plain completions")]
    NoChatTemplate,
    /// The chat template has a mistake.
    #[error("the chat template does not compile")]
    CompileTemplate(#[source] Box<minijinja::Error>),
    /// The chat template refused these messages or ran too long.
    #[error("the chat template does not accept these messages")]
    RenderTemplate(#[source] Box<minijinja::Error>),
    /// A message has a role that is not a plain lower-case word.
    #[error("message {index} has an unusable role; use system, user, assistant or tool")]
    Role {
        /// Position of the message, from 0.
        index: usize,
    },
    /// There is nothing to continue.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// A token id outside the vocabulary.
    #[error("token {id} at position {index} is outside the vocabulary of {vocab_size}")]
    TokenOutOfRange {
        /// Position in the ids given, from 0.
        index: usize,
        /// The id.
        id: u32,
        /// Number of tokens in the vocabulary.
        vocab_size: usize,
    },
    /// More tokens than the sequence or the model has room for.
    #[error("{needed} tokens do not fit into a context of {limit}")]
    ContextExceeded {
        /// Tokens that would be in the context.
        needed: usize,
        /// Tokens that fit.
        limit: usize,
    },
    /// A sampling parameter out of range.
    #[error("{name} must be {range}")]
    SamplingParameter {
        /// Name of the parameter.
        name: &'static str,
        /// What is allowed.
        range: &'static str,
    },
}

impl Error {
    /// Whether the caller's input is at fault (a client error), as opposed to the model's file.
    #[must_use]
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Encode { .. }
                | Self::NoChatTemplate
                | Self::RenderTemplate(_)
                | Self::Role { .. }
                | Self::EmptyPrompt
                | Self::TokenOutOfRange { .. }
                | Self::ContextExceeded { .. }
                | Self::SamplingParameter { .. }
        )
    }
}
