//! Whether a simulated process lives, and where it dies or stands still.

use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The power supply of one process. Everything the process does passes through [`Power::point`]; at
/// a chosen point it dies, or stands still as one whose machine is suspended.
#[derive(Debug, Default)]
pub struct Power {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_off: bool,
    is_stalled: bool,
    /// Points left, and whether the process dies then or only stalls.
    left: Option<(u64, bool)>,
    waiting: Vec<Waker>,
}

impl Power {
    /// Lets so many points pass; at the next one the process dies.
    pub fn cut_after(&self, points: u64) {
        self.state().left = Some((points, true));
    }

    /// Lets so many points pass; at the next one the process stands still until
    /// [`Power::resume`].
    pub fn stall_after(&self, points: u64) {
        self.state().left = Some((points, false));
    }

    /// The process dies here and now.
    pub fn cut(&self) {
        self.state().is_off = true;
    }

    /// A process that stands still goes on.
    pub fn resume(&self) {
        let mut state = self.state();
        state.is_stalled = false;
        state.left = None;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    /// Power for a new process in the place of the old one.
    pub fn restore(&self) {
        *self.state() = State::default();
    }

    /// True once the process is dead.
    pub fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// True while the process stands still.
    pub fn is_stalled(&self) -> bool {
        self.state().is_stalled
    }

    /// Passes, or does not return while the process stands still, or never.
    pub async fn point(&self) {
        {
            let mut state = self.state();
            match &mut state.left {
                Some((0, true)) => state.is_off = true,
                Some((0, false)) => (state.is_stalled, state.left) = (true, None),
                Some((left, _)) => *left = left.saturating_sub(1),
                None => {}
            }
        }
        poll_fn(|context| {
            let mut state = self.state();
            if state.is_stalled && !state.is_off {
                state.waiting.push(context.waker().clone());
            }
            if state.is_off || state.is_stalled { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
