//! What the chain says of a run, against what was wanted and what the settler's store says.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use serde::Serialize;
use serde_json::{Value, json};

use super::stage::{Stage, number};
use super::wanted::Goal;
use crate::oracle::{self, Closed};
use crate::settler::Told;

/// What was found; each problem names its job.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Wanted, and not on the chain although the settler is done with it.
    pub lost: Vec<String>,
    /// On the chain more than once, or for another amount.
    pub double: Vec<String>,
    /// Not over when it should have been.
    pub stuck: Vec<String>,
    /// The store says other than the chain.
    pub untrue: Vec<String>,
    /// Broadcast, and not in the store.
    pub unstored: Vec<String>,
    /// The settler or the harness failed otherwise.
    pub broken: Vec<String>,
    /// The sender's transactions that reverted. No fault: a second close is refused by design.
    pub reverted: usize,
    /// Sessions that the settler's own transactions closed.
    pub settlements: usize,
    /// Those transactions.
    pub settle_transactions: usize,
    /// Those of them that closed several.
    pub batches: usize,
    /// The settler's transactions in which the account's own code makes the calls (EIP-7702).
    pub self_batches: usize,
    /// Sessions that somebody else closed first.
    pub closed_by_others: usize,
    /// Height of the newest effect.
    pub newest_effect: u64,
}

impl Verdict {
    /// True if nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problems().is_empty()
    }

    /// Everything that is wrong, with its kind before it.
    pub fn problems(&self) -> Vec<String> {
        let kinds = [
            ("lost", &self.lost),
            ("double", &self.double),
            ("stuck", &self.stuck),
            ("untrue", &self.untrue),
            ("unstored", &self.unstored),
            ("broken", &self.broken),
        ];
        let lines = |(kind, all): (&'static str, &Vec<String>)| {
            all.iter().map(move |problem| format!("{kind}: {problem}")).collect::<Vec<_>>()
        };
        kinds.into_iter().flat_map(lines).collect()
    }

    /// Reads the chain and compares.
    pub async fn of(stage: &Stage, told: &BTreeMap<String, Told>, sent: &BTreeSet<B256>) -> Self {
        let mut verdict = Self::default();
        let stored: BTreeSet<B256> =
            told.values().flat_map(|told| told.attempts.iter().copied()).collect();
        let closings = verdict.sessions(stage, told).await;
        verdict.count_batches(&closings, &stored);
        verdict.transfers(stage, told).await;
        verdict.poisons(stage, told).await;
        verdict.transactions(stage, &stored).await;
        verdict.unstored = sent.difference(&stored).map(ToString::to_string).collect();
        let strangers = told.values().filter(|told| !stage.names().contains(&told.name));
        verdict
            .stuck
            .extend(strangers.filter(|told| !told.is_over()).map(|told| told.name.clone()));
        verdict
    }

    async fn sessions(&mut self, stage: &Stage, told: &BTreeMap<String, Told>) -> Vec<Closed> {
        let url = &stage.chain().anvil.url;
        let market = stage.chain().marketplace();
        let (mut sum, mut all) = (0, Vec::new());
        for due in &stage.dues {
            let closings = oracle::closings(url, &market, &due.paper.id().to_string()).await;
            sum += closings.iter().map(|closed| closed.host_paid).sum::<u128>();
            let is_exact = closings.iter().all(|closed| {
                closed.host_paid + closed.fee == due.amount
                    && closed.host_paid + closed.fee + closed.refund == crate::scene::DEPOSIT
            });
            if !is_exact {
                self.double.push(format!("{} for another amount: {closings:?}", due.name));
            }
            self.compare(stage, &due.name, closings.len(), told).await;
            all.extend(closings);
        }
        let host = stage.host.address().to_string();
        let coin = alloy_primitives::Address::ZERO.to_string();
        let ledger = oracle::ledger(url, &market, &host, &coin).await;
        if ledger != sum {
            self.double.push(format!("the ledger holds {ledger}, the closings paid {sum}"));
        }
        all
    }

    /// How many sessions shared a transaction, as the chain's events say.
    fn count_batches(&mut self, closings: &[Closed], stored: &BTreeSet<B256>) {
        let mut by_transaction: BTreeMap<B256, usize> = BTreeMap::new();
        for closed in closings {
            let hash = closed.tx.parse().expect("a hash");
            if stored.contains(&hash) {
                *by_transaction.entry(hash).or_default() += 1;
            } else {
                self.closed_by_others += 1;
            }
        }
        self.settlements = by_transaction.values().sum();
        self.settle_transactions = by_transaction.len();
        self.batches = by_transaction.values().filter(|count| **count > 1).count();
    }

    async fn transfers(&mut self, stage: &Stage, told: &BTreeMap<String, Told>) {
        let url = &stage.chain().anvil.url;
        let coin = alloy_primitives::Address::ZERO.to_string();
        for gift in &stage.gifts {
            let held = oracle::held(url, &gift.to.to_string(), &coin).await;
            let times = held / gift.wei;
            if held % gift.wei != 0 {
                self.double.push(format!("{} for another amount: {held}", gift.name));
            }
            let times = usize::try_from(times).expect("a few");
            self.compare(stage, &gift.name, times, told).await;
        }
    }

    /// What cannot be done has to be over, as a failure, and without a trace on the chain.
    async fn poisons(&mut self, stage: &Stage, told: &BTreeMap<String, Told>) {
        let url = &stage.chain().anvil.url;
        for poison in &stage.poisons {
            let has_happened = match &poison.goal {
                Goal::Close(session) => {
                    let market = stage.chain().marketplace();
                    !oracle::closings(url, &market, &session.to_string()).await.is_empty()
                }
                Goal::Pay(contract) => {
                    let coin = alloy_primitives::Address::ZERO.to_string();
                    oracle::held(url, &contract.to_string(), &coin).await > 0
                }
            };
            let name = &poison.name;
            if has_happened {
                self.double.push(format!("{name} happened, and cannot"));
            }
            match told.get(name) {
                None => self.stuck.push(format!("{name} was never taken")),
                Some(told) if !told.is_over() => {
                    self.stuck.push(format!("{name} is {}", told.state));
                }
                Some(told) if !told.has_failed() => {
                    let (state, why) = (&told.state, &told.failure);
                    self.untrue.push(format!("{name} is {state} {:?} {why:?}", told.mined));
                }
                Some(_) => {}
            }
        }
    }

    /// One job: how often it happened against what the store says.
    async fn compare(
        &mut self,
        stage: &Stage,
        name: &str,
        times: usize,
        told: &BTreeMap<String, Told>,
    ) {
        if times > 1 {
            self.double.push(format!("{name} happened {times} times"));
        }
        let Some(told) = told.get(name) else {
            self.stuck.push(format!("{name} was never taken"));
            return;
        };
        if !told.is_over() {
            self.stuck.push(format!("{name} is {}", told.state));
            return;
        }
        if times == 0 {
            self.lost.push(format!("{name} is {}: {:?}", told.state, told.failure));
        }
        let receipt = match told.mined {
            Some((hash, _)) => stage.rpc("eth_getTransactionReceipt", json!([hash])).await,
            None => Value::Null,
        };
        let succeeded = receipt["status"] == "0x1";
        let by_another = told.failure.as_ref().is_some_and(|why| why.starts_with("already_done"));
        let says_so = told.state == "final" && told.mined.is_some_and(|(_, success)| success);
        if says_so != succeeded || (says_so || by_another) != (times > 0) {
            let detail = format!(
                "{name} is {} {:?} {:?}, its receipt says {}, it happened {times} times",
                told.state, told.mined, told.failure, receipt["status"]
            );
            self.untrue.push(detail);
        }
        if succeeded {
            self.newest_effect = self.newest_effect.max(number(&receipt["blockNumber"]));
        }
    }

    /// The sender's own transactions since the stage was set.
    async fn transactions(&mut self, stage: &Stage, stored: &BTreeSet<B256>) {
        let sender = json!(stage.host.address());
        let sender = sender.as_str().unwrap_or_default().to_lowercase();
        for height in stage.height + 1..=stage.head().await {
            let block = json!([alloy_primitives::U64::from(height), true]);
            let block = stage.rpc("eth_getBlockByNumber", block).await;
            let all = block["transactions"].as_array().cloned().unwrap_or_default();
            for transaction in all.iter().filter(|transaction| {
                transaction["from"].as_str().is_some_and(|from| from.to_lowercase() == sender)
            }) {
                let receipt = json!([transaction["hash"]]);
                let receipt = stage.rpc("eth_getTransactionReceipt", receipt).await;
                self.reverted += usize::from(receipt["status"] == "0x0");
                let hash = transaction["hash"].as_str().and_then(|hash| hash.parse().ok());
                let is_own = hash.is_some_and(|hash: B256| stored.contains(&hash));
                // An empty transaction to itself fills a gap.
                let calls_itself = transaction["to"] == transaction["from"]
                    && transaction["input"].as_str().is_some_and(|input| input.len() > 2);
                self.self_batches += usize::from(is_own && calls_itself);
            }
        }
    }
}
