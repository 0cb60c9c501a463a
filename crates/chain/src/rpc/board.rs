//! Heads of all endpoints of a pool: who has reached which block, and when it was reached at all.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::rpc::select::{self, MAX_BEHIND, View};

/// A head seen longer ago says nothing of where the endpoint is now. Several rounds of looking.
const FORGET: Duration = Duration::from_secs(30);

/// Steps of the agreed head that are remembered: enough to tell lateness of [`select::MAX_LATE`] on
/// the fastest chain, with room. Who is behind more blocks than that is behind anyway.
const STEPS: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Seen {
    number: u64,
    at: Instant,
}

#[derive(Debug)]
struct Heads {
    /// Whose chain is known to be the right one: a subscription may speak before that.
    admitted: Vec<bool>,
    seen: Vec<Option<Seen>>,
    /// Newest head of which the endpoint gave the block.
    shown: Vec<Option<u64>>,
    /// When each agreed head was first agreed, rising in both.
    steps: VecDeque<Seen>,
}

/// Shared by the endpoints of a pool, each of which writes at its own index.
#[derive(Debug)]
pub(crate) struct Board {
    heads: Mutex<Heads>,
    newest: watch::Sender<u64>,
}

impl Board {
    pub(crate) fn new(endpoints: usize) -> Self {
        let (seen, shown) = (vec![None; endpoints], vec![None; endpoints]);
        let (admitted, steps) = (vec![false; endpoints], VecDeque::new());
        let heads = Mutex::new(Heads { admitted, seen, shown, steps });
        Self { heads, newest: watch::Sender::new(0) }
    }

    /// Listens to an endpoint from now on: its chain is the right one.
    pub(crate) fn admit(&self, index: usize) {
        if let Some(place) = self.heads().admitted.get_mut(index) {
            *place = true;
        }
    }

    /// Records a head that an endpoint claims. Gives the one it claimed before.
    pub(crate) fn observe(&self, index: usize, number: u64) -> Option<u64> {
        let now = Instant::now();
        let mut heads = self.heads();
        if !heads.admitted.get(index).copied().unwrap_or(false) {
            return None;
        }
        let place = heads.seen.get_mut(index)?;
        let before = place.replace(Seen { number, at: now });
        let agreed = select::agreed_head(&heads.views(now));
        if let Some(agreed) = agreed {
            heads.step(agreed, now);
            // Waiters wake on a rise; a fall is no news to them.
            self.newest.send_if_modified(|newest| {
                let rises = agreed > *newest;
                *newest = agreed;
                rises
            });
        }
        before.map(|seen| seen.number)
    }

    /// True if the endpoint's head was seen within this time.
    pub(crate) fn is_fresh(&self, index: usize, within: Duration) -> bool {
        let seen = self.heads().seen.get(index).copied().flatten();
        seen.is_some_and(|seen| seen.at.elapsed() < within)
    }

    /// Records that an endpoint gave the block of this height.
    pub(crate) fn show(&self, index: usize, number: u64) {
        if let Some(place) = self.heads().shown.get_mut(index) {
            *place = Some(number);
        }
    }

    /// Forgets an endpoint that turned out to be of another chain, and listens to it no more.
    pub(crate) fn forget(&self, index: usize) {
        let mut heads = self.heads();
        if let Some(place) = heads.admitted.get_mut(index) {
            *place = false;
        }
        if let Some(place) = heads.seen.get_mut(index) {
            *place = None;
        }
        if let Some(place) = heads.shown.get_mut(index) {
            *place = None;
        }
    }

    /// Head and lateness of each endpoint; their health is for the caller to add.
    pub(crate) fn views(&self) -> Vec<View> {
        self.heads().views(Instant::now())
    }

    /// Rises whenever the agreed head does.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn heads(&self) -> MutexGuard<'_, Heads> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heads {
    fn views(&self, now: Instant) -> Vec<View> {
        let view = |(seen, shown): (&Option<Seen>, &Option<u64>)| {
            let seen = seen.filter(|seen| now.duration_since(seen.at) < FORGET);
            let Some(Seen { number, at }) = seen else { return View::default() };
            let passed = self.steps.iter().find(|step| step.number > number);
            View {
                head: Some(number),
                shown: shown.is_some_and(|shown| shown.abs_diff(number) <= MAX_BEHIND),
                late: passed.map(|step| at.duration_since(step.at)).unwrap_or_default(),
                ..View::default()
            }
        };
        self.seen.iter().zip(&self.shown).map(view).collect()
    }

    fn step(&mut self, agreed: u64, now: Instant) {
        // The chain may be shorter than it was thought to be: after a reorg, or a lie.
        while self.steps.back().is_some_and(|step| step.number > agreed) {
            self.steps.pop_back();
        }
        if self.steps.back().is_none_or(|step| step.number < agreed) {
            self.steps.push_back(Seen { number: agreed, at: now });
        }
        if self.steps.len() > STEPS {
            self.steps.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(endpoints: usize) -> Board {
        let board = Board::new(endpoints);
        (0..endpoints).for_each(|index| board.admit(index));
        board
    }

    #[tokio::test(start_paused = true)]
    async fn lateness_is_counted_from_the_first_block_that_is_missing() {
        let board = board(2);
        board.observe(0, 100);
        board.observe(1, 100);
        for number in 101..=103 {
            tokio::time::advance(Duration::from_secs(2)).await;
            board.observe(0, number);
            board.observe(1, 100);
        }
        let views = board.views();
        assert_eq!((views[0].head, views[0].late), (Some(103), Duration::ZERO));
        assert_eq!((views[1].head, views[1].late), (Some(100), Duration::from_secs(4)));
        board.observe(1, 102);
        assert_eq!(board.views()[1].late, Duration::ZERO, "it lacks only the block of just now");
        tokio::time::advance(FORGET).await;
        assert_eq!(board.views()[0].head, None, "what was seen long ago is not known");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lie_leaves_no_trace_once_it_is_known() {
        let board = board(2);
        let mut newest = board.newest();
        board.observe(0, 1_000_000);
        board.observe(1, 100);
        assert_eq!(*newest.borrow_and_update(), 100);
        tokio::time::advance(Duration::from_secs(6)).await;
        board.observe(1, 101);
        assert_eq!(board.views()[1].late, Duration::ZERO);
        assert!(newest.has_changed().unwrap());
        board.forget(0);
        assert_eq!(board.observe(0, 1_000_000), None);
        assert_eq!(board.views()[0], View::default(), "nobody listens to it now");
    }

    #[test]
    fn a_shown_block_stands_for_heads_close_to_it() {
        let board = board(1);
        assert_eq!(board.observe(0, 500), None);
        board.show(0, 500);
        assert!(board.views()[0].shown);
        assert_eq!(board.observe(0, 511), Some(500));
        assert!(!board.views()[0].shown);
    }
}
