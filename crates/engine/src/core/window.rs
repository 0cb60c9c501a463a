//! How many nonces may wait for a block at once, found out by trying.
//!
//! Pools give one sender so many slots and refuse what is beyond. The window doubles whenever it is
//! full and a pool has taken all of it, until one refuses; then it shrinks to what that took, and
//! grows by one per block. A refused attempt is stored and goes out later, so trying costs nothing.

/// The window of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    size: usize,
    most: usize,
    /// A pool has refused once: no more doubling.
    has_met_limit: bool,
    /// It was full since it last changed.
    was_full: bool,
    /// Head when it last changed: after a refusal, one change per block.
    changed_at: u64,
}

impl Window {
    pub(super) fn new(start: usize, most: usize) -> Self {
        let size = start.clamp(1, most.max(1));
        Self { size, most: most.max(1), has_met_limit: false, was_full: false, changed_at: 0 }
    }

    /// Room beside `pending`.
    pub(super) fn room(&mut self, pending: usize) -> usize {
        self.was_full |= pending >= self.size;
        self.size.saturating_sub(pending)
    }

    /// A pool is full with `accepted` of the lane's attempts.
    pub(super) fn refused(&mut self, accepted: usize, head: u64) {
        self.size = accepted.clamp(1, self.size);
        self.has_met_limit = true;
        self.was_full = false;
        self.changed_at = head;
    }

    /// The chain was looked at while `pending` nonces waited; `all_accepted` if pools have the attempt
    /// of each.
    pub(super) fn viewed(&mut self, head: u64, pending: usize, all_accepted: bool) {
        self.was_full |= pending >= self.size;
        self.changed_at = self.changed_at.min(head);
        let may_grow = if self.has_met_limit { head > self.changed_at } else { all_accepted };
        if !self.was_full || !may_grow {
            return;
        }
        let step = if self.has_met_limit { 1 } else { self.size };
        self.size = self.size.saturating_add(step).min(self.most);
        self.was_full = false;
        self.changed_at = head;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_while_pools_take_all_and_creeps_after_a_refusal() {
        let mut window = Window::new(16, 100);
        assert_eq!(window.room(3), 13);
        window.viewed(1, 15, true);
        assert_eq!(window.room(0), 16, "not full before, no growth");
        window.viewed(1, 16, false);
        assert_eq!(window.room(16), 0, "not all taken, no growth");
        window.viewed(1, 16, true);
        window.viewed(1, 16, true);
        assert_eq!(window.room(0), 32, "once each time it is full");
        window.room(32);
        window.viewed(1, 5, true);
        assert_eq!(window.room(0), 64, "it was full, though some are in a block by now");
        window.room(64);
        window.refused(20, 3);
        assert_eq!(window.room(20), 0);
        window.viewed(3, 20, true);
        assert_eq!(window.room(20), 0, "not in the same block");
        window.viewed(4, 20, false);
        assert_eq!(window.room(20), 1);
    }

    #[test]
    fn it_never_closes_and_never_passes_its_most() {
        let mut window = Window::new(0, 3);
        assert_eq!(window.room(0), 1);
        for head in 1..9 {
            window.room(usize::MAX);
            window.viewed(head, 0, true);
        }
        assert_eq!(window.room(0), 3);
        window.refused(0, 9);
        assert_eq!(window.room(0), 1);
    }
}
