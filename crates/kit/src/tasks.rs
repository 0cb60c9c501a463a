//! Supervised tasks: each has a name, and neither a panic nor an error of one goes unnoticed.
//!
//! ```text
//! Supervisor ── token (cancelled = please stop) ──► every task
//!     ▲                                               │ ends well: gone
//!     └──────── is made again after a delay ◄─────────┘ fails or panics
//! ```

use core::error::Error;
use core::future::Future;
use core::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span, warn};

use crate::causes::causes;
use crate::retry::Backoff;

/// A task that ran this long before it failed starts over with the first delay.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Owner of tasks that run until they are told to stop. Clones share them.
#[derive(Clone, Debug)]
pub struct Supervisor {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Supervisor {
    /// No task yet. Cancelling `token` asks every task to stop.
    pub fn new(token: CancellationToken) -> Self {
        Self { token, tracker: TaskTracker::new() }
    }

    /// Cancelled when everything is to stop.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Runs what `make` makes, and makes it again after the next delay if it fails or panics. A
    /// task ends well by returning `Ok`, and should soon after its token is cancelled.
    pub fn spawn<M, F, E>(&self, name: &'static str, backoff: Backoff, mut make: M)
    where
        M: FnMut(CancellationToken) -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Error + Send + 'static,
    {
        let token = self.token.clone();
        self.tracker.spawn(async move {
            let mut delays = backoff.clone();
            loop {
                let started = tokio::time::Instant::now();
                // A task of its own, so that its panic comes back as a value.
                let work = make(token.clone()).instrument(info_span!("task", name));
                let reason = match tokio::spawn(work).await {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => causes(&error),
                    Err(join) if join.is_panic() => "panicked".to_owned(),
                    Err(_) => return,
                };
                if token.is_cancelled() {
                    warn!(task = name, reason, "task failed while stopping");
                    return;
                }
                if started.elapsed() >= HEALTHY_AFTER {
                    delays = backoff.clone();
                }
                let delay = delays.next_delay();
                warn!(task = name, reason, ?delay, "task failed, starting it again");
                metrics::counter!("capstan_task_restarts_total", "task" => name).increment(1);
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    () = token.cancelled() => return,
                }
            }
        });
    }

    /// Waits until the token is cancelled and every task has ended.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn quick() -> Backoff {
        Backoff::seeded(Duration::from_millis(1), Duration::from_millis(2), 1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_and_fails_is_made_again() {
        let tries = Arc::new(AtomicUsize::new(0));
        let supervisor = Supervisor::new(CancellationToken::new());
        let counted = Arc::clone(&tries);
        supervisor.spawn("flaky", quick(), move |_| {
            let tries = Arc::clone(&counted);
            async move {
                match tries.fetch_add(1, Ordering::SeqCst) {
                    0 => panic!("first"),
                    1 => Err(io::Error::other("second")),
                    _ => Ok(()),
                }
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(tries.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_is_waited_for_and_ends_retries() {
        let supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn("patient", quick(), |token| async move {
            token.cancelled().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok::<(), io::Error>(())
        });
        let never = Backoff::seeded(Duration::from_secs(3600), Duration::from_secs(3600), 1);
        supervisor.spawn("failing", never, |_| async { Err(io::Error::other("always")) });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let started = tokio::time::Instant::now();
        supervisor.token().cancel();
        supervisor.stopped().await;
        assert_eq!(started.elapsed().as_secs(), 3);
    }
}
