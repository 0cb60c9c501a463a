//! Each effect, done.

use capstan_base::B256;
use capstan_chain::{BlockTag, ChainError, SendOutcome, TxFields};
use capstan_kit::{Clock, SystemClock, causes};
use capstan_store::{
    Broadcast, Failure, Inclusion, IntentId, LaneKey, NewAttempt, NewIntent, StoreError,
};

use super::Worker;
use crate::core::{Canonical, Effect, Event, Look};
use crate::telemetry;
use crate::waiters::Outcome;

/// Gas of a bare transfer, which is what an empty transaction to oneself is.
const TRANSFER_GAS: u64 = 21_000;

impl Worker {
    /// Does one thing the core asked for, and says what came of it. Only the store can fail; what
    /// a chain or a signer refuses is an event.
    pub(super) async fn carry_out(&self, effect: Effect) -> Result<Option<Event>, StoreError> {
        match effect {
            Effect::Estimate { intent, call } => {
                let estimate = self.chain.estimate(self.key.sender, &call).await;
                let estimate = estimate.inspect_err(|error| self.log_chain_error(error)).ok();
                return Ok(Some(Event::Estimated(intent, estimate)));
            }
            Effect::Sign { intent, tx } => return self.sign(intent, &tx).await.map(Some),
            Effect::Broadcast { nonce, hash, raw } => {
                let outcome = self.chain.send_raw(&raw).await;
                let (broadcast, detail) = broadcast_row(&outcome);
                tracing::debug!(
                    chain_id = self.key.chain_id.0, nonce, tx_hash = %hash, ?outcome, "sent"
                );
                self.store.note_broadcast(hash, broadcast, detail).await?;
                return Ok(Some(Event::Sent { nonce, hash, outcome }));
            }
            Effect::Look { nonce, hashes, anchor } => {
                return Ok(Some(self.look(nonce, &hashes, anchor).await));
            }
            Effect::Include(id, inclusion) => {
                self.log(id, "included in a block");
                self.store.record_inclusion(id, inclusion).await?;
            }
            Effect::Unmine(id, detail) => {
                tracing::warn!(chain_id = self.key.chain_id.0, intent = %id, detail, "reorganised");
                self.store.record_reorg(id, detail).await?;
            }
            Effect::Finalise(id, inclusion) => self.finalise(id, inclusion).await?,
            Effect::Fail(id, failure) => self.fail(id, failure).await?,
            Effect::Requeue(id, detail) => self.store.requeue(id, detail).await?,
            Effect::Note(id, what, detail) => self.store.note(id, what, detail).await?,
            Effect::FillGap { nonce, blocked } => {
                self.store.submit_intent(self.gap_filler(nonce, blocked)).await?;
                // Taken up without waiting for the next look at the outbox.
                self.wake.notify_one();
            }
            Effect::Alert(alert) => telemetry::alert(self.key, &alert),
        }
        Ok(None)
    }

    /// Signs, stores, and only then lets the bytes go on.
    async fn sign(&self, intent: IntentId, tx: &TxFields) -> Result<Event, StoreError> {
        let nonce = tx.nonce;
        let signed = match self.signer.sign(tx).await {
            Ok(signed) => signed,
            Err(error) => return Ok(Event::NotSigned { nonce, reason: causes(&error) }),
        };
        let attempt = NewAttempt {
            intent,
            nonce,
            tx_hash: signed.hash,
            raw: signed.raw.clone(),
            gas_limit: tx.gas_limit,
            max_fee: tx.fees.max_fee(),
            priority_fee: tx.fees.priority_fee(),
            signed_at: SystemClock.now(),
        };
        let number = self.store.record_attempt(attempt).await?;
        telemetry::count(telemetry::ATTEMPTS, self.key);
        tracing::info!(
            chain_id = self.key.chain_id.0, %intent, nonce, attempt = number,
            tx_hash = %signed.hash, max_fee = tx.fees.max_fee(), "signed and stored"
        );
        Ok(Event::Recorded { nonce, signed, fees: tx.fees })
    }

    async fn look(&self, nonce: u64, hashes: &[B256], anchor: Option<(u64, B256)>) -> Event {
        let mut look = Look::Missing;
        // Newest first: it is the likeliest to have been mined.
        for hash in hashes.iter().rev().copied() {
            match self.chain.receipt(hash).await {
                Ok(Some(receipt)) => {
                    let block = (receipt.block_number, receipt.block_hash);
                    let canonical = self.canonical(Some(block)).await;
                    look = Look::Found { hash, receipt, canonical };
                    if canonical == Canonical::Yes {
                        break;
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
        let anchor = self.canonical(anchor).await;
        Event::Looked { nonce, attempts: hashes.len(), anchor, look }
    }

    async fn canonical(&self, block: Option<(u64, B256)>) -> Canonical {
        let Some((number, hash)) = block else { return Canonical::Unknown };
        match self.chain.block(BlockTag::Number(number)).await {
            Ok(Some(found)) if found.hash == hash => Canonical::Yes,
            Ok(Some(_)) => Canonical::No,
            // No block there: this node may lag.
            Ok(None) => Canonical::Unknown,
            Err(error) => {
                self.log_chain_error(&error);
                Canonical::Unknown
            }
        }
    }

    async fn finalise(&self, id: IntentId, mined: Inclusion) -> Result<(), StoreError> {
        self.store.record_final(id, mined).await?;
        self.log(id, "final");
        telemetry::ended(self.key, if mined.success { "success" } else { "reverted" });
        let outcome = Outcome::Final {
            tx_hash: mined.tx_hash,
            block: mined.block_number,
            success: mined.success,
            gas_used: mined.gas_used,
            effective_gas_price: mined.effective_gas_price,
        };
        self.waiters.tell(id, &outcome);
        Ok(())
    }

    async fn fail(&self, id: IntentId, failure: Failure) -> Result<(), StoreError> {
        self.store.record_failure(id, failure.clone()).await?;
        tracing::warn!(
            chain_id = self.key.chain_id.0, intent = %id, code = %failure.code,
            detail = failure.detail, "given up"
        );
        telemetry::ended(self.key, failure.code.as_str());
        self.waiters.tell(id, &Outcome::Failed(failure));
        Ok(())
    }

    fn gap_filler(&self, nonce: u64, blocked: IntentId) -> NewIntent {
        let LaneKey { chain_id, sender } = self.key;
        NewIntent {
            idempotency_key: format!("gap/{chain_id}/{sender}/{nonce}/{blocked}"),
            chain_id,
            sender,
            to: sender,
            value: capstan_base::U256::ZERO,
            data: Default::default(),
            gas_limit: Some(TRANSFER_GAS),
            max_cost: None,
            not_before: None,
            deadline: None,
            label: format!("fills nonce {nonce}"),
        }
    }

    fn log(&self, intent: IntentId, what: &'static str) {
        tracing::info!(chain_id = self.key.chain_id.0, %intent, "{what}");
    }

    fn log_chain_error(&self, error: &ChainError) {
        telemetry::count(telemetry::CHAIN_ERRORS, self.key);
        tracing::warn!(
            chain_id = self.key.chain_id.0,
            error = error as &dyn std::error::Error,
            "the chain did not answer"
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
