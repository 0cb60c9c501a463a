//! One run: the stage is set, everything goes wrong for a while, then nothing does, and then all has
//! to be as it should.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::child::{Child, Home};
use super::plan::{Death, Plan};
use super::stage::Stage;
use super::trouble::{Mining, Site};
use super::verdict::Verdict;
use crate::fault_proxy::{FaultProxy, Node};
use crate::settler::{Setup, by_name};

/// Blocks after which an intent is stuck, on top of several times the lane's finality.
const MOST_BLOCKS: u64 = 400;

/// Wall-clock bound of the recovery: a loaded machine is slow, a lane that waits for it is not.
const PATIENCE: Duration = Duration::from_secs(90);

/// Between looks at the settler.
const TICK: Duration = Duration::from_millis(15);

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Jobs.
    pub intents: usize,
    /// Kills of the settler, by itself at a write or from outside.
    pub kills: u64,
    /// Deaths of the plan that it came to.
    pub deaths: u64,
    /// Everything that was done to it: requests spoilt, troubles, deaths.
    pub faults: u64,
    /// Blocks from the last fault to the last effect on the chain.
    pub recovered_blocks: u64,
    /// Blocks from the last fault until the lane was idle, those for finality included.
    pub idle_blocks: u64,
    /// What is wrong.
    pub verdict: Verdict,
    /// Milliseconds.
    pub took_ms: u64,
}

/// Plays a plan. What the run left behind is kept in a folder under `keep`.
pub async fn play(plan: &Plan, keep: Option<&Path>) -> Outcome {
    let begun = Instant::now();
    let stage = Box::pin(Stage::set(plan)).await;
    let node = Arc::new(Node::new(&stage.chain().anvil.url));
    let mut proxies = Vec::new();
    for endpoint in 0..plan.endpoints {
        let seed = plan.seed.rotate_left(u32::try_from(endpoint).expect("few") + 1);
        let proxy = FaultProxy::sharing(Arc::clone(&node), seed).await;
        proxy.be_strict(plan.strict);
        proxies.push(proxy);
    }
    let run = Run { plan, stage, proxies };
    let mut outcome = Box::pin(run.play()).await;
    outcome.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let Some(keep) = keep {
        run.keep(&keep.join(plan.seed.to_string()), &outcome);
    }
    outcome
}

struct Run<'a> {
    plan: &'a Plan,
    stage: Stage,
    proxies: Vec<FaultProxy>,
}

impl Run<'_> {
    async fn play(&self) -> Outcome {
        let home = Home::make(self.stage.folder(), &self.setup());
        let first = self.plan.deaths.first().copied();
        let child = Mutex::new(Child::start(&home, point(first)).await);
        let mining = Mining::start();
        tokio::select! {
            never = self.mine(&mining) => never,
            outcome = self.play_on(&home, &child, &mining) => outcome,
        }
    }

    /// The run while blocks are mined.
    async fn play_on(&self, home: &Home, child: &Mutex<Child>, mining: &Mining) -> Outcome {
        let (deaths, kills) = self.go_wrong(home, child, mining).await;
        let ended = self.stage.head().await;
        let mut child = child.lock().await;
        let (idle, broken) = match self.recover(&mut child).await {
            Ok(height) => (height, None),
            Err(why) => (self.stage.head().await, Some(why)),
        };
        let report = child.report().await;
        child.kill().await;
        let mut broken: Vec<_> = broken.into_iter().collect();
        if report.is_none() {
            broken.push("the settler gives no report".to_owned());
        }
        let told = by_name(report.unwrap_or_default());
        let sent: BTreeSet<_> = self.proxies.iter().flat_map(FaultProxy::sent).collect();
        let verdict = Verdict { broken, ..Verdict::of(&self.stage, &told, &sent).await };
        let struck: u64 = self.proxies.iter().flat_map(|proxy| proxy.struck().into_values()).sum();
        Outcome {
            seed: self.plan.seed,
            intents: self.stage.jobs.len(),
            kills,
            deaths,
            faults: struck + self.plan.troubles.len() as u64 + kills,
            recovered_blocks: verdict.newest_effect.saturating_sub(ended),
            idle_blocks: idle.saturating_sub(ended),
            verdict,
            took_ms: 0,
        }
    }

    fn setup(&self) -> Setup {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let millis = |time: Duration| u64::try_from(time.as_millis()).expect("a time");
        let contracts = &self.stage.chain().contracts;
        Setup {
            database: self.stage.folder().join("settler.db"),
            chain_id: self.plan.chain_id,
            contracts: [contracts.job_marketplace, contracts.node_registry],
            urls: self.proxies.iter().map(|proxy| proxy.url.clone()).collect(),
            key: self.stage.key(),
            finality_depth: self.plan.finality_depth,
            poll_ms: millis(self.plan.block) / 2,
            began_ms: millis(now),
            jobs: self.stage.jobs.clone(),
        }
    }

    /// A block each time, for ever.
    async fn mine<T>(&self, mining: &Mining) -> T {
        loop {
            tokio::time::sleep(self.plan.block).await;
            mining.block(&self.stage).await;
        }
    }

    /// The time of faults; gives the deaths of the plan it came to, and all kills.
    async fn go_wrong(&self, home: &Home, child: &Mutex<Child>, mining: &Mining) -> (u64, u64) {
        let site = Site { stage: &self.stage, child, mining };
        let lasts = match self.plan.phases.as_slice() {
            // Deaths alone: as long as they take.
            [] => PATIENCE,
            phases => phases.iter().map(|phase| phase.lasts).sum(),
        };
        let phases = async {
            for phase in &self.plan.phases {
                for (proxy, rules) in self.proxies.iter().zip(&phase.rules) {
                    proxy.set(rules.clone());
                }
                tokio::time::sleep(phase.lasts).await;
            }
        };
        let troubles =
            futures_util::future::join_all(self.plan.troubles.iter().map(async |(at, trouble)| {
                tokio::time::sleep(*at).await;
                site.trouble(*trouble).await;
            }));
        let mut deaths = 0;
        let dying = tokio::time::timeout(lasts, self.die(home, child, &mut deaths));
        let _over = tokio::join!(phases, tokio::time::timeout(lasts, troubles), dying);
        self.proxies.iter().for_each(FaultProxy::clear);
        // Whatever kill point is still ahead must not strike later.
        let mut last = child.lock().await;
        let mut kills = deaths;
        if deaths < self.plan.deaths.len() as u64 || last.is_dead() {
            last.kill().await;
            kills += 1;
            *last = Child::start(home, None).await;
        }
        drop(last);
        site.mend().await;
        (deaths, kills)
    }

    /// One death after the other, and a new start after each.
    async fn die(&self, home: &Home, child: &Mutex<Child>, deaths: &mut u64) {
        for (index, death) in self.plan.deaths.iter().enumerate() {
            match death {
                Death::Within(time) => {
                    tokio::time::sleep(*time).await;
                    child.lock().await.kill().await;
                }
                Death::At(_) => {
                    while !child.lock().await.is_dead() {
                        if self.is_idle(child).await {
                            return;
                        }
                        tokio::time::sleep(TICK).await;
                    }
                }
            }
            *deaths += 1;
            let next = self.plan.deaths.get(index + 1).copied();
            *child.lock().await = Child::start(home, point(next)).await;
        }
    }

    /// True if a settler has nothing left to do, so that it never gets to a later write.
    async fn is_idle(&self, child: &Mutex<Child>) -> bool {
        let counts = child.lock().await.counts();
        counts.is_some_and(|counts| counts.is_idle(self.stage.jobs.len()))
    }

    /// Until the settler has nothing left to do; gives the height of that moment, or says why it
    /// does not come.
    async fn recover(&self, child: &mut Child) -> Result<u64, String> {
        let (begun, first) = (Instant::now(), self.stage.head().await);
        let most = MOST_BLOCKS + 8 * self.plan.finality_depth;
        let mut helped = Instant::now();
        loop {
            tokio::time::sleep(TICK).await;
            let height = self.stage.head().await;
            if child.is_dead() {
                return Err("the settler ended by itself".to_owned());
            }
            let Some(counts) = child.counts() else { continue };
            if counts.is_idle(self.stage.jobs.len()) {
                return Ok(height);
            }
            if height - first > most || begun.elapsed() > PATIENCE {
                return Err(format!("not idle {} blocks after the last fault", height - first));
            }
            // Only depth is missing: it comes at once, and the settler gets time to look.
            let is_all_in = counts.submitted == self.stage.jobs.len()
                && counts.over + counts.included == counts.intents;
            if is_all_in && helped.elapsed() > self.plan.block * 4 {
                helped = Instant::now();
                let blocks = alloy_primitives::U64::from(self.plan.finality_depth);
                self.stage.rpc("anvil_mine", json!([blocks])).await;
            }
        }
    }

    /// Log, database and plan.
    fn keep(&self, folder: &PathBuf, outcome: &Outcome) {
        let _ = std::fs::create_dir_all(folder);
        for entry in std::fs::read_dir(self.stage.folder()).into_iter().flatten().flatten() {
            let _ = std::fs::copy(entry.path(), folder.join(entry.file_name()));
        }
        let _ = std::fs::write(folder.join("plan.txt"), format!("{:#?}", self.plan));
        let _ = std::fs::write(folder.join("outcome.txt"), format!("{outcome:#?}"));
    }
}

/// The write at which an incarnation dies, if that is how.
fn point(death: Option<Death>) -> Option<crate::settler::KillPoint> {
    match death {
        Some(Death::At(point)) => Some(point),
        _ => None,
    }
}
