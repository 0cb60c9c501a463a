//! What intents are called by whoever submitted them: a lane knows them by number, and a log line
//! has to say whose they are.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use capstan_store::{Intent, IntentId};
use tracing::Span;

/// Names of the unfinished intents that a lane has taken up.
#[derive(Default)]
pub(crate) struct Names(Mutex<HashMap<IntentId, Name>>);

struct Name {
    key: String,
    label: String,
}

impl Names {
    pub(crate) fn learn(&self, intent: &Intent) {
        let request = &intent.request;
        let name = Name { key: request.idempotency_key.clone(), label: request.label.clone() };
        self.names().insert(intent.id, name);
    }

    pub(crate) fn forget(&self, id: IntentId) {
        self.names().remove(&id);
    }

    /// What lines about an intent carry. Its key names the session of a settlement.
    pub(crate) fn span(&self, id: IntentId) -> Span {
        let names = self.names();
        match names.get(&id) {
            Some(Name { key, label }) => tracing::info_span!("intent", intent = %id, key, label),
            None => tracing::info_span!("intent", intent = %id),
        }
    }

    fn names(&self) -> MutexGuard<'_, HashMap<IntentId, Name>> {
        // Only inserted into and removed from: sound whatever happened beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
