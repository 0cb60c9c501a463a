//! An error with its causes, for a log line or a sentence.

use core::error::Error;

/// The error's text and that of every cause, joined by colons. Texts here do not repeat their
/// source, so that one without the others says too little.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn every_cause_is_named_once() {
        let error = Outer(std::io::Error::other("disk is gone"));
        assert_eq!(causes(&error), "cannot read: disk is gone");
    }
}
