//! Text out of a stream of token bytes.

/// Turns bytes into text as they come, holding back a character whose bytes are not all there.
///
/// What was pushed and cannot become a character any more is replaced by U+FFFD, as the Unicode
/// standard recommends (one per maximal subpart), so the joined output always equals
/// `String::from_utf8_lossy` of the joined input.
#[derive(Debug, Default, Clone)]
pub struct Utf8Stream {
    held: Vec<u8>,
}

impl Utf8Stream {
    /// A stream at the start of a text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the bytes of a token; returns the text that is now complete, which may be empty.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let complete = match self.held.utf8_chunks().last() {
            Some(chunk) if is_unfinished(chunk.invalid()) => {
                self.held.len() - chunk.invalid().len()
            }
            _ => self.held.len(),
        };
        let rest = self.held.split_off(complete);
        let done = std::mem::replace(&mut self.held, rest);
        String::from_utf8_lossy(&done).into_owned()
    }

    /// Ends the text; returns a replacement character if a character was cut off.
    pub fn finish(&mut self) -> String {
        let done = std::mem::take(&mut self.held);
        String::from_utf8_lossy(&done).into_owned()
    }

    /// Bytes held back, at most three.
    #[must_use]
    pub fn held(&self) -> &[u8] {
        &self.held
    }
}

/// Whether these bytes, invalid on their own, are the start of a character.
fn is_unfinished(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => false,
        // The error has a length exactly when more bytes could not help.
        Err(error) => error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_split_over_four_pushes_comes_out_once() {
        let mut stream = Utf8Stream::new();
        let fox = "a🦊".as_bytes();
        assert_eq!(stream.push(&fox[..2]), "a");
        assert_eq!(stream.push(&fox[2..3]), "");
        assert_eq!(stream.push(&fox[3..4]), "");
        assert_eq!(stream.push(&fox[4..]), "🦊");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn a_cut_character_is_replaced_at_the_end() {
        let mut stream = Utf8Stream::new();
        assert_eq!(stream.push(&[0xE3, 0x81]), "");
        assert_eq!(stream.held().len(), 2);
        assert_eq!(stream.finish(), "\u{FFFD}");
    }

    #[test]
    fn bytes_that_can_never_be_a_character_are_not_held() {
        let mut stream = Utf8Stream::new();
        assert_eq!(stream.push(&[0xFF, b'x', 0xC0]), "\u{FFFD}x\u{FFFD}");
        assert!(stream.held().is_empty());
    }
}
