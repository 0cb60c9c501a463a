//! Reading one TOML table key by key, recording every mistake instead of stopping at the first.

use core::cell::RefCell;
use core::str::FromStr;
use std::collections::BTreeSet;
use std::fmt::Display;

use toml::{Table, Value};

use crate::problems::Problems;

/// A table at a path. Each read marks its key as known; [`Section::finish`] reports the rest, so
/// that a misspelt key is a mistake and never silently a default.
#[derive(Debug)]
pub struct Section<'a> {
    path: String,
    table: &'a Table,
    known: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    /// `path` is empty for the document itself.
    pub fn new(path: impl Into<String>, table: &'a Table) -> Self {
        Self { path: path.into(), table, known: RefCell::default() }
    }

    /// Dotted path of `key` in the file.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().insert(key);
        self.table.get(key)
    }

    fn expect<T>(
        &self,
        key: &'static str,
        kind: &str,
        problems: &mut Problems,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(key)?;
        let read = read(value);
        if read.is_none() {
            let message = format!("expected {kind}, found {}", value.type_str());
            problems.add(self.path_of(key), message, "");
        }
        read
    }

    /// Text, or `None` if absent or a mistake.
    pub fn text(&self, key: &'static str, problems: &mut Problems) -> Option<&'a str> {
        self.expect(key, "a string", problems, Value::as_str)
    }

    /// A whole number from zero up.
    pub fn unsigned(&self, key: &'static str, problems: &mut Problems) -> Option<u64> {
        let number = self.expect(key, "a whole number", problems, Value::as_integer)?;
        if number < 0 {
            problems.add(self.path_of(key), "is negative", "");
        }
        u64::try_from(number).ok()
    }

    /// True or false.
    pub fn switch(&self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        self.expect(key, "true or false", problems, Value::as_bool)
    }

    /// A number with or without a fraction, as its decimal text, so that nothing is rounded.
    pub fn number_text(&self, key: &'static str, problems: &mut Problems) -> Option<String> {
        self.expect(key, "a number", problems, |value| match value {
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            _ => None,
        })
    }

    /// Text that parses as `T`; the mistake is `T`'s own message.
    pub fn parsed<T: FromStr<Err: Display>>(
        &self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        text.parse()
            .map_err(|error: T::Err| problems.add(self.path_of(key), error.to_string(), ""))
            .ok()
    }

    /// A list of texts.
    pub fn texts(&self, key: &'static str, problems: &mut Problems) -> Option<Vec<&'a str>> {
        self.expect(key, "a list of strings", problems, |value| {
            value.as_array()?.iter().map(Value::as_str).collect()
        })
    }

    /// A table of its own, with known keys.
    pub fn section(&self, key: &'static str, problems: &mut Problems) -> Option<Section<'a>> {
        let table = self.expect(key, "a table", problems, Value::as_table)?;
        Some(Section::new(self.path_of(key), table))
    }

    /// Tables under names the user chooses (`[chains.<name>]`), in the order of their names.
    pub fn named(&self, key: &'static str, problems: &mut Problems) -> Vec<(&'a str, Section<'a>)> {
        let Some(table) = self.expect(key, "a table", problems, Value::as_table) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, value) in table {
            let path = format!("{}.{name}", self.path_of(key));
            match value.as_table() {
                Some(table) => found.push((name.as_str(), Section::new(path, table))),
                None => {
                    problems.add(path, format!("expected a table, found {}", value.type_str()), "");
                }
            }
        }
        found
    }

    /// Reports every key that was never asked for.
    pub fn finish(self, problems: &mut Problems) {
        let known = self.known.borrow();
        for key in self.table.keys().filter(|key| !known.contains(key.as_str())) {
            let names = known.iter().copied().collect::<Vec<_>>().join(", ");
            problems.add(self.path_of(key), "unknown key", format!("known here: {names}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_of_a_table_is_reported() {
        let table: Table =
            "a = 1\nb = -2\nc = 'x'\nd = [1]\nextra = true\n[named]\none = 1".parse().unwrap();
        let section = Section::new("top", &table);
        let mut problems = Problems::new();
        assert_eq!(section.text("a", &mut problems), None);
        assert_eq!(section.unsigned("b", &mut problems), None);
        assert_eq!(section.parsed::<u16>("c", &mut problems), None);
        assert_eq!(section.texts("d", &mut problems), None);
        assert_eq!(section.text("absent", &mut problems), None);
        assert!(section.named("named", &mut problems).is_empty());
        section.finish(&mut problems);
        let text: Vec<String> =
            problems.iter().map(|found| format!("{}: {}", found.path, found.message)).collect();
        assert_eq!(
            text,
            [
                "top.a: expected a string, found integer",
                "top.b: is negative",
                "top.c: invalid digit found in string",
                "top.d: expected a list of strings, found array",
                "top.named.one: expected a table, found integer",
                "top.extra: unknown key",
            ]
        );
    }
}
