//! What must hold during a run and at its end.

use capstan_base::{B256, U256};
use capstan_store::{Attempt, EngineStore, FailureCode, Intent, IntentState};
use futures_util::FutureExt;

use super::report::Violation;
use super::world::{ALONE_GAS, QUIET_PRICE, SENDER, Wanted, World};
use crate::fake::contracts::{Calls, Fate, Kind};
use crate::fake::model::MinedTx;

impl World {
    /// No effect is on the chain twice, now.
    pub(super) fn check_doubles(&mut self) {
        let doubles: Vec<_> = {
            let net = self.net();
            let branch = net.model.canonical();
            let is_double =
                |wanted: &&Wanted| branch.effect_count(wanted.item.effect, u64::MAX) > 1;
            self.wanted.iter().filter(is_double).map(|wanted| wanted.id).collect()
        };
        doubles.into_iter().for_each(|id| self.violated(Violation::Double(id)));
    }

    pub(super) fn stored(&self, wanted: &Wanted) -> Option<Intent> {
        self.shared.store.intent(wanted.id).now_or_never()?.ok()?
    }

    fn attempts(&self, wanted: &Wanted) -> Vec<Attempt> {
        let attempts = self.shared.store.attempts(wanted.id).now_or_never();
        attempts.and_then(Result::ok).unwrap_or_default()
    }

    /// True once nothing is left to do.
    pub(super) fn is_over(&self) -> bool {
        self.progress().0 == self.wanted.len()
    }

    /// Grows with whatever the lane gets done: intents that are over, and nonces used.
    pub(super) fn progress(&self) -> (usize, u64) {
        let is_over =
            |intent: &Intent| matches!(intent.state, IntentState::Final | IntentState::Failed);
        let over =
            self.wanted.iter().filter(|wanted| self.stored(wanted).as_ref().is_some_and(is_over));
        (over.count(), self.net().model.account_nonce(SENDER))
    }

    /// True if there is an intent that the lane could bring into a block right away.
    pub(super) fn has_ready_work(&self) -> bool {
        self.wanted.iter().any(|wanted| self.is_ready(wanted))
    }

    fn is_ready(&self, wanted: &Wanted) -> bool {
        let Some(intent) = self.stored(wanted) else { return false };
        let attempts = self.attempts(wanted);
        let net = self.net();
        let branch = net.model.canonical();
        let is_healthy = wanted.item.fate == Fate::Works
            && !is_spent(wanted, &intent)
            && wanted.deadline.is_none()
            && branch.effect_count(wanted.item.effect, u64::MAX) == 0;
        let is_open = matches!(
            intent.state,
            IntentState::Queued | IntentState::InFlight | IntentState::Included
        );
        let nonce = branch.account(SENDER).nonce;
        // Where another transaction used the nonce, only finality frees what may not be repeated; where
        // an empty one of the lane's own did, only finality says so.
        let is_past = intent.place.is_some_and(|place| place.nonce < nonce);
        let is_void = attempts.iter().any(|attempt| branch.find(attempt.signed.tx_hash).is_some());
        let is_held = is_past && (is_void || !wanted.repeat_safe);
        is_healthy && is_open && !is_held
    }

    /// Everything there is to say once it is over.
    pub(super) fn check_end(&mut self) {
        self.check_doubles();
        let found: Vec<Violation> =
            self.wanted.iter().flat_map(|wanted| self.check_intent(wanted)).collect();
        found.into_iter().for_each(|violation| self.violated(violation));
    }

    fn check_intent(&self, wanted: &Wanted) -> Vec<Violation> {
        let id = wanted.id;
        let Some(intent) = self.stored(wanted) else {
            return vec![Violation::Untrue(id, "the store does not know it".to_owned())];
        };
        let attempts = self.attempts(wanted);
        let net = self.net();
        let branch = net.model.canonical();
        let count = branch.effect_count(wanted.item.effect, u64::MAX);
        // Mined transactions that carry it, whoever sent them.
        // What only uses a nonce up costs the lane, not the intent.
        let paid = |hash: &B256| {
            let is_it = |attempt: &&Attempt| attempt.signed.tx_hash == *hash;
            attempts.iter().find(is_it).is_some_and(|attempt| !attempt.signed.voids)
        };
        let own = |hash: &B256| attempts.iter().any(|attempt| attempt.signed.tx_hash == *hash);
        let had_by_own =
            branch.mined().any(|tx| own(&tx.hash) && tx.effects.contains(&wanted.item.effect));
        let had_by_other = count > 0 && !had_by_own;
        let fate = wanted.item.fate;
        let may_fail = matches!(fate, Fate::Poison | Fate::BatchPoison)
            || (wanted.item.kind == Kind::Once && had_by_other);
        let mut found = Vec::new();
        let mut untrue = |detail: String| found.push(Violation::Untrue(id, detail));
        match (intent.state, &intent.inclusion, &intent.failure) {
            (IntentState::Final, Some(mined), _) => {
                match branch.find(mined.tx_hash) {
                    Some((block, tx)) => {
                        let has = tx.effects.contains(&wanted.item.effect);
                        if block.hash != mined.block_hash || block.number != mined.block_number {
                            untrue("its block is another".to_owned());
                        }
                        if has != mined.success {
                            untrue(format!("success {}, but effect {has}", mined.success));
                        }
                        if tx.gas_used != mined.gas_used || tx.rollup_fee != mined.rollup_fee {
                            untrue("it cost something else".to_owned());
                        }
                    }
                    None => untrue(format!("transaction {} is not there", mined.tx_hash)),
                }
                // Where an earlier transaction did it after all, the later one reverts.
                let is_had = wanted.item.kind == Kind::Once && count == 1;
                // A branch that won may have put it into a block before its time.
                let block =
                    branch.block(mined.block_number).map(|block| block.head.timestamp.get());
                let is_early = matches!(fate, Fate::NotBefore(time) if block < Some(time));
                if !mined.success && !may_fail && !is_had && !is_early {
                    found.push(Violation::Lost(id, "final, and it reverted".to_owned()));
                }
            }
            (IntentState::Failed, _, Some(failure)) => {
                // An earlier transaction of its own counts as another's.
                if had_by_own && failure.code != FailureCode::AlreadyDone {
                    untrue(format!("{} although its own transaction did it", failure.code));
                }
                let is_true = match failure.code {
                    FailureCode::Reverted => may_fail,
                    FailureCode::DeadlinePassed => wanted.deadline.is_some(),
                    FailureCode::Refused => fate == Fate::Refused,
                    FailureCode::AlreadyDone => count > 0,
                };
                if !is_true {
                    let detail = format!("{}: {}", failure.code, failure.detail);
                    found.push(Violation::Lost(id, detail));
                }
            }
            // Transactions that failed have taken so much of its budget that it can only wait.
            (IntentState::Queued, ..) if is_spent(wanted, &intent) => {}
            (state, ..) => {
                let history = self.shared.store.history(id).now_or_never();
                let history = history.and_then(Result::ok).unwrap_or_default();
                let last = history.last().map(|row| format!("{} {}", row.what, row.detail));
                let detail = format!("{state}, {count} effects, {last:?}, {:?}", wanted.item);
                found.push(Violation::Stuck(id, detail));
            }
        }
        let carried = branch.mined().filter(|tx| paid(&tx.hash));
        found.extend(carried.filter_map(|tx| over_budget(wanted, tx)));
        found
    }
}

/// True if an intent was charged for failures, and what is left of its budget pays for few calls at most.
fn is_spent(wanted: &Wanted, intent: &Intent) -> bool {
    let few = QUIET_PRICE.saturating_mul(u128::from(ALONE_GAS)).saturating_mul(4);
    let left = wanted.max_cost.map(|most| most.saturating_sub(intent.spent));
    !intent.spent.is_zero() && left.is_some_and(|left| left < U256::from(few))
}

fn over_budget(wanted: &Wanted, tx: &MinedTx) -> Option<Violation> {
    let max_cost = wanted.max_cost?;
    let items = Calls::decode(tx.tx.to(), &tx.data).items().len().max(1);
    let share = tx.cost().checked_div(U256::from(items))?;
    (share > max_cost).then(|| {
        let detail = format!("paid {share} of {max_cost} in {}", super::trace::short(tx.hash));
        Violation::OverBudget(wanted.id, detail)
    })
}
