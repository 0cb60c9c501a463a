//! Mistakes in a configuration, collected so that all are reported at once.

use core::fmt;

/// One mistake: where it is, what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Dotted path in the file (`chains.base.rpc_urls`), or the name of an environment variable.
    pub path: String,
    /// What is wrong, lower case, without a final stop.
    pub message: String,
    /// What would be right; empty if the message says it all.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "\n    hint: {}", self.hint) }
    }
}

/// Every mistake found so far. As an error it prints all of them, one per line with its hint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records one mistake. Values that may be secret do not belong in `message`.
    pub fn add(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.0.push(Problem { path: path.into(), message: message.into(), hint: hint.into() });
    }

    /// Adds those of another part of the configuration.
    pub fn extend(&mut self, other: Problems) {
        self.0.extend(other.0);
    }

    /// True while nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// `value` if nothing is wrong, else all mistakes.
    pub fn into_result<T>(self, value: T) -> Result<T, Problems> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.len() == 1 { "" } else { "s" };
        write!(f, "{} configuration mistake{plural}", self.len())?;
        for problem in self.iter() {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_printed_with_their_hints() {
        let mut problems = Problems::new();
        problems.add("a.b", "is not a number", "");
        problems.add("C_D", "is empty", "set it or remove it");
        assert_eq!(
            problems.to_string(),
            "2 configuration mistakes\n  a.b: is not a number\n  C_D: is empty\n    hint: set it or remove it"
        );
        assert_eq!(problems.clone().into_result(1), Err(problems));
        assert_eq!(Problems::new().into_result(1), Ok(1));
    }
}
