//! When an operator is told of a low balance: once per change, and again each hour it lasts. Pure.

use capstan_base::UnixSeconds;
use serde::Serialize;

/// Seconds between reminders.
const REMIND_AFTER: u64 = 3600;

/// How well a chain's account is funded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// For long enough.
    Funded,
    /// For fewer settlements than the operator wants.
    Low,
    /// For none: no new session is taken.
    Empty,
}

/// Remembers what was told.
#[derive(Clone, Debug)]
pub struct Alarm {
    least: u64,
    standing: Standing,
    told: UnixSeconds,
}

impl Alarm {
    /// Told of fewer than `least` settlements.
    pub fn new(least: u64) -> Self {
        Self { least, standing: Standing::Funded, told: UnixSeconds::default() }
    }

    /// What to tell now, if anything. A fifth more than the least ends the alarm, so that a balance
    /// at the edge does not ring at every settlement.
    pub fn hear(&mut self, runway: u64, now: UnixSeconds) -> Option<Standing> {
        let enough = self.least.saturating_add(self.least.div_ceil(5));
        let standing = match (runway, self.standing) {
            (0, _) => Standing::Empty,
            (runway, Standing::Funded) if runway >= self.least => Standing::Funded,
            (runway, _) if runway >= enough => Standing::Funded,
            _ => Standing::Low,
        };
        let lasts = standing != Standing::Funded && now.since(self.told) >= REMIND_AFTER;
        if standing == self.standing && !lasts {
            return None;
        }
        self.standing = standing;
        self.told = now;
        Some(standing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once_and_a_lasting_one_each_hour() {
        let mut alarm = Alarm::new(50);
        let mut hear =
            |runway, at: u64| alarm.hear(runway, UnixSeconds::new(1_000_000 + at).unwrap());
        assert_eq!(hear(50, 0), None, "funded is how it begins");
        assert_eq!(hear(49, 1), Some(Standing::Low));
        assert_eq!(hear(48, 2), None);
        assert_eq!(hear(55, 3), None, "not enough to be called off");
        assert_eq!(hear(20, 3600), None);
        assert_eq!(hear(20, 3601), Some(Standing::Low), "an hour later");
        assert_eq!(hear(0, 3700), Some(Standing::Empty));
        assert_eq!(hear(0, 3701), None);
        assert_eq!(hear(1, 3702), Some(Standing::Low));
        assert_eq!(hear(60, 3703), Some(Standing::Funded));
        assert_eq!(hear(60, 9999), None);
        assert_eq!(hear(51, 10_000), None);
    }

    #[test]
    fn no_threshold_still_tells_of_nothing_left() {
        let mut alarm = Alarm::new(0);
        let now = UnixSeconds::new(1_000_000).unwrap();
        assert_eq!(alarm.hear(1, now), None);
        assert_eq!(alarm.hear(0, now), Some(Standing::Empty));
        assert_eq!(alarm.hear(1, now), Some(Standing::Funded));
    }
}
