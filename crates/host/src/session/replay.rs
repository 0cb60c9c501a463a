//! Frames since the newest voucher, kept so that a renter that comes back misses none.

use std::collections::VecDeque;

use capstan_wire::session::FromHost;

/// Most frames kept. The window bounds what is served without a voucher, but a voucher may cover
/// far more tokens than it states where a token costs less than one base unit; what a connection
/// loses on the way fits many times.
const MOST: usize = 2048;

/// Frames in order, each with the transcript position it begins at.
#[derive(Debug, Default)]
pub(super) struct Replay {
    frames: VecDeque<(u64, FromHost)>,
    /// Lowest position from which every frame is here.
    floor: u64,
}

impl Replay {
    /// Nothing yet, of a transcript that stands at `floor`.
    pub(super) fn new(floor: u64) -> Self {
        Self { frames: VecDeque::new(), floor }
    }

    /// Keeps a frame that begins at `index`.
    pub(super) fn push(&mut self, index: u64, frame: FromHost) {
        self.frames.push_back((index, frame));
        if self.frames.len() > MOST {
            self.frames.pop_front();
            self.floor = self.frames.front().map_or(index, |(first, _)| *first);
        }
    }

    /// Forgets what the renter acknowledged: everything before `acknowledged`.
    pub(super) fn prune(&mut self, acknowledged: u64) {
        while self.frames.front().is_some_and(|(index, _)| *index < acknowledged) {
            self.frames.pop_front();
        }
        self.floor = self.floor.max(acknowledged);
    }

    /// Frames from position `have` on.
    pub(super) fn since(&self, have: u64) -> impl Iterator<Item = &FromHost> {
        self.frames.iter().filter(move |(index, _)| *index >= have).map(|(_, frame)| frame)
    }

    /// Lowest position that [`Replay::since`] answers in full.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// Forgets everything: what went before `floor` cannot be replayed any more.
    pub(super) fn restart(&mut self, floor: u64) {
        *self = Self::new(floor);
    }
}
