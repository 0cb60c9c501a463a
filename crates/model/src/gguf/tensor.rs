//! Tensor descriptions and their number formats.

use std::ops::Range;

use half::f16;

use crate::Error;

/// Numbers per q8_0 block: one f16 scale, then as many signed bytes (ggml, `block_q8_0`).
const Q8_0_NUMBERS: usize = 32;
const Q8_0_BYTES: usize = 2 + Q8_0_NUMBERS;

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorType {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// Blocks of 32 signed bytes with one f16 scale.
    Q8_0,
}

impl TensorType {
    pub(super) fn from_code(code: u32, name: &str) -> Result<Self, Error> {
        match code {
            0 => Ok(Self::F32),
            1 => Ok(Self::F16),
            8 => Ok(Self::Q8_0),
            other => Err(Error::Unsupported {
                what: format!("tensor {name:.64} has ggml type {other}"),
                hint: "the reference engine reads f32, f16 and q8_0; take such a file, \
                       or serve this one through another backend",
            }),
        }
    }

    /// Numbers and bytes of one indivisible block.
    fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 => (1, 2),
            Self::Q8_0 => (Q8_0_NUMBERS, Q8_0_BYTES),
        }
    }

    /// Exact conversion: f16 and q8_0 values (an 11-bit times an 8-bit significand) fit an f32.
    pub(super) fn to_f32(self, data: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Self::F16 => {
                data.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect()
            }
            Self::Q8_0 => {
                let mut out = Vec::with_capacity(data.len() / Q8_0_BYTES * Q8_0_NUMBERS);
                for [low, high, quants @ ..] in data.as_chunks::<Q8_0_BYTES>().0 {
                    let scale = f16::from_le_bytes([*low, *high]).to_f32();
                    out.extend(quants.iter().map(|q| scale * f32::from(q.cast_signed())));
                }
                out
            }
        }
    }
}

/// Where a tensor lies and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    shape: Vec<usize>,
    kind: TensorType,
    range: Range<usize>,
}

impl TensorInfo {
    /// Checks the description against the length of the file. `start` is where the data section
    /// begins, `offset` is relative to it.
    pub(super) fn locate(
        shape: Vec<u64>,
        kind: TensorType,
        start: u64,
        offset: u64,
        file_len: usize,
    ) -> Result<Self, String> {
        let shape = shape.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
        let shape = shape.map_err(|_| "a dimension does not fit this machine")?;
        let numbers = shape.iter().try_fold(1_usize, |product, n| product.checked_mul(*n));
        let numbers = numbers.ok_or("the dimensions overflow")?;
        let (per_block, block_bytes) = kind.block();
        if !shape.first().unwrap_or(&1).is_multiple_of(per_block) {
            return Err(format!("a row is not a multiple of {per_block} numbers"));
        }
        let bytes = (numbers / per_block).checked_mul(block_bytes).ok_or("the size overflows")?;
        let begin = start.checked_add(offset).and_then(|at| usize::try_from(at).ok());
        let begin = begin.ok_or("the offset overflows")?;
        match begin.checked_add(bytes) {
            Some(end) if end <= file_len => Ok(Self { shape, kind, range: begin..end }),
            _ => Err(format!("a tensor of {bytes} bytes at {begin} runs past the end {file_len}")),
        }
    }

    /// Dimensions in ggml's order, the row length first: a `[out, in]` matrix reads `[in, out]`.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number format.
    #[must_use]
    pub fn kind(&self) -> TensorType {
        self.kind
    }

    /// Byte range in the file.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }
}
