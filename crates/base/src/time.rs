//! Points in time as the chain writes them.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Seconds since the Unix epoch, at most 40 bits: the width of every time in a contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UnixSeconds(u64);

/// A time past the year 36,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time is above 2^40 - 1 seconds")]
pub struct TimeError;

impl UnixSeconds {
    /// The largest time a contract field holds.
    pub const MAX: Self = Self((1 << 40) - 1);

    /// Checks the bound.
    pub const fn new(seconds: u64) -> Result<Self, TimeError> {
        if seconds > Self::MAX.0 { Err(TimeError) } else { Ok(Self(seconds)) }
    }

    /// Seconds as an integer.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `seconds` later, no later than [`UnixSeconds::MAX`].
    pub const fn plus(self, seconds: u64) -> Self {
        let sum = self.0.saturating_add(seconds);
        if sum > Self::MAX.0 { Self::MAX } else { Self(sum) }
    }

    /// Seconds from `earlier` to `self`; zero if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for UnixSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
