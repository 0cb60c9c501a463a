//! Keeps message text apart from the template's own markers while both pass through a template.
//!
//! Every character with which some control token begins or ends is replaced, in messages only, by
//! a private-use character that occurs in no message and not in the template. In the rendered
//! text a control token can then only be found where the template wrote it, whatever the template
//! does to messages: trim, cut, join. Ordinary stretches are restored before they are tokenized.

use std::collections::{BTreeMap, BTreeSet};

/// Supplementary Private Use Area-A: 65,534 characters without a meaning (Unicode, chapter 23.5).
const STAND_INS: std::ops::RangeInclusive<char> = '\u{F0000}'..='\u{FFFFD}';

pub(super) struct Guard {
    hidden: BTreeMap<char, char>,
    shown: BTreeMap<char, char>,
}

impl Guard {
    /// A guard for these control tokens, with stand-ins that occur in none of the texts; `None`
    /// if the texts use up the whole area. The choice depends on nothing else, so that all
    /// parties choose alike.
    pub(super) fn new<'a>(
        control: impl Iterator<Item = &'a str>,
        texts: impl Iterator<Item = &'a str>,
    ) -> Option<Self> {
        let mut ends = BTreeSet::new();
        for token in control {
            ends.extend(token.chars().next());
            ends.extend(token.chars().next_back());
        }
        let used: BTreeSet<char> =
            texts.flat_map(str::chars).filter(|c| STAND_INS.contains(c)).collect();
        let mut free = STAND_INS.filter(|c| !used.contains(c));
        let hidden: Option<BTreeMap<char, char>> =
            ends.into_iter().map(|c| Some((c, free.next()?))).collect();
        let hidden = hidden?;
        let shown = hidden.iter().map(|(c, stand_in)| (*stand_in, *c)).collect();
        Some(Self { hidden, shown })
    }

    /// The text as the template sees it.
    pub(super) fn hide(&self, text: &str) -> String {
        text.chars().map(|c| *self.hidden.get(&c).unwrap_or(&c)).collect()
    }

    /// The text as it was written.
    pub(super) fn show(&self, text: &str) -> String {
        text.chars().map(|c| *self.shown.get(&c).unwrap_or(&c)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_avoid_the_texts_and_can_be_undone() {
        let text = "a <|end|> \u{F0000}\u{F0002}";
        let guard = Guard::new(["<|end|>", "[INST]"].into_iter(), [text].into_iter()).unwrap();
        let hidden = guard.hide(text);
        assert!(!hidden.contains(['<', '>', '[', ']']));
        assert_eq!(hidden.chars().count(), text.chars().count());
        assert_eq!(guard.show(&hidden), text);
    }

    #[test]
    fn a_text_that_leaves_no_stand_in_is_refused() {
        let all: String = STAND_INS.collect();
        assert!(Guard::new(["<a>"].into_iter(), [all.as_str()].into_iter()).is_none());
        let nearly: String = STAND_INS.skip(2).collect();
        assert!(Guard::new(["<a>"].into_iter(), [nearly.as_str()].into_iter()).is_some());
    }
}
