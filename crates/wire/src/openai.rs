//! OpenAI-compatible bodies: what clients send to `/v1/chat/completions` and `/v1/completions`,
//! and what they get back. Shared by the host's front and the renter's local endpoint.

mod answer;
mod request;
mod response;
mod stop;

pub use answer::{AnswerEvent, payloads, whole};
pub use request::{
    ChatRequest, CompletionRequest, GenerationRequest, InferenceRequest, Message, Prompt, Shape,
    StreamOptions,
};
pub use response::{Assembler, Delta, ModelEntry, Usage, model_list};
pub use stop::StopFilter;
