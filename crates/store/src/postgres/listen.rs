//! Word among the machines that a lane has a new intent: `NOTIFY` after each submission, one
//! connection that listens for all lanes.
//!
//! It is word, not truth: the intent is in the table, and whoever waits for a lane also looks by
//! itself now and then. So the word may be told after the commit, and lost. Told within the
//! submission's transaction it would be part of it, but commits that notify wait for each other,
//! disk flush included, and submissions would be as many a second as flushes.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capstan_base::{Address, B256, ChainId};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::lanes::LaneKey;

const CHANNEL: &str = "capstan_intents";

/// Longest wait for word. A machine that dies between commit and word costs as much, and so does a
/// connection that is cut off without a sign.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);

/// Pause before the listener connects again, and before word that could not be sent is dropped.
const RECONNECT: Duration = Duration::from_millis(500);

/// The tasks that send and receive word. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Listener {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    /// Marks this handle's own word, which it need not hear.
    own: String,
    /// Who waits for each lane. A word that comes while nobody waits is kept for the next.
    lanes: Mutex<HashMap<LaneKey, Arc<Notify>>>,
    /// Lanes to send word of.
    news: Mutex<BTreeSet<LaneKey>>,
    has_news: Notify,
}

impl Listener {
    pub(super) fn start(pool: PgPool) -> Self {
        let shared = Arc::new(Shared {
            own: B256::random().to_string(),
            lanes: Mutex::default(),
            news: Mutex::default(),
            has_news: Notify::new(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(Arc::clone(&shared), pool.clone()));
        tasks.spawn(announce(Arc::clone(&shared), pool));
        Self { shared, _tasks: tasks }
    }

    /// Has every other machine told that the lane has a new intent.
    pub(super) fn announce(&self, lane: LaneKey) {
        lock(&self.shared.news).insert(lane);
        self.shared.has_news.notify_one();
    }

    /// Returns once there may be a new intent: for the first waiter of a lane at once.
    pub(super) async fn word_of(&self, lane: LaneKey) {
        let word = Arc::clone(lock(&self.shared.lanes).entry(lane).or_insert_with(|| {
            let word = Notify::new();
            word.notify_one();
            Arc::new(word)
        }));
        let _ = tokio::time::timeout(LONGEST_SILENCE, word.notified()).await;
    }
}

impl Shared {
    fn tell(&self, lane: LaneKey) {
        if let Some(word) = lock(&self.lanes).get(&lane) {
            word.notify_one();
        }
    }

    /// Word may have been lost.
    fn tell_all(&self) {
        lock(&self.lanes).values().for_each(|word| word.notify_one());
    }
}

async fn listen(shared: Arc<Shared>, pool: PgPool) {
    loop {
        if let Err(error) = listen_once(&shared, &pool).await {
            tracing::debug!(%error, "cannot listen for intents of other machines");
        }
        shared.tell_all();
        tokio::time::sleep(RECONNECT).await;
    }
}

/// Listens until the connection is lost.
async fn listen_once(shared: &Shared, pool: &PgPool) -> sqlx::Result<()> {
    let mut connection = PgListener::connect_with(pool).await?;
    connection.eager_reconnect(false);
    connection.listen(CHANNEL).await?;
    // What was said before is heard no more.
    shared.tell_all();
    while let Some(word) = connection.try_recv().await? {
        match parse(word.payload()) {
            Some((from, _)) if from == shared.own => {}
            Some((_, lane)) => shared.tell(lane),
            None => shared.tell_all(),
        }
    }
    Ok(())
}

async fn announce(shared: Arc<Shared>, pool: PgPool) {
    loop {
        shared.has_news.notified().await;
        let lanes = core::mem::take(&mut *lock(&shared.news));
        let payloads: Vec<_> = lanes.iter().map(|lane| payload(&shared.own, lane)).collect();
        if let Err(error) = send(&pool, payloads).await {
            tracing::debug!(%error, "other machines were not told of new intents");
            tokio::time::sleep(RECONNECT).await;
        }
    }
}

async fn send(pool: &PgPool, payloads: Vec<String>) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    // Nothing here needs to survive a crash.
    sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *transaction).await?;
    sqlx::query("SELECT pg_notify($1, payload) FROM unnest($2) AS payload")
        .bind(CHANNEL)
        .bind(payloads)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

fn payload(from: &str, lane: &LaneKey) -> String {
    format!("{from} {} {}", lane.chain_id.0, lane.sender)
}

/// Who said it, and of which lane.
fn parse(payload: &str) -> Option<(&str, LaneKey)> {
    let (from, lane) = payload.split_once(' ')?;
    let (chain_id, sender) = lane.split_once(' ')?;
    let (chain_id, sender) = (ChainId(chain_id.parse().ok()?), sender.parse::<Address>().ok()?);
    Some((from, LaneKey { chain_id, sender }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each holder makes one change; a panic elsewhere leaves what it guards sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_names_its_lane() {
        let lane = LaneKey { chain_id: ChainId(84532), sender: Address::repeat_byte(0xab) };
        assert_eq!(parse(&payload("me", &lane)), Some(("me", lane)));
        assert_eq!(parse("84532"), None);
    }
}
