//! Looking where the endpoints' heads are, beside the reads that need to know.

use core::time::Duration;
use std::sync::{Arc, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::rpc::pool::RpcPool;
use crate::rpc::select;

/// The first read, and one after a long pause, waits so long for heads to be known. An endpoint
/// that takes longer is judged when it has answered.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// Heads older than this are looked up before the next read, not beside it.
const STALE: Duration = Duration::from_secs(5);

impl RpcPool {
    /// Looks at all heads if that is due. One endpoint alone has nobody to be compared with.
    pub(super) async fn look(&self) {
        if self.inner.endpoints.len() < 2 {
            return;
        }
        let age = self.last_look();
        if age.is_some_and(|age| age < STALE.max(self.inner.options.look)) {
            if age.is_some_and(|age| age >= self.inner.options.look) {
                drop(self.start_look());
            }
            return;
        }
        let _one_at_a_time = self.inner.first_look.lock().await;
        if self.last_look().is_none_or(|age| age >= STALE) {
            let looks = self.start_look();
            let all = async {
                for mut look in looks {
                    // Ends, in error, when the look does.
                    let _ = look.changed().await;
                }
            };
            let _ = tokio::time::timeout(FIRST_LOOK, all).await;
        }
    }

    fn last_look(&self) -> Option<Duration> {
        let looked = self.inner.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.0.map(|at| at.elapsed())
    }

    /// Starts a look at each endpoint that may be asked. What is given ends with its look.
    fn start_look(&self) -> Vec<watch::Receiver<()>> {
        let views = self.views();
        let agreed = select::agreed_head(&views);
        // What a block shows is asked for only where it decides.
        let are_two = views.iter().filter(|view| view.head.is_some()).count() == 2;
        let mut looked = self.inner.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.0 = Some(Instant::now());
        while looked.1.try_join_next().is_some() {}
        let asked = self.inner.endpoints.iter().zip(views);
        asked
            .filter(|(_, view)| view.resting.is_none())
            .map(|(endpoint, view)| {
                let endpoint = Arc::clone(endpoint);
                let is_ahead = select::standing(&view, agreed) == select::Standing::Ahead;
                let unproven = view.head.filter(|_| is_ahead && are_two && !view.shown);
                let (ends, end) = watch::channel(());
                looked.1.spawn(async move {
                    let _ends = ends;
                    endpoint.look().await;
                    if let Some(head) = unproven {
                        endpoint.show(head).await;
                    }
                });
                end
            })
            .collect()
    }
}
