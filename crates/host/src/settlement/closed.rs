//! How a session closed that our own transaction did not close, or whose receipt does not tell.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use capstan_base::{SessionKey, UnixSeconds};
use capstan_chain::{BlockTag, ChainClient, ChainError, Closing, Finality};
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

/// How the session closed by an event of a final block, whoever brought it about. `None` while the
/// chain does not say so: a block before that may be undone. One endpoint finds the event; what it says
/// is read from the receipt of its transaction, which two have to tell alike.
pub(super) async fn closed_for_good(
    chain: &ChainClient,
    session: &Session,
) -> Result<Option<Closing>, ChainError> {
    let (tag, depth) = match chain.config().finality {
        Finality::Latest => (BlockTag::Latest, 0),
        Finality::Depth(blocks) => (BlockTag::Latest, blocks),
        Finality::Safe => (BlockTag::Safe, 0),
        Finality::Finalized => (BlockTag::Finalized, 0),
    };
    let Some(block) = chain.block(tag).await? else { return Ok(None) };
    let Some(height) = block.number.checked_sub(depth) else { return Ok(None) };
    let Some(found) = chain.closing_of(&session.key, session.admitted_block).await? else {
        return Ok(None);
    };
    let Some(receipt) = chain.receipt(found.tx_hash).await? else { return Ok(None) };
    if receipt.block_number > height {
        return Ok(None);
    }
    let at = chain.block(BlockTag::Number(receipt.block_number)).await?;
    if at.is_none_or(|at| at.hash != receipt.block_hash) {
        return Ok(None);
    }
    chain.closing_in(&session.key, &receipt)
}
