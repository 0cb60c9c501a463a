//! A model this host serves: its file, and the backend that runs it.

use std::sync::Arc;

use capstan_base::ModelId;
use capstan_model::{Message, Model};
use capstan_wire::openai::Prompt;
use capstan_wire::{ApiError, ErrorCode};

use crate::backend::Backend;

/// A model with its tokenizer and its backend.
#[derive(Clone)]
pub struct ServedModel {
    /// Name clients use.
    pub name: String,
    /// File, tokenizer, template.
    pub model: Arc<Model>,
    /// What makes its tokens.
    pub backend: Arc<dyn Backend>,
}

impl ServedModel {
    /// Id on chain: hash of the weights file.
    pub fn id(&self) -> ModelId {
        ModelId(self.model.id().into())
    }

    /// True if a client's `model` field means this one: its name, its id, or nothing.
    pub fn answers_to(&self, name: &str) -> bool {
        name.is_empty() || name == self.name || name.parse() == Ok(self.id())
    }

    /// The prompt as token ids, exactly as the renter counts them too.
    pub fn prompt_ids(&self, prompt: &Prompt) -> Result<Vec<u32>, ApiError> {
        let bad = |error: capstan_model::Error| {
            ApiError::new(ErrorCode::InvalidRequest, error.to_string()).with_param("messages")
        };
        let ids = match prompt {
            Prompt::Messages(messages) => {
                let messages: Vec<_> = messages
                    .iter()
                    .map(|message| Message::new(&message.role, &message.content))
                    .collect();
                self.model.encode_chat(&messages).map_err(bad)?
            }
            Prompt::Text(text) => self.model.encode_text(text).map_err(bad)?,
            Prompt::Ids(ids) => ids.clone(),
        };
        if let Some(unknown) = ids.iter().find(|id| self.model.tokenizer().piece(**id).is_none()) {
            return Err(ApiError::new(
                ErrorCode::InvalidRequest,
                format!("token id {unknown} is not in the vocabulary of {}", self.name),
            )
            .with_param("prompt"));
        }
        if ids.is_empty() {
            return Err(ApiError::new(ErrorCode::InvalidRequest, "the prompt is empty")
                .with_param("prompt"));
        }
        Ok(ids)
    }

    /// Exact bytes of a token; empty for an id outside the vocabulary, which [`Self::prompt_ids`]
    /// and the backends refuse before it gets here.
    pub fn piece(&self, id: u32) -> &[u8] {
        self.model.tokenizer().piece(id).unwrap_or_default()
    }

    /// Tokens the context still holds after a prompt, or why it holds none.
    pub fn room_for_answer(&self, prompt_tokens: usize) -> Result<u64, ApiError> {
        let context = self.model.context_length();
        context
            .checked_sub(prompt_tokens)
            .filter(|room| *room > 0)
            .and_then(|room| u64::try_from(room).ok())
            .ok_or_else(|| {
                ApiError::new(
                    ErrorCode::ContextLengthExceeded,
                    format!("the prompt has {prompt_tokens} tokens, the context holds {context}"),
                )
                .with_param("messages")
            })
    }
}
