//! Frames since the newest voucher, kept so that a renter that comes back misses none.

use std::collections::VecDeque;

use capstan_wire::session::FromHost;

/// Frames in order, each with the transcript position it begins at. Bounded by the window: the
/// host serves no further than that without a voucher, and a voucher prunes.
#[derive(Debug, Default)]
pub(super) struct Replay {
    frames: VecDeque<(u64, FromHost)>,
}

impl Replay {
    /// Keeps a frame that begins at `index`.
    pub(super) fn push(&mut self, index: u64, frame: FromHost) {
        self.frames.push_back((index, frame));
    }

    /// Forgets what a voucher over `covered` tokens acknowledges.
    pub(super) fn prune(&mut self, covered: u64) {
        while self.frames.front().is_some_and(|(index, _)| *index < covered) {
            self.frames.pop_front();
        }
    }

    /// Frames from position `have` on.
    pub(super) fn since(&self, have: u64) -> impl Iterator<Item = &FromHost> {
        self.frames.iter().filter(move |(index, _)| *index >= have).map(|(_, frame)| frame)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
    }
}
