//! How a session closed that our own transaction did not close, or whose receipt does not tell.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use capstan_base::{SessionKey, UnixSeconds};
use capstan_chain::{BlockTag, ChainClient, ChainError, Closing, Finality, SessionStatus};
use capstan_store::Session;

/// Seconds between looks at the chain for a session that our own transaction did not close: what is
/// waited for there is a block that becomes final.
const LOOK_AFTER: u64 = 5;

/// When each session that others may have closed was last looked for on its chain.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<BTreeMap<SessionKey, UnixSeconds>>);

impl Looks {
    /// True, and noted, if the last look is long enough ago.
    pub(super) fn take(&self, key: SessionKey, now: UnixSeconds) -> bool {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looks.get(&key).is_none_or(|last| now.since(*last) >= LOOK_AFTER);
        if is_due {
            looks.insert(key, now);
        }
        is_due
    }

    pub(super) fn forget(&self, key: &SessionKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// How the session closed by an event that is final, whoever brought it about. `None` while the
/// chain does not say so by a block of the chain's finality: one before that may be undone.
pub(super) async fn closed_for_good(
    chain: &ChainClient,
    session: &Session,
) -> Result<Option<Closing>, ChainError> {
    let tag = match chain.config().finality {
        Finality::Latest | Finality::Depth(_) => BlockTag::Latest,
        Finality::Safe => BlockTag::Safe,
        Finality::Finalized => BlockTag::Finalized,
    };
    // The height first: state that is read after it may be newer, never older.
    let Some(block) = chain.block(tag).await? else { return Ok(None) };
    let (height, at) = match chain.config().finality {
        Finality::Depth(blocks) => match block.number.checked_sub(blocks) {
            Some(height) => (height, BlockTag::Number(height)),
            None => return Ok(None),
        },
        _ => (block.number, tag),
    };
    if chain.session_of(&session.key, at).await?.status != SessionStatus::Closed {
        return Ok(None);
    }
    let closed = chain.closing_of(&session.key, session.admitted_block).await?;
    Ok(closed.filter(|closed| closed.block_number <= height))
}
