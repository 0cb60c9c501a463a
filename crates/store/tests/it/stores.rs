//! The implementations of the seams. A further one adds itself here.

use std::sync::Arc;

use capstan_store::{EngineStore, MemoryStore, PgStore, SessionStore, Store};

/// Runs a check on every implementation.
pub(crate) async fn each_session_store<F: Future<Output = ()>>(
    check: impl Fn(Arc<dyn SessionStore>) -> F,
) {
    check(Arc::new(Store::open_in_memory().unwrap())).await;
    let directory = tempfile::tempdir().unwrap();
    check(Arc::new(Store::open(directory.path().join("capstan.db")).unwrap())).await;
    let Some(server) = capstan_test_postgres::start() else { return };
    let url = server.database("capstan").parse().unwrap();
    check(Arc::new(PgStore::connect(&url, "here").await.unwrap())).await;
}

/// The same for what an engine needs.
pub(crate) async fn each_store<F: Future<Output = ()>>(check: impl Fn(Arc<dyn EngineStore>) -> F) {
    check(Arc::new(MemoryStore::new())).await;
    each_session_store(|store| check(store)).await;
}
