//! What a run wants on the chain: sessions to close, transfers to make, and what nobody can do.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use capstan_base::{Amount, SignedVoucher};
use capstan_chain::{BlockTag, LocalSigner, calls};

use super::plan::Plan;
use crate::paper::Paper;
use crate::scene::{COIN_PRICE, DEPOSIT, terms};
use crate::settler::Job;
use crate::world::Devnet;

/// Seconds a session lasts: longer than all jumps of the chain's clock, within what the contract
/// takes.
const LIFE: u64 = 25 * 86_400;

/// Seconds until a deadline that no run comes to.
const FAR_AHEAD: u64 = 20 * 86_400;

/// A session that is to be closed.
pub struct Due {
    /// Name of its job.
    pub name: String,
    /// The session.
    pub paper: Paper,
    /// What the voucher says, base units.
    pub amount: u128,
}

/// A transfer that is to be made.
pub struct Gift {
    /// Name of its job.
    pub name: String,
    /// To whom; has nothing else.
    pub to: Address,
    /// Wei.
    pub wei: u128,
}

/// What cannot be done: it has to fail, and nothing with it.
pub struct Poison {
    /// Name of its job.
    pub name: String,
    /// What must not have happened.
    pub goal: Goal,
}

/// What a poison is after.
pub enum Goal {
    /// A close above the deposit of this session.
    Close(B256),
    /// Coins for a contract that takes none.
    Pay(Address),
}

/// Everything that is wanted.
#[derive(Default)]
pub struct Wanted {
    /// Sessions.
    pub dues: Vec<Due>,
    /// Transfers.
    pub gifts: Vec<Gift>,
    /// What cannot be done.
    pub poisons: Vec<Poison>,
    /// Everything as jobs, in the order of submission.
    pub jobs: Vec<Job>,
}

/// Who wants it, and where.
struct Maker<'a> {
    plan: &'a Plan,
    chain: &'a Devnet,
    host: &'a LocalSigner,
    renter: LocalSigner,
    dice: fastrand::Rng,
    /// Chain time at the beginning.
    begun: u64,
    wanted: Wanted,
}

impl Wanted {
    /// Opens the plan's sessions, and says what is to be done.
    pub async fn of(plan: &Plan, chain: &Devnet, host: &LocalSigner) -> Self {
        let key = keccak256(format!("renter of run {}", plan.seed));
        let renter = LocalSigner::from_bytes("run", key.as_slice()).expect("a key");
        chain.fund(&renter, 10).await;
        let head = chain.client().head(BlockTag::Latest).await.expect("a head");
        let dice = fastrand::Rng::with_seed(plan.seed ^ 0x5e55);
        let (begun, wanted) = (head.timestamp.get(), Self::default());
        let mut maker = Maker { plan, chain, host, renter, dice, begun, wanted };
        for index in 0..plan.sessions {
            maker.session(index).await;
        }
        for index in 0..plan.transfers {
            maker.transfer(index);
        }
        for index in 0..plan.poisons {
            maker.poison(index).await;
        }
        let mut wanted = maker.wanted;
        fastrand::Rng::with_seed(plan.seed ^ 0x0dde).shuffle(&mut wanted.jobs);
        for (job, at_ms) in wanted.jobs.iter_mut().zip(&plan.submissions) {
            job.at_ms = *at_ms;
        }
        wanted
    }
}

impl Maker<'_> {
    async fn session(&mut self, index: usize) {
        let paper = self.open(&format!("session {index}")).await;
        let owed = self.dice.u128(1..=DEPOSIT);
        let tokens = self.dice.u64(1..100_000);
        let name = format!("settle/{index}");
        self.close(&name, &paper, owed, tokens);
        self.wanted.dues.push(Due { name, paper, amount: owed });
    }

    fn transfer(&mut self, index: usize) {
        let name = format!("transfer/{index}");
        let to = Address::from_word(keccak256(format!("{name} of run {}", self.plan.seed)));
        let wei = u128::try_from(index).expect("a few") + 1_000_000;
        let not_before = self.dice.bool().then(|| self.begun + self.dice.u64(0..4));
        let job = self.job(&name, to, U256::from(wei), Bytes::new());
        self.wanted.jobs.push(Job { not_before, ..job });
        self.wanted.gifts.push(Gift { name, to, wei });
    }

    async fn poison(&mut self, index: usize) {
        let name = format!("poison/{index}");
        let goal = if index.is_multiple_of(2) {
            let paper = self.open(&name).await;
            self.close(&name, &paper, DEPOSIT + 1, 1);
            Goal::Close(paper.id())
        } else {
            let to = self.chain.usdc;
            let job = self.job(&name, to, U256::from(1), Bytes::new());
            self.wanted.jobs.push(job);
            Goal::Pay(to)
        };
        self.wanted.poisons.push(Poison { name, goal });
    }

    async fn open(&self, what: &str) -> Paper {
        let paper = Paper {
            chain_id: self.plan.chain_id,
            marketplace: self.chain.contracts.job_marketplace,
            host: self.host.address(),
            renter: self.renter.clone(),
            token: Address::ZERO,
            deposit: DEPOSIT,
            expiry: self.begun + LIFE,
            model: crate::world::model().0,
            salt: keccak256(format!("{what} of run {}", self.plan.seed)),
            price: COIN_PRICE,
        };
        let open = calls::create_session_job(paper.marketplace, &terms(&paper));
        self.chain.send(&self.renter, &open).await;
        paper
    }

    fn close(&mut self, name: &str, paper: &Paper, owed: u128, tokens: u64) {
        let voucher = paper.voucher(owed, tokens, keccak256(format!("transcript of {name}")));
        let voucher: SignedVoucher = serde_json::from_value(voucher).expect("a voucher");
        let (market, terms) = (paper.marketplace, terms(paper));
        let call = calls::complete_session_job(market, &terms, Some(&voucher), amount(owed));
        let job = self.job(name, call.to, call.value, call.data);
        self.wanted.jobs.push(Job { repeat_safe: true, ..job });
    }

    fn job(&mut self, name: &str, to: Address, value: U256, data: Bytes) -> Job {
        let deadline = (self.dice.u32(0..4) == 0).then(|| self.begun + FAR_AHEAD);
        let (name, at_ms, repeat_safe, not_before) = (name.to_owned(), 0, false, None);
        Job { name, at_ms, to, value, data, repeat_safe, not_before, deadline }
    }
}

/// An amount of base units.
pub fn amount(units: u128) -> Amount {
    Amount::new(units).expect("an amount")
}
