//! Solidity text without what is not code.

use crate::commands::contracts_coverage::assembly;

/// The source with comments, strings and inline assembly blanked out, byte for byte in place.
pub(super) fn code_of(source: &str) -> Vec<u8> {
    let mut code = source.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        let rest = &source.as_bytes()[at..];
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            rest.windows(2).position(|pair| pair == b"*/").map_or(rest.len(), |end| end + 2)
        } else if rest[0] == b'"' || rest[0] == b'\'' {
            let quote = rest[0];
            let end = (1..rest.len()).find(|i| rest[*i] == quote && rest[i - 1] != b'\\');
            end.map_or(rest.len(), |end| end + 1)
        } else {
            at += 1;
            continue;
        };
        blank(&mut code[at..at + length]);
        at += length;
    }
    let assembly = assembly::lines(source);
    let mut start = 0;
    for (number, line) in (1..).zip(source.split_inclusive('\n')) {
        if assembly.contains(&number) {
            blank(&mut code[start..start + line.len()]);
        }
        start += line.len();
    }
    code
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// A word, number or operator, by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Operators of more than one character, longest first.
const OPERATORS: [&[u8]; 21] = [
    b">>=", b"<<=", b"=>", b"<=", b">=", b"==", b"!=", b"&&", b"||", b"<<", b">>", b"++", b"--",
    b"+=", b"-=", b"*=", b"/=", b"%=", b"|=", b"&=", b"**",
];

pub(super) fn tokens(code: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while start < code.len() {
        let rest = &code[start..];
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'$';
        let length = if rest[0].is_ascii_whitespace() {
            start += 1;
            continue;
        } else if is_word(&rest[0]) {
            rest.iter().position(|byte| !is_word(byte)).unwrap_or(rest.len())
        } else {
            OPERATORS.iter().find(|known| rest.starts_with(known)).map_or(1, |known| known.len())
        };
        tokens.push(Token { start, end: start + length });
        start += length;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::{code_of, tokens};

    #[test]
    fn what_is_not_code_is_blanked_in_place() {
        let source = "a; // b < c\n/* d\ne */ f(\"g // h\", 'i');\nassembly {\n j\n}\nk;\n";
        let code = String::from_utf8(code_of(source)).unwrap();
        assert_eq!(code.len(), source.len());
        let words: Vec<_> = code.split_whitespace().collect();
        assert_eq!(words, ["a;", "f(", ",", ");", "k;"]);
    }

    #[test]
    fn operators_are_whole() {
        let code = b"x>>=2**y!=z_1?a=>b:c--";
        let texts: Vec<_> = tokens(code)
            .iter()
            .map(|token| std::str::from_utf8(&code[token.start..token.end]).unwrap())
            .collect();
        let expected =
            ["x", ">>=", "2", "**", "y", "!=", "z_1", "?", "a", "=>", "b", ":", "c", "--"];
        assert_eq!(texts, expected);
    }
}
