//! A chain with contracts, a host and open sessions, and what is to be paid.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256, keccak256};
use capstan_chain::{BlockTag, Call, Fees, LocalSigner, TxFields, calls};
use serde_json::{Value, json};

use super::plan::Plan;
use super::wanted::{Due, Gift, Poison, Wanted, amount};
use crate::scene::terms;
use crate::settler::Job;
use crate::world::{BASE_SEPOLIA, Devnet, World};

/// What an outsider sends to, so that nobody takes its transactions for the engine's.
const OUTSIDERS_GOAL: Address = Address::repeat_byte(0xee);

/// Gas of what is sent past the engine: enough for any close.
const PAST_GAS: u64 = 200_000;

/// The stage.
pub struct Stage {
    world: World,
    /// The host, which is the engine's sender.
    pub host: LocalSigner,
    /// Sessions.
    pub dues: Vec<Due>,
    /// Transfers.
    pub gifts: Vec<Gift>,
    /// What cannot be done.
    pub poisons: Vec<Poison>,
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
        set_coins(&world.chains[0], &host, 1000).await;
        world.chains[0].register(&world.owner, &host).await;
        if plan.delegated {
            world.chains[0].delegate(&world.owner, &host).await;
        }
        let Wanted { dues, gifts, poisons, jobs } = Wanted::of(plan, &world.chains[0], &host).await;
        let mut stage = Self { world, host, dues, gifts, poisons, jobs, height: 0 };
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

    /// Gives the sender this many coins.
    pub async fn set_coins(&self, coins: u64) {
        set_coins(self.chain(), &self.host, coins).await;
    }

    /// Another program with the sender's key pays somebody.
    pub async fn outsider(&self) {
        let call = Call { to: OUTSIDERS_GOAL, value: U256::from(1), data: Default::default() };
        self.send_past(&self.host, &call).await;
    }

    /// Another program with the sender's key closes a session, for what the voucher says.
    pub async fn close_by_another_program(&self, pick: usize) {
        let Some(due) = self.due(pick) else { return };
        let job = self.jobs.iter().find(|job| job.name == due.name).expect("every due has a job");
        let call = Call { to: job.to, value: job.value, data: job.data.clone() };
        self.send_past(&self.host, &call).await;
    }

    /// The renter acknowledges what it owes and asks for a close.
    pub async fn ask_for_close(&self, pick: usize) {
        let Some(due) = self.due(pick) else { return };
        let (paper, owed) = (&due.paper, amount(due.amount));
        let call = calls::request_session_close(paper.marketplace, &terms(paper), owed);
        self.send_past(&paper.renter, &call).await;
    }

    /// A stranger finishes a close that was asked for, once its time is over.
    pub async fn close_by_a_stranger(&self, pick: usize) {
        let Some(due) = self.due(pick) else { return };
        let call = calls::finalize_session(due.paper.marketplace, &terms(&due.paper));
        self.send_past(&self.world.owner, &call).await;
    }

    fn due(&self, pick: usize) -> Option<&Due> {
        self.dues.get(pick.checked_rem(self.dues.len())?)
    }

    /// Sends past the engine, at the account's next nonce. What becomes of it nobody waits for.
    async fn send_past(&self, account: &LocalSigner, call: &Call) {
        let client = self.chain().client();
        let Ok(nonce) = client.account_nonce(account.address(), BlockTag::Latest).await else {
            return;
        };
        // More than the engine pays, or the pool would refuse it.
        let fee = 2_000 * 10_u128.pow(9);
        let fees = Fees::Eip1559 { max_fee: fee, priority_fee: fee / 10 };
        let fields = TxFields::of_call(client.chain_id(), nonce, call, PAST_GAS, fees);
        let signed = account.sign_transaction(&fields).expect("a signature");
        let _refused = client.send_raw(&signed.raw).await;
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

async fn set_coins(chain: &Devnet, account: &LocalSigner, coins: u64) {
    let wei = U256::from(coins) * U256::from(10_u128.pow(18));
    chain.anvil.rpc("anvil_setBalance", json!([account.address(), wei])).await;
}

/// A hex quantity of an answer.
pub fn number(value: &Value) -> u64 {
    let digits = value.as_str().expect("a hex number").trim_start_matches("0x");
    u64::from_str_radix(digits, 16).expect("at most 64 bits")
}
