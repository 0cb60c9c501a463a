//! Supervised tasks: each has a name, and neither a panic nor an error of one goes unnoticed.
//!
//! ```text
//! Supervisor ── token (cancelled = please stop) ──► every task
//!     ▲                                               │ ends, fails or panics
//!     └── fatal: the first task that may not fail ◄───┘ or is made again after a delay
//! ```

use core::future::Future;
use core::time::Duration;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info_span, warn};

use crate::retry::Backoff;

/// A task that ran this long before it failed starts over with the first delay.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// What the failure of a task means.
#[derive(Clone, Debug)]
pub enum OnFailure {
    /// It is made again after the next delay.
    Restart(Backoff),
    /// The process cannot do its work without it: everything stops.
    Stop,
}

/// Why the process has to stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task {task} failed: {reason}")]
pub struct TaskFailure {
    /// Its name.
    pub task: &'static str,
    /// Its error, or "panicked".
    pub reason: String,
}

#[derive(Debug, Default)]
struct Shared {
    running: Mutex<BTreeMap<&'static str, usize>>,
    fatal: Mutex<Option<TaskFailure>>,
}

/// Owner of a process's tasks. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    token: CancellationToken,
    tracker: TaskTracker,
    shared: Arc<Shared>,
}

impl Supervisor {
    /// No task yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when everything is to stop; cancel it to ask for that.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Runs what `make` makes. A task ends well by returning `Ok`, and should soon after the token
    /// it is given is cancelled.
    pub fn spawn<M, F, E>(&self, name: &'static str, on_failure: OnFailure, mut make: M)
    where
        M: FnMut(CancellationToken) -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let this = self.clone();
        self.tracker.spawn(async move {
            this.shared.count(name, 1);
            this.run(name, on_failure, &mut make).await;
            this.shared.count(name, -1);
        });
    }

    async fn run<M, F, E>(&self, name: &'static str, mut on_failure: OnFailure, make: &mut M)
    where
        M: FnMut(CancellationToken) -> F + Send,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let fresh = on_failure.clone();
        loop {
            let started = tokio::time::Instant::now();
            // A task of its own, so that its panic comes back as a value.
            let work = make(self.token.clone()).instrument(info_span!("task", name));
            let reason = match tokio::spawn(work).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(join) if join.is_panic() => "panicked".to_owned(),
                Err(_) => return,
            };
            if self.token.is_cancelled() {
                warn!(task = name, reason, "task failed while stopping");
                return;
            }
            if started.elapsed() >= HEALTHY_AFTER {
                on_failure = fresh.clone();
            }
            match &mut on_failure {
                OnFailure::Stop => {
                    error!(task = name, reason, "task failed, stopping");
                    self.shared.set_fatal(TaskFailure { task: name, reason });
                    self.token.cancel();
                    return;
                }
                OnFailure::Restart(backoff) => {
                    let delay = backoff.next_delay();
                    warn!(task = name, reason, ?delay, "task failed, starting it again");
                    metrics::counter!("capstan_task_restarts_total", "task" => name).increment(1);
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        () = self.token.cancelled() => return,
                    }
                }
            }
        }
    }

    /// Waits until the token is cancelled, by whomever.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Asks every task to stop and waits for them at most `drain`.
    ///
    /// # Errors
    /// The failure that brought the process down, or the names of tasks that did not stop in time.
    pub async fn shutdown(&self, drain: Duration) -> Result<(), TaskFailure> {
        self.token.cancel();
        self.tracker.close();
        let drained = tokio::time::timeout(drain, self.tracker.wait()).await.is_ok();
        if let Some(failure) = self.shared.fatal() {
            return Err(failure);
        }
        if drained {
            return Ok(());
        }
        let names = self.running().join(", ");
        error!(tasks = names, ?drain, "tasks did not stop in time");
        Err(TaskFailure { task: "shutdown", reason: format!("still running: {names}") })
    }

    /// Names of the tasks that run now.
    pub fn running(&self) -> Vec<&'static str> {
        lock(&self.shared.running).keys().copied().collect()
    }
}

impl Shared {
    fn count(&self, name: &'static str, change: isize) {
        let mut running = lock(&self.running);
        let count = running.entry(name).or_default();
        *count = count.saturating_add_signed(change);
        if *count == 0 {
            running.remove(name);
        }
    }

    fn set_fatal(&self, failure: TaskFailure) {
        lock(&self.fatal).get_or_insert(failure);
    }

    fn fatal(&self) -> Option<TaskFailure> {
        lock(&self.fatal).clone()
    }
}

/// The data is a map and an option, whole at every step: poison means nothing here.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn quick() -> OnFailure {
        OnFailure::Restart(Backoff::seeded(Duration::from_millis(1), Duration::from_millis(2), 1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_and_fails_is_made_again() {
        let tries = Arc::new(AtomicUsize::new(0));
        let supervisor = Supervisor::new();
        let counted = Arc::clone(&tries);
        supervisor.spawn("flaky", quick(), move |_| {
            let tries = Arc::clone(&counted);
            async move {
                match tries.fetch_add(1, Ordering::SeqCst) {
                    0 => panic!("first"),
                    1 => Err("second"),
                    _ => Ok(()),
                }
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(tries.load(Ordering::SeqCst), 3);
        assert_eq!(supervisor.shutdown(Duration::from_secs(1)).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_may_not_fail_stops_the_others() {
        let supervisor = Supervisor::new();
        supervisor.spawn("patient", quick(), |token| async move {
            token.cancelled().await;
            Ok::<(), String>(())
        });
        supervisor.spawn("vital", OnFailure::Stop, |_| async { Err("disk is full") });
        supervisor.cancelled().await;
        let failure = supervisor.shutdown(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(failure.to_string(), "task vital failed: disk is full");
        assert!(supervisor.running().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_named() {
        let supervisor = Supervisor::new();
        supervisor.spawn("deaf", OnFailure::Stop, |_| async {
            core::future::pending::<()>().await;
            Ok::<(), String>(())
        });
        tokio::task::yield_now().await;
        let failure = supervisor.shutdown(Duration::from_secs(3)).await.unwrap_err();
        assert_eq!(failure.reason, "still running: deaf");
    }
}
