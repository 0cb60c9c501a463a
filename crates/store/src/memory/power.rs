//! Whether a simulated process lives, and where it dies.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The power supply of one process. Everything the process does passes through [`Power::point`];
/// at the point chosen by [`Power::cut_after`] it stops, and stays stopped until [`Power::restore`].
#[derive(Debug)]
pub struct Power {
    off: AtomicBool,
    left: AtomicU64,
    passed: AtomicU64,
}

impl Default for Power {
    fn default() -> Self {
        Self {
            off: AtomicBool::new(false),
            left: AtomicU64::new(u64::MAX),
            passed: AtomicU64::new(0),
        }
    }
}

impl Power {
    /// Lets so many points pass, and no more.
    pub fn cut_after(&self, points: u64) {
        self.left.store(points, Ordering::Relaxed);
    }

    /// Stops the process here and now.
    pub fn cut(&self) {
        self.off.store(true, Ordering::Relaxed);
    }

    /// Power for a new process in the place of the old one.
    pub fn restore(&self) {
        self.left.store(u64::MAX, Ordering::Relaxed);
        self.off.store(false, Ordering::Relaxed);
    }

    /// True once the process is dead.
    pub fn is_off(&self) -> bool {
        self.off.load(Ordering::Relaxed)
    }

    /// Points passed so far: how far a process got, for choosing where the next one dies.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Passes, or never returns.
    pub async fn point(&self) {
        if self.left.load(Ordering::Relaxed) == 0 {
            self.cut();
        }
        if self.is_off() {
            core::future::pending::<()>().await;
        }
        let left = self.left.load(Ordering::Relaxed);
        if left != u64::MAX {
            self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        }
        self.passed.fetch_add(1, Ordering::Relaxed);
    }
}
