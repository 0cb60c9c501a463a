//! Answers that are good for a moment: a flood of requests is not to become a flood of RPC.

use core::hash::Hash;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

type Cell<V> = Arc<tokio::sync::Mutex<Option<(Instant, V)>>>;

/// One answer per key, each good for as long as said; failures are answers too. Keys are few and
/// come from the configuration, never from a request.
pub(super) struct Cache<K, V> {
    good_for: Duration,
    cells: Mutex<HashMap<K, Cell<V>>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn new(good_for: Duration) -> Self {
        Self { good_for, cells: Mutex::default() }
    }

    /// The answer, asked for anew if it is too old. Whoever asks at the same time waits for the one
    /// question that is under way.
    pub(super) async fn get(&self, key: K, ask: impl Future<Output = V>) -> V {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key).or_default())
        };
        let mut cell = cell.lock().await;
        if let Some((at, value)) = cell.as_ref()
            && at.elapsed() < self.good_for
        {
            return value.clone();
        }
        let value = ask.await;
        *cell = Some((Instant::now(), value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_asks_once_per_period_and_key() {
        let cache = Arc::new(Cache::new(Duration::from_secs(2)));
        let asked = Arc::new(AtomicUsize::new(0));
        let flood = |key| {
            let (cache, asked) = (Arc::clone(&cache), Arc::clone(&asked));
            async move {
                let ask = async {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    asked.fetch_add(1, Ordering::SeqCst)
                };
                cache.get(key, ask).await
            }
        };
        let answers = futures_util::future::join_all((0..100).map(|_| flood("a"))).await;
        assert_eq!(answers, vec![0; 100]);
        assert_eq!(flood("b").await, 1);
        assert_eq!(flood("a").await, 0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(flood("a").await, 2);
    }
}
