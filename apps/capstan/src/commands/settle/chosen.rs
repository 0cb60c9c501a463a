//! What `capstan settle` settles, and what it leaves alone and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use capstan_base::{ChainId, SessionId};
use capstan_chain::{ChainClient, ChainError};
use capstan_host::offline::{Unsettled, unsettled};
use capstan_host::settlement::claim_of;
use capstan_kit::causes;
use capstan_store::SessionStore;
use serde_json::json;

use crate::output::Output;

/// Sessions to settle, and the reasons of those that are left out.
#[derive(Default)]
pub struct Chosen {
    /// To settle; those of another machine are to be taken up first.
    pub sessions: Vec<Unsettled>,
    /// Sessions that are left out, though there may be something to claim.
    pub left_out: usize,
}

impl Chosen {
    /// The named session wherever it is served, or all that are served here or by a named machine.
    /// What others serve is told.
    pub async fn of(
        store: &dyn SessionStore,
        named: Option<SessionId>,
        machine: Option<&str>,
        output: &Output,
    ) -> Result<Self> {
        let mut chosen = Self::default();
        let mut elsewhere: BTreeMap<String, usize> = BTreeMap::new();
        for found in unsettled(store).await? {
            if named.is_some_and(|id| id != found.session.key.session_id) {
                continue;
            }
            match &found.served_by {
                Some(by) if named.is_none() && machine != Some(by.as_str()) => {
                    if !claim_of(&found.session).is_zero() {
                        let count = elsewhere.entry(by.clone()).or_default();
                        *count = count.saturating_add(1);
                    }
                }
                _ => chosen.sessions.push(found),
            }
        }
        for (by, count) in elsewhere {
            let text = format!(
                "{count} with something to claim are served by the machine {by}, which settles them \
                 itself; if it is gone for good: `capstan settle --all --of-machine {by}`"
            );
            chosen.left_out = chosen.left_out.saturating_add(count);
            let value = json!({ "event": "left_out", "machine": by, "sessions": count });
            output.answer(text, &value);
        }
        Ok(chosen)
    }

    /// Leaves out what cannot be sent: sessions of chains that are not configured, or are not what
    /// the configuration says. A chain that does not answer is waited for. Gives the others' chains.
    pub async fn on_chains(
        &mut self,
        mut chains: BTreeMap<ChainId, Arc<ChainClient>>,
        output: &Output,
    ) -> BTreeMap<ChainId, Arc<ChainClient>> {
        let mut wanted: BTreeMap<ChainId, usize> = BTreeMap::new();
        for found in &self.sessions {
            let count = wanted.entry(found.session.key.chain_id).or_default();
            *count = count.saturating_add(1);
        }
        chains.retain(|id, _| wanted.contains_key(id));
        for (id, count) in wanted {
            let why = match chains.get(&id) {
                None => "which is not configured any more: configure it".to_owned(),
                Some(chain) => match unfit(chain, output).await {
                    None => continue,
                    Some(why) => why,
                },
            };
            chains.remove(&id);
            self.sessions.retain(|found| found.session.key.chain_id != id);
            self.left_out = self.left_out.saturating_add(count);
            let value = json!({
                "event": "left_out", "chain_id": id, "sessions": count, "why": why,
            });
            output.answer(format!("{count} left out, of chain {id}, {why}"), &value);
        }
        chains
    }
}

/// Why a chain is not to be sent to.
async fn unfit(chain: &ChainClient, output: &Output) -> Option<String> {
    let findings = chain.verify().await.err()?;
    let words: Vec<_> = findings.iter().map(|finding| causes(finding)).collect();
    let words = words.join("; ");
    if findings.iter().all(ChainError::is_retryable) {
        output.progress(format!("chain {}: {words}", chain.config().title));
        return None;
    }
    Some(format!("which is not what the configuration says: {words}"))
}
