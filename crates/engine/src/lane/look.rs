//! Reading what became of attempts: receipts, whether their blocks stand, and who used a nonce.

use std::collections::BTreeMap;

use capstan_base::B256;
use capstan_chain::{BlockTag, Call, ChainError, Finality, Receipt};
use futures_util::{StreamExt, stream};

use super::Worker;
use crate::core::{Answer, Canonical, Event, Look, Search};
use crate::telemetry;

/// Blocks read at once.
const WIDTH: usize = 16;

/// What a lane asks of one nonce.
pub(super) struct Question {
    pub(super) nonce: u64,
    pub(super) hashes: Vec<B256>,
    pub(super) anchor: Option<(u64, B256)>,
}

type Answered = Result<Option<Receipt>, ChainError>;

impl Worker {
    /// Looks for the receipts of all nonces together, and at each block they name once.
    pub(super) async fn look(&self, questions: Vec<Question>) -> Vec<Event> {
        if questions.is_empty() {
            return Vec::new();
        }
        let hashes: Vec<B256> =
            questions.iter().flat_map(|question| question.hashes.iter().copied()).collect();
        let mut answers = self.chain.receipts(&hashes).await.into_iter();
        let answered: Vec<(Question, Vec<Answered>)> = questions
            .into_iter()
            .map(|question| {
                let own = answers.by_ref().take(question.hashes.len()).collect();
                (question, own)
            })
            .collect();
        let receipts = answered.iter().flat_map(|(_, own)| own);
        let mined = receipts.filter_map(|answer| answer.as_ref().ok().and_then(Option::as_ref));
        let anchors = answered.iter().filter_map(|(question, _)| question.anchor);
        let heights = mined.map(|receipt| receipt.block_number).chain(anchors.map(|at| at.0));
        let blocks = self.blocks(heights.collect()).await;
        let event = |(question, own)| self.looked(question, own, &blocks);
        answered.into_iter().map(event).collect()
    }

    fn looked(&self, question: Question, answers: Vec<Answered>, blocks: &Blocks) -> Event {
        let mut look = Look::Missing;
        let attempts = question.hashes.len();
        let mut answered = 0_usize;
        for (hash, answer) in question.hashes.iter().copied().zip(answers) {
            answered = answered.saturating_add(1);
            match answer {
                Ok(Some(receipt)) => {
                    let block = Some((receipt.block_number, receipt.block_hash));
                    let canonical = blocks.canonical(block);
                    let is_better = !matches!(look, Look::Found { canonical: Canonical::Yes, .. });
                    if is_better {
                        look = Look::Found { hash, receipt, canonical };
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    self.log_chain_error(&error);
                    if look == Look::Missing {
                        look = Look::Unavailable;
                    }
                }
            }
        }
        if answered < attempts && look == Look::Missing {
            look = Look::Unavailable;
        }
        let anchor = blocks.canonical(question.anchor);
        Event::Looked { nonce: question.nonce, attempts, anchor, look }
    }

    /// The canonical hash at each height; nothing for a height that could not be read.
    async fn blocks(&self, mut heights: Vec<u64>) -> Blocks {
        heights.sort_unstable();
        heights.dedup();
        let found: Vec<(u64, Option<B256>)> = stream::iter(heights)
            .map(async |height| {
                let block = self.chain.block(BlockTag::Number(height)).await;
                // No block there: this node may lag.
                let block = block.inspect_err(|error| self.log_chain_error(error)).ok().flatten();
                (height, block.map(|block| block.hash))
            })
            .buffered(WIDTH)
            .collect()
            .await;
        let known = found.into_iter().filter_map(|(height, hash)| Some((height, hash?)));
        Blocks(known.collect())
    }

    /// Who used a nonce.
    pub(super) async fn search(&self, nonce: u64, from: u64, to: u64) -> Event {
        let found = self.chain.nonce_use(self.key.sender, nonce, from, to).await;
        let search = match found {
            Ok(Some(used)) => {
                let block = (used.block.number, used.block.hash);
                Search::Found { hash: used.tx_hash, block }
            }
            Ok(None) => Search::NotFound,
            Err(error) => {
                self.log_chain_error(&error);
                Search::Unavailable
            }
        };
        Event::Searched { nonce, search }
    }

    /// Whether a call's effect is on the chain, and final.
    pub(super) async fn ask(&self, call: &Call, final_height: Option<u64>) -> Answer {
        let tag = match self.config.finality {
            Finality::Latest => Some(BlockTag::Latest),
            Finality::Safe => Some(BlockTag::Safe),
            Finality::Finalized => Some(BlockTag::Finalized),
            Finality::Depth(_) => final_height.map(BlockTag::Number),
        };
        let has_effect = async |at| self.chain.has_effect(self.key.sender, call, at).await;
        let answer = async {
            if !has_effect(BlockTag::Latest).await? {
                return Ok::<_, ChainError>(Answer::NotDone);
            }
            let Some(tag) = tag else { return Ok(Answer::NotFinal) };
            Ok(match has_effect(tag).await {
                Ok(true) => Answer::Done,
                Ok(false) => Answer::NotFinal,
                Err(error) => {
                    self.log_chain_error(&error);
                    Answer::Unread
                }
            })
        };
        answer.await.unwrap_or_else(|error| {
            self.log_chain_error(&error);
            Answer::Unavailable
        })
    }

    pub(super) fn log_chain_error(&self, error: &ChainError) {
        telemetry::count(telemetry::CHAIN_ERRORS, self.key);
        tracing::warn!(
            chain_id = self.key.chain_id.0,
            error = error as &dyn std::error::Error,
            "the chain did not answer"
        );
    }
}

/// Canonical hashes by height.
struct Blocks(BTreeMap<u64, B256>);

impl Blocks {
    fn canonical(&self, block: Option<(u64, B256)>) -> Canonical {
        let Some((height, hash)) = block else { return Canonical::Unknown };
        match self.0.get(&height) {
            Some(found) if *found == hash => Canonical::Yes,
            Some(_) => Canonical::No,
            None => Canonical::Unknown,
        }
    }
}
