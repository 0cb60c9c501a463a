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
    /// A guard for these control tokens, with stand-ins that occur in none of the texts. The
    /// choice depends on nothing else, so that all parties choose alike.
    pub(super) fn new<'a>(
        control: impl Iterator<Item = &'a str>,
        texts: impl Iterator<Item = &'a str>,
    ) -> Self {
        let ends: BTreeSet<char> = control
            .flat_map(|token| token.chars().next().into_iter().chain(token.chars().last()))
            .collect();
        let used: BTreeSet<char> =
            texts.flat_map(str::chars).filter(|c| STAND_INS.contains(c)).collect();
        // Control tokens begin and end with a handful of characters. Were a text to use up the
        // whole area, the characters left over would be hidden by one stand-in of another plane.
        let free = STAND_INS.filter(|c| !used.contains(c));
        let hidden: BTreeMap<char, char> = ends.into_iter().zip(free).collect();
        let shown = hidden.iter().map(|(c, stand_in)| (*stand_in, *c)).collect();
        Self { hidden, shown }
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
