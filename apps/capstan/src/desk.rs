//! The desk of an account: where a command hands in what it wants sent while `capstan host`, which
//! holds the account, runs.
//!
//! ```text
//! command                                     capstan host
//!    │ connect                                     │
//!    │◄──────────────────────────── challenge ─────│  32 random bytes
//!    │── request, signed with the challenge ──────►│  the account's own key, or nothing is done
//!    │                                             │  joins or stores the intent, waits
//!    │◄───────────────────────────── how it ended ─│
//! ```
//!
//! One line of JSON each way. Whoever may open the socket may not send by that alone: it takes the
//! account's key.

mod client;
mod server;

pub use client::Desk;
pub use server::serve;

use alloy_primitives::{Bytes, keccak256};
use capstan_base::{Address, B256, ChainId, Signature65, U256};
use serde::{Deserialize, Serialize};

/// Longest line either side reads: calldata of 127 KiB in hex, and room.
const MAX_LINE: u64 = 512 * 1024;

/// What the signed digest begins with, so that no signature made for anything else fits.
const DOMAIN: &[u8] = b"capstan desk v1\n";

/// First line: what the request is signed together with, so that none counts twice.
#[derive(Debug, Serialize, Deserialize)]
struct Challenge {
    challenge: B256,
}

/// Second line.
#[derive(Debug, Serialize, Deserialize)]
struct Signed {
    /// A [`Request`] as the text that was signed.
    request: String,
    /// Of the account's key.
    signature: Signature65,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    /// Wait for what was handed in earlier on this chain.
    Finish {
        /// Chain.
        chain_id: ChainId,
    },
    /// Send a call and wait until it is final.
    Send {
        /// What it is for.
        label: String,
        /// Chain.
        chain_id: ChainId,
        /// Contract.
        to: Address,
        /// Wei.
        value: U256,
        /// Calldata.
        data: Bytes,
    },
}

/// Third line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    /// Transactions that were waited for, by label.
    Finished(Vec<(String, B256)>),
    /// It is final and went through.
    Sent(B256),
    /// In words for a person.
    Failed(String),
}

fn digest(challenge: B256, request: &str) -> B256 {
    let parts = [DOMAIN, challenge.as_slice(), request.as_bytes()];
    keccak256(parts.concat())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use capstan_chain::{Call, LocalSigner};
    use capstan_engine::{Engine, EngineConfig};
    use capstan_store::Store;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::wish::{Outbox, Wish};

    #[tokio::test]
    async fn only_the_accounts_key_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.sock");
        let (owner, stranger) = (LocalSigner::random(), LocalSigner::random());
        let store = Store::open_in_memory().unwrap();
        let stop = CancellationToken::new();
        let (lanes, config) = (HashMap::new(), EngineConfig::default());
        let shared = Arc::new(store.clone());
        let engine = Engine::start(shared, lanes, Vec::new(), config, stop.clone()).unwrap();
        assert!(Desk::find(&path).await.is_none(), "nobody is there yet");
        // What a killed process left does not keep the next one from its place.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(Desk::find(&path).await.is_none());
        let outbox = Outbox { engine, store: Arc::new(store), account: owner.address() };
        serve(&path, outbox, stop.clone()).unwrap();
        let desk = Desk::find(&path).await.unwrap();

        let chain_id = ChainId(7);
        assert_eq!(desk.finish(&owner, chain_id).await.unwrap(), []);
        let refused = desk.finish(&stranger, chain_id).await.unwrap_err().to_string();
        assert!(refused.contains("not signed by this account"), "{refused}");
        let call = Call { to: Address::ZERO, value: U256::ONE, data: Bytes::new() };
        let wish = Wish { label: "gift".to_owned(), chain_id, call };
        let failed = desk.send(&owner, wish).await.unwrap_err().to_string();
        assert!(failed.contains("no lane"), "the engine's own words come back: {failed}");
        stop.cancel();
    }

    #[tokio::test]
    async fn commands_that_left_keep_nobody_from_the_desk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.sock");
        let owner = LocalSigner::random();
        let store = Store::open_in_memory().unwrap();
        let stop = CancellationToken::new();
        let (lanes, config) = (HashMap::new(), EngineConfig::default());
        let shared = Arc::new(store.clone());
        let engine = Engine::start(shared, lanes, Vec::new(), config, stop.clone()).unwrap();
        // A wish that nothing sends: whoever waits for it waits for ever.
        let (chain_id, sender) = (ChainId(7), owner.address());
        let lane = capstan_store::LaneKey { chain_id, sender };
        let wish =
            capstan_store::NewIntent::new("wish/7/waits", lane, sender, U256::ZERO, Bytes::new());
        store.submit_intent(wish).await.unwrap();
        let outbox = Outbox { engine, store: Arc::new(store), account: sender };
        serve(&path, outbox, stop.clone()).unwrap();
        let desk = Desk::find(&path).await.unwrap();
        let soon = core::time::Duration::from_millis(100);
        for _ in 0..40 {
            let waits = tokio::time::timeout(soon, desk.finish(&owner, chain_id)).await;
            assert!(waits.is_err(), "it waits until it leaves");
        }
        let other = tokio::time::timeout(soon * 20, desk.finish(&owner, ChainId(8))).await;
        assert_eq!(other.expect("there is a place").unwrap(), []);
        stop.cancel();
    }
}
