//! Several engines with one key on one PostgreSQL: each a process of its own that is told what to
//! submit, whose leader is killed again and again. The oracle is the chain: every intent pays an
//! address that nothing else pays, so it holds the gift once, not at all, or twice.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, U256, keccak256};
use capstan_chain::LocalSigner;
use capstan_test_postgres::Server;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::anvil::{Anvil, Mining};

mod member;

use member::Member;

/// Chain of the scenario.
pub const CHAIN: u64 = 5611;

/// Wei of each gift.
pub const GIFT: u64 = 1_000_000_000;

/// Engines.
const MEMBERS: usize = 3;

/// Time between the deaths of leaders.
const KILL_EVERY: Duration = Duration::from_secs(5);

/// Time between submissions.
const SUBMIT_EVERY: Duration = Duration::from_millis(50);

/// Time between looks at who leads.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Longest wait for everything to be final after the last death.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a member is told at its start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// Of the database.
    pub store: String,
    /// Of the chain.
    pub rpc: String,
    /// The one key: play money, made for this run.
    pub key: B256,
}

/// What a member says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It runs.
    Ready,
    /// The intent with this number is stored.
    Submitted(u64),
    /// Whether it leads the lane.
    Leads(bool),
}

/// To whom the intent with this number pays.
pub fn payee(number: u64) -> Address {
    Address::from_word(keccak256(format!("payee {number}")))
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Intents submitted.
    pub submitted: u64,
    /// Payees that got nothing.
    pub lost: Vec<u64>,
    /// Payees that got more than one gift.
    pub doubled: Vec<u64>,
    /// Intents that the store does not call final.
    pub open: u64,
    /// From each leader's death until another engine had the lane, and until it stored an attempt.
    pub handovers: Vec<(Duration, Duration)>,
}

/// The engines, their database and their chain.
// Fields drop in this order: who uses a thing goes before it.
struct Stage {
    members: Vec<Member>,
    server: Server,
    anvil: Anvil,
    setup: Setup,
    binary: std::path::PathBuf,
    next: u64,
    /// Sent to a member that died before it answered.
    again: VecDeque<u64>,
}

/// Runs members of the binary for a while, with deaths. `None` without PostgreSQL.
pub async fn run(binary: &str, time: Duration) -> Option<Report> {
    let server = capstan_test_postgres::start()?;
    let key = keccak256("one key of many engines");
    let anvil = Anvil::start(CHAIN, Mining::Every(1));
    let account = LocalSigner::from_bytes("run", key.as_slice()).expect("a key").address();
    anvil.rpc("anvil_setBalance", json!([account, U256::from(10).pow(U256::from(20))])).await;
    let setup = Setup { store: server.database("many"), rpc: anvil.url.clone(), key };
    let (binary, members) = (binary.into(), Vec::new());
    let mut stage =
        Stage { server, anvil, setup, binary, members, next: 0, again: VecDeque::new() };
    for _ in 0..MEMBERS {
        stage.members.push(Member::start(&stage.binary, &stage.setup).await);
    }
    let mut report = Report::default();
    let end = Instant::now() + time;
    while Instant::now() < end {
        stage.submit_for(KILL_EVERY).await;
        report.handovers.push(stage.kill_leader().await);
    }
    stage.submit_for(Duration::from_secs(1)).await;
    stage.finish(&mut report).await;
    Some(report)
}

impl Stage {
    /// Submits through one member after the other.
    async fn submit_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.submit_next(None).await;
            tokio::time::sleep(SUBMIT_EVERY).await;
        }
    }

    async fn submit_next(&mut self, dead: Option<usize>) {
        let number = self.again.pop_front().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        let members = self.members.len();
        let mut member = usize::try_from(number).expect("a small number") % members;
        if Some(member) == dead {
            member = (member + 1) % members;
        }
        self.members[member].tell(&format!("submit {number}")).await;
    }

    /// Kills whoever leads, brings it back, and times what the others make of it.
    async fn kill_leader(&mut self) -> (Duration, Duration) {
        let leader = loop {
            let mut leaders = Vec::new();
            for (index, member) in self.members.iter_mut().enumerate() {
                if member.leads().await {
                    leaders.push(index);
                }
            }
            if let [leader] = leaders[..] {
                break leader;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let unanswered = self.members[leader].kill().await;
        let death = Instant::now();
        self.again.extend(unanswered);
        // What the server was still doing for the dead one is over soon.
        tokio::time::sleep(LOOK_EVERY).await;
        let (epoch, attempts) = self.look();
        let mut led = None;
        loop {
            self.submit_next(Some(leader)).await;
            let (now_epoch, now_attempts) = self.look();
            if now_epoch > epoch && led.is_none() {
                led = Some(death.elapsed());
            }
            if let Some(led) = led
                && now_attempts > attempts
            {
                let acted = death.elapsed();
                self.members[leader] = Member::start(&self.binary, &self.setup).await;
                return (led, acted);
            }
            assert!(death.elapsed() < PATIENCE, "nobody takes the lane over");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The lane's epoch, and the newest attempt.
    fn look(&self) -> (u64, u64) {
        let rows = self.server.sql(
            "many",
            "SELECT coalesce(max(epoch), 0) FROM lanes; SELECT coalesce(max(id), 0) FROM attempts",
        );
        let mut rows = rows.lines().map(|row| row.parse().expect("a number"));
        (rows.next().expect("an epoch"), rows.next().expect("an id"))
    }

    /// Waits until all is final and says what the chain has of it.
    async fn finish(&mut self, report: &mut Report) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for member in &mut self.members {
                self.again.extend(member.unanswered_after(Duration::from_secs(2)).await);
            }
            if !self.again.is_empty() {
                self.submit_next(None).await;
                continue;
            }
            let open = "SELECT count(*) FROM intents WHERE state <> 'final'";
            report.open = self.server.sql("many", open).parse().expect("a count");
            if report.open == 0 || Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        // A second transaction of somebody who still believes to lead would show by now.
        tokio::time::sleep(Duration::from_secs(3)).await;
        report.submitted = self.next;
        for number in 0..self.next {
            let held = self.anvil.rpc("eth_getBalance", json!([payee(number), "latest"])).await;
            let held: U256 = held.as_str().expect("a number").parse().expect("a number");
            match held {
                held if held.is_zero() => report.lost.push(number),
                held if held == U256::from(GIFT) => {}
                _ => report.doubled.push(number),
            }
        }
    }
}
