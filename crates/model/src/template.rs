//! Chats as token ids, by the template that a model file carries.
//!
//! Host and renter both run [`encode_chat`] on the same messages and must get the same ids, since
//! they are what is billed. So nothing here depends on time, locale or environment. Message text can
//! never become a control token: the characters that control tokens begin and end with are hidden
//! while messages pass through the template. A template therefore cannot look for such characters
//! in a message either, as some do for `</think>`.

mod guard;
mod methods;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error as JinjaError, ErrorKind, Value as JinjaValue};

use crate::Error;
use crate::gguf::{GgufFile, Value};
use crate::tokenizer::{Part, Tokenizer};
use guard::Guard;

/// Instructions one rendering may run. Templates in use take a few thousand for a long chat; the
/// template comes from a stranger's file and must end.
const FUEL: u64 = 2_000_000;
const NAME: &str = "chat";
/// Longest role name; roles are words.
const MAX_ROLE_LEN: usize = 16;

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`; `developer` counts as `system`.
    pub role: String,
    /// Any text.
    pub content: String,
}

impl Message {
    /// A message in any role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }

    /// A message from the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// A message from the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }

    /// Instructions to the model.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new("system", content)
    }
}

/// A compiled chat template (Jinja, as in `tokenizer_config.json`).
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles `tokenizer.chat_template`.
    ///
    /// # Errors
    /// [`Error::NoChatTemplate`], [`Error::CompileTemplate`].
    pub fn from_gguf(file: &GgufFile, tokenizer: &Tokenizer) -> Result<Self, Error> {
        let source = file.optional("tokenizer.chat_template", Value::as_str)?;
        let source = source.ok_or(Error::NoChatTemplate)?.to_owned();
        let mut environment = Environment::new();
        // As the Hugging Face library renders them.
        let mut syntax = SyntaxConfig::builder();
        let syntax = syntax.trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| Error::CompileTemplate(Box::new(e)))?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(methods::call);
        environment.add_function("raise_exception", |message: String| {
            Err::<JinjaValue, _>(JinjaError::new(ErrorKind::InvalidOperation, message))
        });
        environment
            .add_template_owned(NAME, source.clone())
            .map_err(|source| Error::CompileTemplate(Box::new(source)))?;
        let text = |id: Option<u32>| {
            let piece = id.and_then(|id| tokenizer.piece(id)).unwrap_or_default();
            String::from_utf8_lossy(piece).into_owned()
        };
        Ok(Self { environment, source, bos: text(tokenizer.bos()), eos: text(tokenizer.eos()) })
    }

    /// The template's text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders messages as text, for people to read. Never tokenize this: once rendered, the
    /// template's markers and look-alikes in a message are the same letters. Use [`encode_chat`].
    ///
    /// # Errors
    /// [`Error::Role`], [`Error::RenderTemplate`].
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, Error> {
        self.render_with(messages, add_generation_prompt, |content| content.to_owned())
    }

    fn render_with(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        content: impl Fn(&str) -> String,
    ) -> Result<String, Error> {
        let mut list = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let role = role_of(&message.role).ok_or(Error::Role { index })?;
            list.push(JinjaValue::from_pairs([
                ("role", JinjaValue::from(role)),
                ("content", JinjaValue::from(content(&message.content))),
            ]));
        }
        let context = JinjaValue::from_pairs([
            ("messages", JinjaValue::from(list)),
            ("add_generation_prompt", JinjaValue::from(add_generation_prompt)),
            ("bos_token", JinjaValue::from(self.bos.as_str())),
            ("eos_token", JinjaValue::from(self.eos.as_str())),
        ]);
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(context))
            .map_err(|source| Error::RenderTemplate(Box::new(source)))
    }
}

/// The prompt for the next assistant message, as token ids.
///
/// Deterministic, and safe against text that imitates control tokens: `<|end|>` in a message is
/// split into ordinary tokens, `<|end|>` in the template is the control token.
///
/// # Errors
/// [`Error::Role`], [`Error::RenderTemplate`], [`Error::Encode`].
pub fn encode_chat(
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    messages: &[Message],
) -> Result<Vec<u32>, Error> {
    let guard = Guard::new(
        tokenizer.control_texts(),
        messages.iter().map(|message| message.content.as_str()).chain([template.source()]),
    );
    let guard = guard.ok_or_else(|| Error::Encode {
        what: "the messages use every private-use character".to_owned(),
    })?;
    let rendered = template.render_with(messages, true, |content| guard.hide(content))?;
    let mut ids = Vec::new();
    for part in tokenizer.split_control(&rendered) {
        match part {
            Part::Marker(id) => ids.push(id),
            Part::Text(text) => ids.extend(tokenizer.encode(&guard.show(text), false)?),
        }
    }
    Ok(ids)
}

/// The role as templates know it; `None` if it is not a plain word, which a template would paste
/// into its markers.
fn role_of(role: &str) -> Option<&str> {
    let plain = (1..=MAX_ROLE_LEN).contains(&role.len())
        && role.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match role {
        "developer" => Some("system"),
        other => plain.then_some(other),
    }
}
