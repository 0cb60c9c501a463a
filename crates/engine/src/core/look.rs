//! What a look for receipts means: the only way to a block, to finality, or to a lost nonce.

use capstan_base::B256;
use capstan_chain::Receipt;
use capstan_store::Inclusion;

use super::effect::{Alert, Effect};
use super::event::{Canonical, Look, View};
use super::flight::Suspicion;
use super::lane::Lane;
use super::queue::Waiting;

/// Blocks by which a nonce may have been read later than the head it was read with.
const READ_SKEW_BLOCKS: u64 = 2;

/// Looks at distinct heads, all without a receipt, before a nonce is given up as used by another: a
/// node that lacks one receipt for a moment is common, at three heads across finality it is not.
const LOOKS: u32 = 3;

impl Lane {
    pub(super) fn looked(
        &mut self,
        nonce: u64,
        attempts: usize,
        anchor: Canonical,
        look: Look,
    ) -> Vec<Effect> {
        let Some(view) = self.view.clone() else { return Vec::new() };
        match look {
            Look::Found { hash, receipt, canonical: Canonical::Yes } => {
                self.mined(nonce, hash, receipt, &view)
            }
            // A receipt whose block is gone or in doubt proves nothing, except that an attempt
            // was mined somewhere.
            Look::Found { .. } => {
                if let Some(flight) = self.flights.get_mut(&nonce) {
                    flight.suspicion = None;
                }
                self.reorged(nonce, anchor)
            }
            Look::Missing => {
                let mut effects = self.reorged(nonce, anchor);
                if effects.is_empty() {
                    effects = self.suspect(nonce, attempts, anchor, &view);
                }
                effects
            }
            Look::Unavailable => self.reorged(nonce, anchor),
        }
    }

    /// A receipt in a block of the chain.
    fn mined(&mut self, nonce: u64, tx_hash: B256, receipt: Receipt, view: &View) -> Vec<Effect> {
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        let id = flight.intent.id;
        let inclusion = Inclusion {
            tx_hash,
            block_number: receipt.block_number,
            block_hash: receipt.block_hash,
            gas_used: receipt.gas_used,
            effective_gas_price: receipt.effective_gas_price,
            success: receipt.success,
        };
        flight.suspicion = None;
        if view.final_height.is_some_and(|height| height >= receipt.block_number) {
            self.flights.remove(&nonce);
            self.final_below = self.final_below.max(nonce.saturating_add(1));
            return vec![Effect::Finalise(id, inclusion)];
        }
        if flight.included == Some(inclusion) {
            return Vec::new();
        }
        flight.included = Some(inclusion);
        vec![Effect::Include(id, inclusion)]
    }

    /// If the block an intent was in is proven gone: back to waiting, and the same bytes again.
    fn reorged(&mut self, nonce: u64, anchor: Canonical) -> Vec<Effect> {
        let head = self.view.as_ref().map(|view| view.head.number);
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        if anchor != Canonical::No {
            return Vec::new();
        }
        let Some(gone) = flight.included.take() else { return Vec::new() };
        let detail =
            format!("block {} {} is no longer canonical", gone.block_number, gone.block_hash);
        let mut effects = vec![Effect::Unmine(flight.intent.id, detail)];
        // Whichever attempt had been mined is as good as any; the newest pays most.
        if let Some(newest) = flight.attempts.last_mut() {
            newest.accepted_at = None;
            // It was good enough for a block once: it gets its full time again.
            newest.since = head;
            effects.push(Effect::Broadcast { nonce, hash: newest.hash, raw: newest.raw.clone() });
        }
        effects
    }

    /// The account's nonce is past, and no attempt has a receipt.
    fn suspect(
        &mut self,
        nonce: u64,
        attempts: usize,
        anchor: Canonical,
        view: &View,
    ) -> Vec<Effect> {
        let Some(flight) = self.flights.get_mut(&nonce) else { return Vec::new() };
        let is_past = view.account_nonce > nonce && flight.included.is_none();
        if !is_past || attempts != flight.attempts.len() || flight.signing {
            return Vec::new();
        }
        let head = view.head.number;
        let first = Suspicion { number: head, hash: view.head.hash, last: head, looks: 1 };
        let Some(mut suspicion) = flight.suspicion else {
            flight.suspicion = Some(first);
            return Vec::new();
        };
        if anchor == Canonical::No {
            // The nonce was past in a block that is gone. It may not be past in what replaced it.
            flight.suspicion = Some(first);
            return Vec::new();
        }
        if head > suspicion.last {
            suspicion.last = head;
            suspicion.looks = suspicion.looks.saturating_add(1);
        }
        flight.suspicion = Some(suspicion);
        let settled = suspicion.number.saturating_add(READ_SKEW_BLOCKS);
        let is_final = view.final_height.is_some_and(|height| height >= settled);
        if anchor != Canonical::Yes || !is_final || suspicion.looks < LOOKS {
            return Vec::new();
        }
        self.lost(nonce, view)
    }

    /// Proven: another transaction used the nonce in a final block. None of the attempts can ever
    /// be mined, so the intent may have another nonce.
    fn lost(&mut self, nonce: u64, view: &View) -> Vec<Effect> {
        let Some(flight) = self.flights.remove(&nonce) else { return Vec::new() };
        self.final_below = self.final_below.max(nonce.saturating_add(1));
        let id = flight.intent.id;
        let detail = format!(
            "nonce {nonce} was used by another transaction, final as of block {}",
            view.head.number
        );
        let mut intent = flight.intent;
        intent.nonce = None;
        self.queue.insert(id, Waiting::new(intent));
        vec![
            Effect::Requeue(id, detail),
            Effect::Alert(Alert::NonceUsedByAnother { intent: id, nonce }),
        ]
    }
}
