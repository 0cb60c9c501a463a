//! Where "now" comes from: the system, or a test's hand.

use core::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use capstan_base::UnixSeconds;

/// Wall-clock time. Code that compares with a time on chain takes one of these and never reads the
/// system itself, so that tests decide what time it is. Intervals are tokio's business, not this.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Seconds since the Unix epoch.
    fn now(&self) -> UnixSeconds;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// A clock set before 1970 reads as zero, one past the contract's 40 bits as the maximum.
    fn now(&self) -> UnixSeconds {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |past| past.as_secs());
        UnixSeconds::new(seconds).unwrap_or(UnixSeconds::MAX)
    }
}

/// A clock that stands still until it is moved; for tests and replays.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Stands at `start`.
    pub fn new(start: UnixSeconds) -> Self {
        Self(AtomicU64::new(start.get()))
    }

    /// Jumps to `time`, backwards too: system clocks do that.
    pub fn set(&self, time: UnixSeconds) {
        self.0.store(time.get(), Ordering::Release);
    }

    /// Moves `seconds` ahead.
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::AcqRel);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixSeconds {
        UnixSeconds::new(self.0.load(Ordering::Acquire)).unwrap_or(UnixSeconds::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_by_hand() {
        let clock = ManualClock::new(UnixSeconds::new(100).unwrap());
        assert_eq!(clock.now().get(), 100);
        clock.advance(5);
        assert_eq!(clock.now().get(), 105);
        clock.set(UnixSeconds::new(7).unwrap());
        assert_eq!(clock.now().get(), 7);
    }

    #[test]
    fn system_clock_is_past_the_year_2025() {
        assert!(SystemClock.now().get() > 1_735_000_000);
    }
}
