//! The faults that can be put into a source, found in its tokens.
//!
//! No parser: a fault that does not compile costs a compilation and is told apart afterwards.

use super::text::{Token, code_of, tokens};

/// One change of the source: bytes `start..end` become `after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mutant {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) line: usize,
    pub(super) kind: &'static str,
    /// The bytes changed, on one line, for the reader.
    pub(super) shown: String,
    pub(super) after: String,
}

impl Mutant {
    pub(super) fn apply(&self, source: &str) -> String {
        format!("{}{}{}", &source[..self.start], self.after, &source[self.end..])
    }
}

/// Operators and what they become.
const SWAPS: [(&str, &str, &str); 24] = [
    ("<", "<=", "boundary"),
    ("<=", "<", "boundary"),
    (">", ">=", "boundary"),
    (">=", ">", "boundary"),
    ("==", "!=", "comparison"),
    ("!=", "==", "comparison"),
    ("+", "-", "arithmetic"),
    ("-", "+", "arithmetic"),
    ("*", "/", "arithmetic"),
    ("/", "*", "arithmetic"),
    ("%", "*", "arithmetic"),
    ("+=", "-=", "arithmetic"),
    ("-=", "+=", "arithmetic"),
    ("++", "--", "arithmetic"),
    ("--", "++", "arithmetic"),
    ("&&", "||", "logic"),
    ("||", "&&", "logic"),
    ("!", "", "logic"),
    ("true", "false", "logic"),
    ("false", "true", "logic"),
    ("|", "&", "bits"),
    ("&", "|", "bits"),
    ("<<", ">>", "bits"),
    (">>", "<<", "bits"),
];

/// Words that begin what is no statement to delete, or would leave a different error behind.
const NO_DELETION: [&str; 26] = [
    "return",
    "if",
    "else",
    "for",
    "while",
    "do",
    "function",
    "modifier",
    "constructor",
    "struct",
    "enum",
    "event",
    "error",
    "using",
    "import",
    "pragma",
    "contract",
    "library",
    "interface",
    "abstract",
    "mapping",
    "type",
    "try",
    "catch",
    "unchecked",
    "_",
];

/// What may stand in a function's head besides modifiers.
const HEAD: [&str; 10] = [
    "external", "public", "internal", "private", "view", "pure", "payable", "virtual", "override",
    "returns",
];

/// Every fault, in the order of the source.
pub(super) fn of(source: &str) -> Vec<Mutant> {
    let code = code_of(source);
    let finder = Finder { source, code: &code, tokens: tokens(&code) };
    let mut mutants = Vec::new();
    for at in 0..finder.tokens.len() {
        if finder.is_in_directive(at) {
            continue;
        }
        finder.swaps(at, &mut mutants);
        finder.numbers(at, &mut mutants);
        finder.statements(at, &mut mutants);
        finder.modifiers(at, &mut mutants);
    }
    mutants.sort_by_key(|mutant| (mutant.start, mutant.end));
    mutants
}

struct Finder<'a> {
    source: &'a str,
    code: &'a [u8],
    tokens: Vec<Token>,
}

impl Finder<'_> {
    fn text(&self, at: usize) -> &str {
        let token = self.tokens.get(at).copied().unwrap_or(Token { start: 0, end: 0 });
        std::str::from_utf8(&self.code[token.start..token.end]).unwrap_or_default()
    }

    fn before(&self, at: usize) -> &str {
        at.checked_sub(1).map_or("", |at| self.text(at))
    }

    fn mutant(&self, from: usize, to: usize, kind: &'static str, after: String) -> Mutant {
        let (start, end) = (self.tokens[from].start, self.tokens[to].end);
        let shown = self.source[start..end].split_whitespace().collect::<Vec<_>>().join(" ");
        let line = self.source[..start].matches('\n').count() + 1;
        Mutant { start, end, line, kind, shown, after }
    }

    /// The first token of the statement or declaration that a token is in.
    fn first_of_statement(&self, at: usize) -> usize {
        let ends = |at: &usize| matches!(self.text(*at), ";" | "{" | "}");
        (0..at).rev().find(ends).map_or(0, |end| end + 1)
    }

    /// Imports, declarations of errors and events, `using X for Y`.
    fn is_in_directive(&self, at: usize) -> bool {
        let directives = ["import", "pragma", "using", "event", "error", "type"];
        let first = self.first_of_statement(at);
        directives.contains(&self.text(first))
    }

    fn swaps(&self, at: usize, mutants: &mut Vec<Mutant>) {
        let text = self.text(at);
        let Some((_, after, kind)) = SWAPS.iter().find(|(before, ..)| *before == text) else {
            return;
        };
        // A sign, not a difference.
        let is_unary = matches!(self.before(at), "(" | "," | "=" | "return" | "?" | ":");
        if !(is_unary && text == "-") {
            mutants.push(self.mutant(at, at, kind, (*after).to_owned()));
        }
    }

    fn numbers(&self, at: usize, mutants: &mut Vec<Mutant>) {
        let text = self.text(at);
        let digits = text.replace('_', "");
        if !digits.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
            return;
        }
        // An address literal must keep its checksum, and a power of ten its form.
        if digits.len() >= 42 && digits.starts_with("0x") {
            return;
        }
        let unit = self.text(at + 1);
        let units = ["seconds", "minutes", "hours", "days", "weeks", "wei", "gwei", "ether"];
        let is_measure = units.contains(&unit);
        let last = if is_measure { at + 1 } else { at };
        let whole = if is_measure { format!("{text} {unit}") } else { text.to_owned() };
        mutants.push(self.mutant(at, last, "constant", format!("({whole} + 1)")));
        if digits.bytes().any(|byte| !matches!(byte, b'0' | b'x')) {
            mutants.push(self.mutant(at, last, "constant", format!("({whole} - 1)")));
        }
    }

    /// Deletes refusals, assignments, calls and events.
    fn statements(&self, at: usize, mutants: &mut Vec<Mutant>) {
        let begins = matches!(self.before(at), ";" | "{" | "}")
            || (self.before(at) == ")" && self.closes_condition(at - 1));
        if !begins {
            return;
        }
        let text = self.text(at);
        if text == "if" {
            self.refusal(at, mutants);
            return;
        }
        if NO_DELETION.contains(&text) || matches!(text, "{" | "}" | "revert") {
            return;
        }
        let Some(end) = self.end_of_statement(at) else { return };
        let inner: Vec<_> = (at..end).map(|at| self.text(at)).collect();
        // `uint256 x = 1;` declares; without it nothing after it compiles. So do members of a contract.
        let declares = inner.len() > 1
            && is_word(inner[0])
            && is_word(inner[1])
            && text != "emit"
            && text != "delete";
        let acts =
            inner.iter().any(|text| text.ends_with('=') || matches!(*text, "(" | "++" | "--"))
                || text == "delete";
        if !declares && acts && !inner.contains(&"{") {
            mutants.push(self.mutant(at, end, "deletion", "{}".to_owned()));
        }
    }

    /// `if (...) revert ...;`, with braces or without.
    fn refusal(&self, at: usize, mutants: &mut Vec<Mutant>) {
        let Some(close) = self.closing(at + 1) else { return };
        let (body, braced) = match self.text(close + 1) {
            "{" => (close + 2, true),
            _ => (close + 1, false),
        };
        // Any condition may be taken as never true; deleting the refusal is the same fault.
        let refuses = matches!(self.text(body), "revert" | "return" | "continue");
        let Some(end) = self.end_of_statement(body) else { return };
        let end = if braced { end + 1 } else { end };
        if refuses && (!braced || self.text(end) == "}") {
            mutants.push(self.mutant(at, end, "refusal", "{}".to_owned()));
        } else {
            mutants.push(self.mutant(at + 1, close, "condition", "(false)".to_owned()));
        }
    }

    /// Takes a modifier off a function.
    fn modifiers(&self, at: usize, mutants: &mut Vec<Mutant>) {
        if self.text(at) != "function" {
            return;
        }
        let Some(mut next) = self.closing(at + 2) else { return };
        next += 1;
        while !matches!(self.text(next), "{" | ";" | "") {
            let text = self.text(next);
            let arguments = if self.text(next + 1) == "(" { self.closing(next + 1) } else { None };
            let last = arguments.unwrap_or(next);
            if is_word(text) && !HEAD.contains(&text) {
                mutants.push(self.mutant(next, last, "modifier", String::new()));
            }
            next = last + 1;
        }
    }

    /// The bracket that closes the one at a token.
    fn closing(&self, open: usize) -> Option<usize> {
        if self.text(open) != "(" {
            return None;
        }
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            match self.text(at) {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(at);
            }
        }
        None
    }

    /// Whether a closing bracket is that of an `if`, `for` or `while`.
    fn closes_condition(&self, close: usize) -> bool {
        let mut depth = 0_usize;
        for at in (0..=close).rev() {
            match self.text(at) {
                ")" => depth += 1,
                "(" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return matches!(self.before(at), "if" | "for" | "while");
            }
        }
        false
    }

    /// The semicolon of a simple statement; braces in it are those of call options.
    fn end_of_statement(&self, first: usize) -> Option<usize> {
        (first..self.tokens.len()).find(|at| self.text(*at) == ";")
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::of;

    const SOURCE: &str = "\
import {A} from \"a.sol\";

contract C is A {
    event Moved(uint256 amount);
    uint16 public constant CAP = 10_000;
    uint40 public constant DELAY = 2 hours;

    function move(uint256 amount) external payable nonReentrant only(7) returns (uint256) {
        if (amount >= CAP) revert TooMuch(amount);
        // if (amount == 1) revert
        if (!open && amount != 0) {
            amount = amount - 1;
        }
        uint256 x = amount;
        total[msg.sender] += x;
        emit Moved(x);
        return x;
    }
}
";

    fn shown() -> Vec<String> {
        let line = |mutant: super::Mutant| {
            format!("{} {}: {} -> {}", mutant.line, mutant.kind, mutant.shown, mutant.after)
        };
        of(SOURCE).into_iter().map(line).collect()
    }

    #[test]
    fn faults_are_found_in_code_alone() {
        let expected = [
            "5 constant: 10_000 -> (10_000 + 1)",
            "5 constant: 10_000 -> (10_000 - 1)",
            "6 constant: 2 hours -> (2 hours + 1)",
            "6 constant: 2 hours -> (2 hours - 1)",
            "8 modifier: nonReentrant -> ",
            "8 constant: 7 -> (7 + 1)",
            "8 constant: 7 -> (7 - 1)",
            "8 modifier: only(7) -> ",
            "9 refusal: if (amount >= CAP) revert TooMuch(amount); -> {}",
            "9 boundary: >= -> >",
            "11 logic: ! -> ",
            "11 condition: (!open && amount != 0) -> (false)",
            "11 logic: && -> ||",
            "11 comparison: != -> ==",
            "11 constant: 0 -> (0 + 1)",
            "12 deletion: amount = amount - 1; -> {}",
            "12 arithmetic: - -> +",
            "12 constant: 1 -> (1 + 1)",
            "12 constant: 1 -> (1 - 1)",
            "15 deletion: total[msg.sender] += x; -> {}",
            "15 arithmetic: += -> -=",
            "16 deletion: emit Moved(x); -> {}",
        ];
        let mut shown = shown();
        let mut expected: Vec<_> = expected.map(str::to_owned).into();
        shown.sort();
        expected.sort();
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_fault_changes_its_place_alone() {
        let mutant = of(SOURCE).into_iter().find(|mutant| mutant.kind == "boundary").unwrap();
        let changed = mutant.apply(SOURCE);
        assert!(changed.contains("if (amount > CAP) revert TooMuch(amount);"));
        assert_eq!(changed.len(), SOURCE.len() - 1);
    }
}
