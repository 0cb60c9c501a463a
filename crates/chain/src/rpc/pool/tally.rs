//! What endpoints said to one request, and what follows from it.

use crate::rpc::pool::VOICES;
use crate::rpc::pool::agree::{Found, Voices};
use crate::rpc::select::{Candidate, Standing};

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Something that names its block: who is behind may have it too.
    Past,
    /// The newest state of whoever is asked: who is behind tells of an older one.
    State,
}

/// What one request was answered so far, no two answers alike.
pub(super) struct Tally<T> {
    shown: Vec<T>,
    absent: usize,
    speaker: Option<usize>,
}

/// What the answers come to once everybody was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision<T> {
    Nobody,
    Found(Found<T>),
    Unconfirmed,
    Disagreement,
}

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self { shown: Vec::new(), absent: 0, speaker: None }
    }
}

impl<T> Tally<T> {
    /// True if the endpoint's word is of use: one that is behind can confirm what is past and shown
    /// by another, and not deny it; and one that rests costs a deadline.
    pub(super) fn wants(&self, candidate: Candidate, about: About) -> bool {
        let nothing = self.shown.is_empty() && self.absent == 0;
        if candidate.rests || (about == About::State && !candidate.has_voice()) {
            nothing
        } else if candidate.standing == Standing::Behind {
            nothing || !self.shown.is_empty()
        } else {
            true
        }
    }

    /// An endpoint shows it: decided, if another said the same.
    pub(super) fn shows(
        &mut self,
        candidate: Candidate,
        shown: T,
        alike: impl Fn(&T, &T) -> bool,
    ) -> Option<Found<T>> {
        self.speaker = Some(candidate.index);
        if let Some(same) = self.shown.iter().position(|other| alike(other, &shown)) {
            return Some(Found::Yes(self.shown.swap_remove(same)));
        }
        self.shown.push(shown);
        None
    }

    /// An endpoint in step does not have it: decided, if another said so.
    pub(super) fn lacks(&mut self, candidate: Candidate) -> Option<Found<T>> {
        self.speaker = Some(candidate.index);
        self.absent = self.absent.saturating_add(1);
        (self.absent >= VOICES).then_some(Found::No(Voices::Agreed))
    }

    /// What follows where no two agree. `is_awaited` tells of a lone speaker whether somebody else
    /// may yet be heard.
    pub(super) fn decide(
        mut self,
        configured: usize,
        is_awaited: impl Fn(usize) -> bool,
    ) -> Decision<T> {
        let Some(speaker) = self.speaker else { return Decision::Nobody };
        match (self.shown.pop(), self.shown.len(), self.absent) {
            (Some(_), 0, 0) if is_awaited(speaker) => Decision::Unconfirmed,
            (Some(shown), 0, 0) => Decision::Found(Found::Yes(shown)),
            (None, _, 1) if configured == 1 => Decision::Found(Found::No(Voices::Single)),
            (None, _, 1) => Decision::Unconfirmed,
            _ => Decision::Disagreement,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_step(index: usize) -> Candidate {
        Candidate { index, standing: Standing::InStep, rests: false }
    }

    fn same(a: &u8, b: &u8) -> bool {
        a == b
    }

    #[test]
    fn two_alike_decide_whatever_a_third_says() {
        let mut tally = Tally::default();
        assert_eq!(tally.shows(in_step(0), 1, same), None);
        assert_eq!(tally.shows(in_step(1), 2, same), None);
        assert_eq!(tally.shows(in_step(2), 1, same), Some(Found::Yes(1)));
        let mut tally = Tally::default();
        assert_eq!(tally.lacks(in_step(0)), None);
        assert_eq!(tally.shows(in_step(1), 2, same), None);
        assert_eq!(tally.lacks(in_step(2)), Some(Found::No(Voices::Agreed)));
    }

    #[test]
    fn two_that_differ_are_no_answer() {
        let mut tally = Tally::default();
        tally.shows(in_step(0), 1, same);
        tally.lacks(in_step(1));
        assert_eq!(tally.decide(2, |_| false), Decision::Disagreement);
        let mut tally = Tally::default();
        tally.shows(in_step(0), 1, same);
        tally.shows(in_step(1), 2, same);
        assert_eq!(tally.decide(2, |_| false), Decision::Disagreement);
        assert_eq!(Tally::<u8>::default().decide(2, |_| true), Decision::Nobody);
    }

    #[test]
    fn one_alone_counts_where_nobody_else_is_to_be_heard() {
        let shown = || {
            let mut tally = Tally::default();
            tally.shows(in_step(3), 1, same);
            tally
        };
        assert_eq!(shown().decide(4, |speaker| speaker == 3), Decision::Unconfirmed);
        assert_eq!(shown().decide(4, |_| false), Decision::Found(Found::Yes(1)));
        let lacked = || {
            let mut tally = Tally::<u8>::default();
            tally.lacks(in_step(0));
            tally
        };
        assert_eq!(lacked().decide(2, |_| false), Decision::Unconfirmed);
        assert_eq!(lacked().decide(1, |_| false), Decision::Found(Found::No(Voices::Single)));
    }

    #[test]
    fn who_is_behind_may_confirm_and_who_rests_is_a_last_resort() {
        let behind = Candidate { standing: Standing::Behind, ..in_step(1) };
        let resting = Candidate { rests: true, ..in_step(1) };
        let mut tally = Tally::default();
        let wants = |tally: &Tally<u8>, candidate| tally.wants(candidate, About::Past);
        assert!(wants(&tally, behind) && wants(&tally, resting));
        tally.lacks(in_step(0));
        assert!(!wants(&tally, behind) && !wants(&tally, resting) && wants(&tally, in_step(1)));
        tally.shows(in_step(2), 1, same);
        assert!(wants(&tally, behind) && !wants(&tally, resting));
        assert!(!tally.wants(behind, About::State), "it tells of an older state");
        assert!(tally.wants(in_step(1), About::State));
    }
}
