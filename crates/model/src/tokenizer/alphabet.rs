//! The 256 characters that stand for bytes in a byte-level vocabulary.
//!
//! Source: `bytes_to_unicode` of the GPT-2 release. Printable Latin-1 bytes stand for themselves;
//! the other 68 are numbered upwards from U+0100.

/// The byte that a vocabulary character stands for.
pub(super) fn byte_of(c: char) -> Option<u8> {
    let code = u32::from(c);
    match u8::try_from(code) {
        Ok(byte) if is_printable(byte) => Some(byte),
        Ok(_) => None,
        Err(_) => {
            (0..=u8::MAX).filter(|b| !is_printable(*b)).nth(code.checked_sub(0x100)? as usize)
        }
    }
}

/// The bytes that a vocabulary entry stands for.
pub(super) fn bytes_of(text: &str) -> Option<Vec<u8>> {
    text.chars().map(byte_of).collect()
}

/// All 256 characters, in the order of their bytes.
pub(super) fn characters() -> impl Iterator<Item = char> {
    let mut unprintable = '\u{100}'..;
    (0..=u8::MAX).map(move |byte| match is_printable(byte) {
        true => char::from(byte),
        false => unprintable.next().unwrap_or(char::REPLACEMENT_CHARACTER),
    })
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        for (byte, c) in (0..=u8::MAX).zip(characters()) {
            assert_eq!(byte_of(c), Some(byte));
        }
        // A space and a line feed, as every GPT-2 vocabulary shows them.
        assert_eq!((byte_of('Ġ'), byte_of('Ċ')), (Some(b' '), Some(b'\n')));
        assert_eq!((byte_of(' '), byte_of('あ')), (None, None));
    }
}
