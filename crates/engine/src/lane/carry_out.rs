//! The effects of a round, done: those of one kind together, so that they share a commit of the
//! store and a round trip to the chain. Effects of one round never depend on each other.

use std::collections::VecDeque;

use alloy_primitives::Bytes;
use capstan_base::{B256, U256};
use capstan_chain::{Call, SendOutcome, TxFields};
use capstan_kit::causes;
use capstan_store::{
    Broadcast, BroadcastNote, Failure, Fence, FlightId, Inclusion, IntentId, IntentOutcome,
    IntentState, ItemEnd, LaneKey, NewAttempt, NewIntent, Signed, StoreError,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Worker;
use super::look::Question;
use crate::config::TRANSFER_GAS;
use crate::core::{Effect, Event};
use crate::telemetry;
use crate::waiters::Outcome;

/// Writes that wait for one commit together.
const WRITES: usize = 256;

/// Intents that may ever be submitted for one gap.
const MOST_FILLERS: u32 = 1_000;

/// Searches and questions at once: they are rare, and each takes several reads.
const SEARCHES: usize = 4;

/// A round's effects by kind, each in the order of asking: intents get nonces in the order of
/// submission.
#[derive(Default)]
struct Sorted {
    estimates: Vec<(Vec<IntentId>, Call)>,
    asks: Vec<(IntentId, Call, Option<u64>)>,
    signs: Vec<(Vec<IntentId>, TxFields, U256, bool)>,
    broadcasts: Vec<(u64, B256, Bytes)>,
    looks: Vec<Question>,
    searches: Vec<(u64, u64, u64)>,
    writes: Vec<Effect>,
}

impl Sorted {
    fn of(effects: Vec<Effect>) -> Self {
        let mut sorted = Self::default();
        for effect in effects {
            match effect {
                Effect::Estimate { intents, call } => sorted.estimates.push((intents, call)),
                Effect::Ask { intent, call, final_height } => {
                    sorted.asks.push((intent, call, final_height));
                }
                Effect::Sign { intents, tx, rollup_fee, voids } => {
                    sorted.signs.push((intents, *tx, rollup_fee, voids));
                }
                Effect::Broadcast { nonce, hash, raw } => {
                    sorted.broadcasts.push((nonce, hash, raw));
                }
                Effect::Look { nonce, hashes, anchor } => {
                    sorted.looks.push(Question { nonce, hashes, anchor });
                }
                Effect::Search { nonce, from, to } => sorted.searches.push((nonce, from, to)),
                write => sorted.writes.push(write),
            }
        }
        sorted
    }
}

impl Worker {
    /// Does what the core asked for, and says what came of it. Only the store can fail; what a chain
    /// or a signer refuses is an event.
    pub(super) async fn carry_out(
        &self,
        fence: Fence,
        effects: Vec<Effect>,
    ) -> Result<VecDeque<Event>, StoreError> {
        let sorted = Sorted::of(effects);
        stream::iter(sorted.writes)
            .map(|write| self.write(fence, write))
            .buffered(WRITES)
            .try_collect::<()>()
            .await?;
        let mut events: VecDeque<Event> = self.estimate(sorted.estimates).await.into();
        let signed: Vec<Event> = stream::iter(sorted.signs)
            .map(|(intents, tx, rollup_fee, voids)| {
                self.sign(fence, intents, tx, rollup_fee, voids)
            })
            .buffered(WRITES)
            .try_collect()
            .await?;
        events.extend(signed);
        events.extend(self.broadcast(sorted.broadcasts).await?);
        events.extend(self.look(sorted.looks).await);
        let searched: Vec<Event> = stream::iter(sorted.searches)
            .map(|(nonce, from, to)| self.search(nonce, from, to))
            .buffered(SEARCHES)
            .collect()
            .await;
        events.extend(searched);
        let asked: Vec<Event> = stream::iter(sorted.asks)
            .map(async |(intent, call, final_height)| {
                Event::Asked(intent, self.ask(&call, final_height).await)
            })
            .buffered(SEARCHES)
            .collect()
            .await;
        events.extend(asked);
        Ok(events)
    }

    async fn write(&self, fence: Fence, effect: Effect) -> Result<(), StoreError> {
        match effect {
            Effect::Include(flight, inclusion) => {
                self.log(flight, &inclusion, "included in a block");
                self.store.record_inclusion(fence, flight, inclusion).await
            }
            Effect::Unmine(flight, detail) => {
                tracing::warn!(chain_id = self.key.chain_id.0, %flight, detail, "reorganised");
                self.store.record_reorg(fence, flight, detail).await
            }
            Effect::Finalise(flight, inclusion, ends) => {
                self.finalise(fence, flight, inclusion, ends).await
            }
            Effect::Lose(flight, detail) => self.store.record_lost(fence, flight, detail).await,
            Effect::Fail(id, failure) => {
                self.store.record_failure(fence, id, failure.clone()).await?;
                self.tell_failed(id, failure);
                Ok(())
            }
            Effect::Note(id, what, detail) => self.store.note(id, what, detail).await,
            Effect::Restore(nonces) => {
                let mined = self.store.mined_attempts(self.key, nonces).await?;
                let raws: Vec<Bytes> =
                    mined.into_iter().map(|attempt| attempt.signed.raw).collect();
                let outcomes = self.chain.send_many(&raws).await;
                tracing::info!(chain_id = self.key.chain_id.0, ?outcomes, "sent again");
                Ok(())
            }
            Effect::FillGap { nonce, blocked } => {
                if self.fill_gap(nonce, blocked).await? {
                    // Taken up without waiting for the next look at the outbox.
                    self.wake.notify_one();
                }
                Ok(())
            }
            Effect::Alert(alert) => {
                let subject = telemetry::subject(&alert);
                let span = subject.map_or_else(tracing::Span::none, |id| self.names.span(id));
                span.in_scope(|| telemetry::alert(self.key, &alert));
                Ok(())
            }
            Effect::Estimate { .. }
            | Effect::Ask { .. }
            | Effect::Sign { .. }
            | Effect::Broadcast { .. }
            | Effect::Look { .. }
            | Effect::Search { .. } => Ok(()),
        }
    }

    async fn estimate(&self, asked: Vec<(Vec<IntentId>, Call)>) -> Vec<Event> {
        if asked.is_empty() {
            return Vec::new();
        }
        let (intents, calls): (Vec<_>, Vec<Call>) = asked.into_iter().unzip();
        let mut answers = self.chain.estimate_many(self.key.sender, &calls).await.into_iter();
        let event = |intents| {
            let answer = answers
                .next()
                .and_then(|answer| answer.inspect_err(|error| self.log_chain_error(error)).ok());
            Event::Estimated(intents, answer)
        };
        intents.into_iter().map(event).collect()
    }

    /// Signs, stores, and only then lets the bytes go on.
    async fn sign(
        &self,
        fence: Fence,
        intents: Vec<IntentId>,
        tx: TxFields,
        rollup_fee: U256,
        voids: bool,
    ) -> Result<Event, StoreError> {
        let nonce = tx.nonce;
        let signed = match self.signer.sign(&tx).await {
            Ok(signed) => signed,
            Err(error) => return Ok(Event::NotSigned { nonce, reason: causes(&error) }),
        };
        let span = match &intents[..] {
            [single] => self.names.span(*single),
            _ => tracing::Span::none(),
        };
        let ids: Vec<String> = intents.iter().map(ToString::to_string).collect();
        let attempt = NewAttempt {
            intents,
            nonce,
            signed: Signed {
                tx_hash: signed.hash,
                raw: signed.raw.clone(),
                voids,
                gas_limit: tx.gas_limit,
                max_fee: tx.fees.max_fee(),
                priority_fee: tx.fees.priority_fee(),
                rollup_fee,
                signed_at: self.clock.now(),
            },
        };
        let recorded = self.store.record_attempt(fence, attempt).await?;
        telemetry::count(telemetry::ATTEMPTS, self.key);
        span.in_scope(|| {
            tracing::info!(
                chain_id = self.key.chain_id.0, flight = %recorded.flight, intents = ids.join(","),
                nonce, attempt = recorded.number, tx_hash = %signed.hash,
                max_fee = tx.fees.max_fee(), voids, "signed and stored"
            );
        });
        Ok(Event::Recorded { nonce, flight: recorded.flight, signed, fees: tx.fees, voids })
    }

    async fn broadcast(
        &self,
        broadcasts: Vec<(u64, B256, Bytes)>,
    ) -> Result<Vec<Event>, StoreError> {
        if broadcasts.is_empty() {
            return Ok(Vec::new());
        }
        let raws: Vec<Bytes> = broadcasts.iter().map(|(_, _, raw)| raw.clone()).collect();
        let mut outcomes = self.chain.send_many(&raws).await;
        let unasked = SendOutcome::Unknown("it was not sent".to_owned());
        outcomes.resize(broadcasts.len(), unasked);
        let sent = || broadcasts.iter().zip(&outcomes);
        let notes = sent().map(|((nonce, hash, _), outcome)| {
            tracing::debug!(
                chain_id = self.key.chain_id.0, nonce, tx_hash = %hash, ?outcome, "sent"
            );
            let (broadcast, detail) = broadcast_row(outcome);
            BroadcastNote { tx_hash: *hash, broadcast, detail }
        });
        self.store.note_broadcasts(notes.collect()).await?;
        let events = sent().map(|((nonce, hash, _), outcome)| {
            let (nonce, hash, outcome) = (*nonce, *hash, outcome.clone());
            Event::Sent { nonce, hash, outcome }
        });
        Ok(events.collect())
    }

    async fn finalise(
        &self,
        fence: Fence,
        flight: FlightId,
        mined: Inclusion,
        ends: Vec<(IntentId, ItemEnd)>,
    ) -> Result<(), StoreError> {
        self.store.record_final(fence, flight, mined, ends.clone()).await?;
        self.log(flight, &mined, "final");
        telemetry::count(telemetry::MINED, self.key);
        for (id, end) in ends {
            match end {
                ItemEnd::Final { success } => {
                    telemetry::ended(self.key, if success { "success" } else { "reverted" });
                    self.names.span(id).in_scope(|| {
                        tracing::info!(
                            chain_id = self.key.chain_id.0, tx_hash = %mined.tx_hash, success, "over"
                        );
                    });
                    self.names.forget(id);
                    let outcome = Outcome::of_inclusion(&Inclusion { success, ..mined });
                    self.waiters.tell(id, &outcome);
                }
                ItemEnd::Failed(failure) => self.tell_failed(id, failure),
                ItemEnd::Queued(reason) => {
                    telemetry::ended(self.key, "isolated");
                    self.names.span(id).in_scope(|| {
                        tracing::warn!(
                            chain_id = self.key.chain_id.0, intent = %id, reason,
                            "failed in its batch, and goes alone now"
                        );
                    });
                }
            }
        }
        Ok(())
    }

    fn tell_failed(&self, id: IntentId, failure: Failure) {
        self.names.span(id).in_scope(|| {
            tracing::warn!(
                chain_id = self.key.chain_id.0, intent = %id, code = %failure.code,
                detail = failure.detail, "given up"
            );
        });
        self.names.forget(id);
        telemetry::ended(self.key, failure.code.as_str());
        self.waiters.tell(id, &Outcome::Failed(failure));
    }

    /// Submits an empty intent, unless one for this gap is queued already. One that is not may have
    /// filled another gap: it took the lowest nonce that was free. True if there is a new one.
    async fn fill_gap(&self, nonce: u64, blocked: IntentId) -> Result<bool, StoreError> {
        for turn in 0..MOST_FILLERS {
            let filler = self.gap_filler(nonce, blocked, turn);
            let IntentOutcome::Existing(id) = self.store.submit_intent(filler).await? else {
                return Ok(true);
            };
            let intent = self.store.intent(id).await?;
            if intent.is_some_and(|intent| intent.state == IntentState::Queued) {
                break;
            }
        }
        Ok(false)
    }

    fn gap_filler(&self, nonce: u64, blocked: IntentId, turn: u32) -> NewIntent {
        let LaneKey { chain_id, sender } = self.key;
        let key = format!("gap/{chain_id}/{sender}/{nonce}/{blocked}/{turn}");
        NewIntent {
            gas_limit: Some(TRANSFER_GAS),
            repeat_safe: true,
            label: format!("fills nonce {nonce}"),
            ..NewIntent::new(key, self.key, sender, U256::ZERO, Bytes::new())
        }
    }

    fn log(&self, flight: FlightId, mined: &Inclusion, what: &'static str) {
        tracing::info!(
            chain_id = self.key.chain_id.0, %flight, tx_hash = %mined.tx_hash,
            block = mined.block_number, success = mined.success, "{what}"
        );
    }
}

/// How an attempt's row says what became of a broadcast.
fn broadcast_row(outcome: &SendOutcome) -> (Broadcast, Option<String>) {
    let word = |word: &str| Some(word.to_owned());
    match outcome {
        SendOutcome::Accepted | SendOutcome::AlreadyKnown => (Broadcast::Accepted, None),
        SendOutcome::NonceTooLow => (Broadcast::Refused, word("nonce too low")),
        SendOutcome::Underpriced => (Broadcast::Refused, word("underpriced")),
        SendOutcome::InsufficientFunds => (Broadcast::Refused, word("insufficient funds")),
        SendOutcome::PoolFull => (Broadcast::Refused, word("pool is full")),
        SendOutcome::Rejected(reason) => (Broadcast::Refused, Some(reason.clone())),
        SendOutcome::Unknown(reason) => (Broadcast::Unknown, Some(reason.clone())),
    }
}
