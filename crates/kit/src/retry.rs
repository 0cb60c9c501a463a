//! Delays between tries: exponential, capped, with jitter. Pure: the caller sleeps.

use core::time::Duration;
use std::hash::{BuildHasher, RandomState};

/// An endless iterator of delays. Each is drawn evenly from the upper half of
/// `min(first * 2^n, cap)`: never at once, and never all clients in step.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    cap: Duration,
    state: u64,
}

impl Backoff {
    /// Starts at `first`, doubles up to `cap`; the jitter differs from process to process.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self::seeded(first, cap, RandomState::new().hash_one(0_u8))
    }

    /// The same with a chosen seed: equal seeds give equal delays.
    pub fn seeded(first: Duration, cap: Duration, seed: u64) -> Self {
        Self { next: first.min(cap), cap, state: seed }
    }

    /// The next delay; never ends.
    pub fn next_delay(&mut self) -> Duration {
        let full = self.next;
        self.next = full.saturating_mul(2).min(self.cap);
        let half = full / 2;
        let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        // The bias of the remainder is below 2^-20 for any span under five hours.
        half + Duration::from_nanos(self.random().checked_rem(span.saturating_add(1)).unwrap_or(0))
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): jitter needs no better randomness.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.next_delay())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_the_cap_within_their_upper_half() {
        let first = Duration::from_millis(100);
        let cap = Duration::from_millis(700);
        for seed in 0..200 {
            let delays: Vec<_> = Backoff::seeded(first, cap, seed).take(6).collect();
            for (delay, full) in delays.iter().zip([100, 200, 400, 700, 700, 700]) {
                let full = Duration::from_millis(full);
                assert!(*delay >= full / 2 && *delay <= full, "{delay:?} of {full:?}");
            }
        }
    }

    #[test]
    fn two_clients_do_not_stay_in_step() {
        let delay = |seed| {
            Backoff::seeded(Duration::from_secs(1), Duration::from_secs(9), seed).next_delay()
        };
        assert_eq!(delay(1), delay(1));
        assert_ne!(delay(1), delay(2));
    }
}
