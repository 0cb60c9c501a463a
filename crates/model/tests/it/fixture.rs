//! The model under test, and files made from it with something changed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use capstan_model::gguf::{TensorType, Value};
use capstan_model::{Generation, GenerationParams, GgufFile, Message, Model, Sampling};

/// Path of a file in the repository's `models/`.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name)
}

/// The tiny model in f16, loaded once.
pub(crate) fn tiny() -> &'static Arc<Model> {
    static MODEL: OnceLock<Arc<Model>> = OnceLock::new();
    MODEL.get_or_init(|| Arc::new(Model::load(path("capstan-tiny.gguf")).unwrap()))
}

/// The bytes of the tiny model's file.
pub(crate) fn tiny_bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(path("capstan-tiny.gguf")).unwrap())
}

/// The prompt ids of one question.
pub(crate) fn ask(question: &str) -> Vec<u32> {
    tiny().encode_chat(&[Message::user(question)]).unwrap()
}

/// A greedy answer in the making.
pub(crate) fn greedy(question: &str, max_tokens: usize) -> Generation {
    let params = GenerationParams { max_tokens, sampling: Sampling::greedy() };
    Generation::new(Arc::clone(tiny()), ask(question), params).unwrap()
}

/// The tiny model's parts, to be changed and written out again.
pub(crate) struct Parts {
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) tensors: BTreeMap<String, (Vec<usize>, TensorType, Vec<u8>)>,
}

impl Parts {
    pub(crate) fn of_tiny() -> Self {
        let file = GgufFile::parse(tiny_bytes().to_vec()).unwrap();
        let tensor = |(name, info): (&String, &capstan_model::gguf::TensorInfo)| {
            let data = file.bytes()[info.range()].to_vec();
            (name.clone(), (info.shape().to_vec(), info.kind(), data))
        };
        let tensors = file.tensors().iter().map(tensor).collect();
        Self { metadata: file.metadata().clone(), tensors }
    }

    pub(crate) fn set(mut self, key: &str, value: Value) -> Self {
        self.metadata.insert(key.to_owned(), value);
        self
    }

    pub(crate) fn text(self, key: &str, text: &str) -> Self {
        self.set(key, Value::Text(text.to_owned()))
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        self.metadata.remove(key);
        self.tensors.remove(key);
        self
    }

    /// A GGUF version 3 file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            string(&mut out, key);
            out.extend(code(value).to_le_bytes());
            payload(&mut out, value);
        }
        let mut offset = 0_u64;
        for (name, (shape, kind, data)) in &self.tensors {
            string(&mut out, name);
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().for_each(|n| out.extend((*n as u64).to_le_bytes()));
            let kind = match kind {
                TensorType::F32 => 0_u32,
                TensorType::F16 => 1,
                _ => 8,
            };
            out.extend(kind.to_le_bytes());
            out.extend(offset.to_le_bytes());
            offset += (data.len() as u64).next_multiple_of(32);
        }
        for (_, _, data) in self.tensors.values() {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend(data);
        }
        out
    }

    pub(crate) fn load(&self) -> Result<Model, capstan_model::Error> {
        Model::from_bytes(self.write())
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn code(value: &Value) -> u32 {
    match value {
        Value::Bool(_) => 7,
        Value::Text(_) => 8,
        Value::Array(_) => 9,
        Value::Unsigned(_) => 10,
        Value::Signed(_) => 11,
        Value::Float(_) => 12,
        other => panic!("no code for {other:?}"),
    }
}

fn payload(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(b) => out.push(u8::from(*b)),
        Value::Text(text) => string(out, text),
        Value::Unsigned(n) => out.extend(n.to_le_bytes()),
        Value::Signed(n) => out.extend(n.to_le_bytes()),
        Value::Float(n) => out.extend(n.to_le_bytes()),
        Value::Array(items) => {
            out.extend(items.first().map_or(8, code).to_le_bytes());
            out.extend((items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| payload(out, item));
        }
        other => panic!("no payload for {other:?}"),
    }
}
