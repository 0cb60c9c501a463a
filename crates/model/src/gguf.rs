//! GGUF model files, versions 2 and 3, little endian.
//!
//! Format: the GGUF specification in the ggml repository (`docs/gguf.md`). A file is a header,
//! metadata pairs, tensor descriptions, padding to the alignment, then the tensors' data. The file
//! comes from a stranger: every length is checked against what is left before anything is
//! allocated, and a mistake is reported with its offset.

mod reader;
mod tensor;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

use crate::Error;
use reader::Reader;
pub use tensor::{TensorInfo, TensorType};
pub use value::Value;

/// Alignment of tensor data unless `general.alignment` says otherwise (specification).
const DEFAULT_ALIGNMENT: u64 = 32;
/// The specification allows four dimensions.
const MAX_DIMENSIONS: u32 = 4;
/// Smallest tensor description: empty name, no dimension, type, offset.
const MIN_TENSOR_BYTES: u64 = 8 + 4 + 4 + 8;
/// Smallest metadata pair: empty key, type, one byte.
const MIN_PAIR_BYTES: u64 = 8 + 4 + 1;

/// A parsed GGUF file that owns its bytes.
#[derive(Debug)]
pub struct GgufFile {
    bytes: Vec<u8>,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl GgufFile {
    /// Reads and parses the file. It is read, not mapped: a file that changes under a running
    /// host must not change its answers.
    ///
    /// # Errors
    /// [`Error::ReadFile`] or those of [`GgufFile::parse`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|source| Error::ReadFile { path: path.to_owned(), source })?;
        Self::parse(bytes)
    }

    /// Parses a whole file held in memory.
    ///
    /// # Errors
    /// [`Error::ParseGguf`] with the offset of the first mistake; [`Error::Unsupported`] for a
    /// version or a tensor type this engine does not read.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Error> {
        let mut reader = Reader::new(&bytes);
        if reader.take(4)? != b"GGUF" {
            return Err(reader.mistake_at(0, "the magic is not GGUF"));
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(Error::Unsupported {
                what: format!("GGUF version {version}"),
                hint: "versions 2 and 3, little endian, are read",
            });
        }
        let tensor_count = reader.count(MIN_TENSOR_BYTES)?;
        let pair_count = reader.count(MIN_PAIR_BYTES)?;

        let mut metadata = BTreeMap::new();
        for _ in 0..pair_count {
            let at = reader.offset();
            let key = reader.string()?;
            let value = Value::read(&mut reader)?;
            if metadata.insert(key, value).is_some() {
                return Err(reader.mistake_at(at, "a metadata key appears twice"));
            }
        }

        let mut described = Vec::new();
        for _ in 0..tensor_count {
            let at = reader.offset();
            let name = reader.string()?;
            let dimensions = reader.u32()?;
            if dimensions > MAX_DIMENSIONS {
                return Err(reader.mistake_at(at, "a tensor has more than four dimensions"));
            }
            let shape = (0..dimensions).map(|_| reader.u64()).collect::<Result<Vec<_>, _>>()?;
            let kind = TensorType::from_code(reader.u32()?, &name)?;
            described.push((at, name, shape, kind, reader.u64()?));
        }

        let alignment = match metadata.get("general.alignment") {
            None => DEFAULT_ALIGNMENT,
            Some(value) => value
                .as_u64()
                .filter(|a| a.is_power_of_two() && *a >= 8)
                .ok_or_else(|| reader.mistake_at(0, "general.alignment is not a power of two"))?,
        };
        let start = (reader.offset() as u64).next_multiple_of(alignment);
        let mut tensors = BTreeMap::new();
        for (at, name, shape, kind, offset) in described {
            if offset % alignment != 0 {
                return Err(reader.mistake_at(at, "a tensor is not aligned"));
            }
            let info = TensorInfo::locate(shape, kind, start, offset, bytes.len())
                .map_err(|what| reader.mistake_at(at, what))?;
            if tensors.insert(name, info).is_some() {
                return Err(reader.mistake_at(at, "a tensor name appears twice"));
            }
        }
        Ok(Self { bytes, metadata, tensors })
    }

    /// All metadata, by key.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// All tensors, by name.
    #[must_use]
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The raw bytes of the file, of which the model's id is the SHA-256.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The tensor's numbers in storage order, as f32. Exact for f32, f16 and q8_0 alike.
    ///
    /// # Errors
    /// [`Error::LoadTensor`] when it is missing, or holds a number that is not finite.
    pub fn tensor_f32(&self, name: &str) -> Result<Vec<f32>, Error> {
        let fail = |what: &str| Error::LoadTensor { name: name.to_owned(), what: what.to_owned() };
        let info = self.tensors.get(name).ok_or_else(|| fail("is missing"))?;
        let data = self.bytes.get(info.range()).ok_or_else(|| fail("lies outside the file"))?;
        let numbers = info.kind().to_f32(data);
        if numbers.iter().all(|n| n.is_finite()) {
            Ok(numbers)
        } else {
            Err(fail("holds a number that is not finite"))
        }
    }

    /// A metadata entry that must be there, through one of [`Value`]'s accessors.
    pub(crate) fn required<'a, T>(
        &'a self,
        key: &str,
        get: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, Error> {
        self.optional(key, get)?
            .ok_or_else(|| Error::Metadata { key: key.to_owned(), what: "is missing".to_owned() })
    }

    /// A metadata entry that may be absent, but not of another type.
    pub(crate) fn optional<'a, T>(
        &'a self,
        key: &str,
        get: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        match get(value) {
            Some(found) => Ok(Some(found)),
            None => Err(Error::Metadata {
                key: key.to_owned(),
                what: format!("has an unexpected type, {}", value.type_name()),
            }),
        }
    }
}
