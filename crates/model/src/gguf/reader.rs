//! A cursor over the bytes of a file, which never reads past the end.

use crate::Error;

/// Reads little-endian values in order.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(len);
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(slice) => {
                self.at += len;
                Ok(slice)
            }
            None => Err(self.mistake_at(self.at, format!("{len} more bytes expected, file ends"))),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    /// The number of things that follow, each at least `min_bytes` long, so that a foreign count
    /// can never ask for more than the file could hold.
    pub(super) fn count(&mut self, min_bytes: u64) -> Result<usize, Error> {
        let at = self.at;
        let count = self.u64()?;
        let left = (self.bytes.len() - self.at) as u64;
        match count.checked_mul(min_bytes) {
            Some(bytes) if bytes <= left => usize::try_from(count)
                .map_err(|_| self.mistake_at(at, "a count does not fit this machine")),
            _ => Err(self.mistake_at(at, format!("{count} entries cannot fit into {left} bytes"))),
        }
    }

    pub(super) fn string(&mut self) -> Result<String, Error> {
        let at = self.at;
        let len = self.count(1)?;
        let bytes = self.take(len)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.mistake_at(at, "a string is not UTF-8")),
        }
    }

    pub(super) fn mistake_at(&self, at: usize, what: impl Into<String>) -> Error {
        Error::ParseGguf { at, what: what.into() }
    }
}
