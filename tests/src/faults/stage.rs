//! A chain with contracts, a host and open sessions, and what is to be paid.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256, keccak256};
use capstan_base::{Amount, SignedVoucher};
use capstan_chain::{LocalSigner, calls};
use serde_json::{Value, json};

use super::plan::Plan;
use crate::paper::Paper;
use crate::scene::{COIN_PRICE, DEPOSIT, terms};
use crate::settler::Job;
use crate::world::{BASE_SEPOLIA, Devnet, World};

/// Days a session lasts: longer than all jumps of the chain's clock, within what the contract takes.
const DAYS: u64 = 25;

/// What an outsider sends to, so that nobody takes its transactions for the engine's.
const OUTSIDERS_GOAL: Address = Address::repeat_byte(0xee);

/// A session that is to be closed.
pub struct Due {
    /// Name of its job.
    pub name: String,
    /// Session id.
    pub session: B256,
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

/// The stage.
pub struct Stage {
    world: World,
    /// The host, which is the engine's sender.
    pub host: LocalSigner,
    /// Sessions.
    pub dues: Vec<Due>,
    /// Transfers.
    pub gifts: Vec<Gift>,
    /// Everything as jobs.
    pub jobs: Vec<Job>,
    /// Height when it was set.
    pub height: u64,
}

impl Stage {
    /// Sets it as the plan says.
    pub async fn set(plan: &Plan) -> Self {
        let name = if plan.chain_id == BASE_SEPOLIA { "base-sepolia" } else { "opbnb-testnet" };
        let world = World::with_chains(&[(plan.chain_id, name)]).await;
        let key = keccak256(format!("host of run {}", plan.seed));
        let host = LocalSigner::from_bytes("run", key.as_slice()).expect("a key");
        let mut stage =
            Self { world, host, dues: Vec::new(), gifts: Vec::new(), jobs: Vec::new(), height: 0 };
        stage.register().await;
        stage.open(plan).await;
        stage.close_later(plan);
        if plan.delegated {
            // Any contract will do: transfers to it are not what is tested.
            let code = format!("0xef0100{}", hex(&stage.chain().usdc));
            stage.rpc("anvil_setCode", json!([stage.host.address(), code])).await;
        }
        // No reorg may reach the openings.
        let blocks = U256::from(plan.finality_depth * 2 + 8);
        stage.rpc("anvil_mine", json!([blocks])).await;
        stage.rpc("evm_setAutomine", json!([false])).await;
        stage.height = stage.head().await;
        stage
    }

    /// The chain.
    pub fn chain(&self) -> &Devnet {
        &self.world.chains[0]
    }

    /// Folder of this run; removed with the stage.
    pub fn folder(&self) -> &std::path::Path {
        self.world.dir.path()
    }

    /// One call to the node itself.
    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        self.chain().anvil.rpc(method, params).await
    }

    /// Height of the newest block.
    pub async fn head(&self) -> u64 {
        number(&self.rpc("eth_blockNumber", json!([])).await)
    }

    /// Time of the newest block.
    async fn time(&self) -> u64 {
        number(&self.rpc("eth_getBlockByNumber", json!(["latest", false])).await["timestamp"])
    }

    /// Gives the sender this many coins.
    pub async fn set_coins(&self, coins: u64) {
        let wei = U256::from(coins) * U256::from(10_u128.pow(18));
        self.rpc("anvil_setBalance", json!([self.host.address(), wei])).await;
    }

    /// Sends a transaction with the sender's key past the engine, at the account's next nonce.
    pub async fn outsider(&self) {
        let client = self.chain().client();
        let at = capstan_chain::BlockTag::Latest;
        let Ok(nonce) = client.account_nonce(self.host.address(), at).await else { return };
        let call = capstan_chain::Call {
            to: OUTSIDERS_GOAL,
            value: U256::from(1),
            data: Default::default(),
        };
        // More than the engine pays, or the pool would refuse it.
        let fee = 2_000 * 10_u128.pow(9);
        let fees = capstan_chain::Fees::Eip1559 { max_fee: fee, priority_fee: fee / 10 };
        let fields =
            capstan_chain::TxFields::of_call(client.chain_id(), nonce, &call, 60_000, fees);
        let signed = self.host.sign_transaction(&fields).expect("a signature");
        let _refused = client.send_raw(&signed.raw).await;
    }

    async fn register(&self) {
        self.set_coins(1000).await;
        self.chain().register(&self.world.owner, &self.host).await;
    }

    async fn open(&mut self, plan: &Plan) {
        let mut dice = fastrand::Rng::with_seed(plan.seed ^ 0x5e55);
        let chain = self.chain();
        let key = keccak256(format!("renter of run {}", plan.seed));
        let renter = LocalSigner::from_bytes("run", key.as_slice()).expect("a key");
        chain.fund(&renter, 10).await;
        let expiry = self.time().await + DAYS * 86_400;
        let (mut dues, mut jobs) = (Vec::new(), Vec::new());
        for index in 0..plan.sessions {
            let paper = Paper {
                chain_id: plan.chain_id,
                marketplace: chain.contracts.job_marketplace,
                host: self.host.address(),
                renter: renter.clone(),
                token: Address::ZERO,
                deposit: DEPOSIT,
                expiry,
                model: crate::world::model().0,
                salt: keccak256(format!("session {index} of run {}", plan.seed)),
                price: COIN_PRICE,
            };
            let open = calls::create_session_job(paper.marketplace, &terms(&paper));
            chain.send(&renter, &open).await;
            let owed = dice.u128(1..=DEPOSIT);
            let root = keccak256(format!("transcript {index}"));
            let voucher = paper.voucher(owed, dice.u64(1..100_000), root);
            let voucher: SignedVoucher = serde_json::from_value(voucher).expect("a voucher");
            let call = calls::complete_session_job(
                paper.marketplace,
                &terms(&paper),
                Some(&voucher),
                amount(owed),
            );
            let name = format!("settle/{index}");
            jobs.push(Job {
                name: name.clone(),
                at_ms: 0,
                to: call.to,
                value: call.value,
                data: call.data,
                repeat_safe: true,
                not_before: None,
            });
            dues.push(Due { name, session: paper.id(), amount: owed });
        }
        self.dues = dues;
        self.jobs = jobs;
        let begun = self.time().await;
        for index in 0..plan.transfers {
            let name = format!("transfer/{index}");
            let word = keccak256(format!("{name} of run {}", plan.seed));
            let to = Address::from_word(word);
            let wei = u128::try_from(index).expect("a few") + 1_000_000;
            let not_before = dice.bool().then(|| begun + dice.u64(0..4));
            let (value, data) = (U256::from(wei), Default::default());
            self.jobs.push(Job {
                name: name.clone(),
                at_ms: 0,
                to,
                value,
                data,
                repeat_safe: false,
                not_before,
            });
            self.gifts.push(Gift { name, to, wei });
        }
    }

    /// Mixes the jobs and gives each its time.
    fn close_later(&mut self, plan: &Plan) {
        fastrand::Rng::with_seed(plan.seed ^ 0x0dde).shuffle(&mut self.jobs);
        for (job, at_ms) in self.jobs.iter_mut().zip(&plan.submissions) {
            job.at_ms = *at_ms;
        }
    }

    /// The sender's key, for the settler's set-up.
    pub fn key(&self) -> B256 {
        B256::from(*self.host.to_bytes())
    }

    /// Names of all jobs.
    pub fn names(&self) -> BTreeSet<String> {
        self.jobs.iter().map(|job| job.name.clone()).collect()
    }
}

fn amount(units: u128) -> Amount {
    Amount::new(units).expect("an amount")
}

fn hex(address: &Address) -> String {
    address.to_string().trim_start_matches("0x").to_lowercase()
}

/// A hex quantity of an answer.
pub fn number(value: &Value) -> u64 {
    let digits = value.as_str().expect("a hex number").trim_start_matches("0x");
    u64::from_str_radix(digits, 16).expect("at most 64 bits")
}
