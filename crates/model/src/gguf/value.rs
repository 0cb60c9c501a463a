//! Metadata values.

use super::reader::Reader;
use crate::Error;

/// Arrays of arrays are legal; nothing real nests deeper than this.
const MAX_DEPTH: u32 = 4;

/// One metadata value; the narrow number types of the file are widened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// u8, u16, u32, u64.
    Unsigned(u64),
    /// i8, i16, i32, i64.
    Signed(i64),
    /// f32, f64.
    Float(f64),
    /// One byte, 0 or 1.
    Bool(bool),
    /// UTF-8 text.
    Text(String),
    /// Values of one type.
    Array(Vec<Value>),
}

impl Value {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let kind = reader.u32()?;
        Self::read_as(reader, kind, 0)
    }

    fn read_as(reader: &mut Reader<'_>, kind: u32, depth: u32) -> Result<Self, Error> {
        let at = reader.offset();
        Ok(match kind {
            0 => Self::Unsigned(reader.u8()?.into()),
            1 => Self::Signed(i8::from_le_bytes(reader.array()?).into()),
            2 => Self::Unsigned(u16::from_le_bytes(reader.array()?).into()),
            3 => Self::Signed(i16::from_le_bytes(reader.array()?).into()),
            4 => Self::Unsigned(reader.u32()?.into()),
            5 => Self::Signed(i32::from_le_bytes(reader.array()?).into()),
            6 => Self::Float(f32::from_le_bytes(reader.array()?).into()),
            7 => match reader.u8()? {
                0 => Self::Bool(false),
                1 => Self::Bool(true),
                other => return Err(reader.mistake_at(at, format!("{other} is not a boolean"))),
            },
            8 => Self::Text(reader.string()?),
            9 if depth == MAX_DEPTH => {
                return Err(reader.mistake_at(at, "arrays are nested too deeply"));
            }
            9 => {
                let kind = reader.u32()?;
                let count = reader.count(min_bytes(kind))?;
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(Self::read_as(reader, kind, depth + 1)?);
                }
                Self::Array(items)
            }
            10 => Self::Unsigned(reader.u64()?),
            11 => Self::Signed(i64::from_le_bytes(reader.array()?)),
            12 => Self::Float(f64::from_le_bytes(reader.array()?)),
            other => return Err(reader.mistake_at(at, format!("{other} is not a value type"))),
        })
    }

    /// The number, if it is a whole one and not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(n) => Some(*n),
            Self::Signed(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The same as a 32-bit number, for ids and sizes.
    #[must_use]
    pub fn as_u32(&self) -> Option<u32> {
        self.as_u64().and_then(|n| u32::try_from(n).ok())
    }

    /// The floating-point number.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Float(n) = self { Some(*n) } else { None }
    }

    /// The boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(b) = self { Some(*b) } else { None }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(s) = self { Some(s) } else { None }
    }

    /// The items of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Unsigned(_) | Self::Signed(_) => "whole number",
            Self::Float(_) => "float",
            Self::Bool(_) => "boolean",
            Self::Text(_) => "text",
            Self::Array(_) => "array",
        }
    }
}

/// Bytes that a value of this type takes at least; unknown types are refused at the first item.
fn min_bytes(kind: u32) -> u64 {
    match kind {
        2 | 3 => 2,
        4..=6 => 4,
        8 | 10..=12 => 8,
        9 => 12,
        _ => 1,
    }
}
