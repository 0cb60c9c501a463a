//! A chain, a host, and sessions that wait for their end.

use std::sync::Arc;

use alloy_primitives::{U256, keccak256};
use capstan_base::{Amount, ChainId, SignedVoucher};
use capstan_chain::{
    BlockTag, Call, ChainClient, ChainConfig, Fees, LocalSigner, SignedTransaction, TxFields, calls,
};
use serde_json::json;

use crate::paper::Paper;
use crate::scene::{COIN_PRICE, DEPOSIT, terms};
use crate::world::{BASE_SEPOLIA, Devnet, World, model};

/// Gas a block takes: more than all openings together, so that the chain is not what is measured.
const BLOCK_GAS: u64 = 4_000_000_000;

/// Wei per gas of what the bench sends itself.
const FEES: Fees = Fees::Eip1559 { max_fee: 20_000_000_000, priority_fee: 1_000_000_000 };

/// Gas limit of what the bench sends itself: enough for a close, or for an opening.
pub(super) const GAS: u64 = 200_000;

/// Transactions handed over at once while the stage is set.
const AT_ONCE: usize = 32;

/// Chain, host and sessions.
pub struct Stage {
    world: World,
    /// The host, who settles.
    pub host: Arc<LocalSigner>,
    calls: std::vec::IntoIter<Call>,
}

impl Stage {
    /// Opens `sessions` sessions, and then lets the chain make a block each second.
    pub async fn set(sessions: usize) -> Self {
        let world = World::with_chains(&[(BASE_SEPOLIA, "base-sepolia")]).await;
        let chain = &world.chains[0];
        let (host, renter) = (LocalSigner::random(), LocalSigner::random());
        chain.fund(&host, 100_000).await;
        chain.fund(&renter, 100_000).await;
        chain.anvil.rpc("evm_setBlockGasLimit", json!([U256::from(BLOCK_GAS)])).await;
        chain.register(&world.owner, &host).await;
        let closes = open(chain, &host, &renter, sessions).await;
        chain.anvil.rpc("evm_setIntervalMining", json!([1])).await;
        Self { world, host: Arc::new(host), calls: closes.into_iter() }
    }

    /// Closes of sessions that nobody has closed yet.
    pub fn take(&mut self, count: usize) -> Vec<Call> {
        let calls: Vec<Call> = self.calls.by_ref().take(count).collect();
        assert_eq!(calls.len(), count, "the stage has no more sessions");
        calls
    }

    /// The chain.
    pub fn chain(&self) -> &Devnet {
        &self.world.chains[0]
    }

    /// Where files of the bench may lie.
    pub fn folder(&self) -> &std::path::Path {
        self.world.dir.path()
    }

    /// The host's nonce in blocks.
    pub async fn nonce(&self) -> u64 {
        let client = self.chain().client();
        let nonce = client.account_nonce(self.host.address(), BlockTag::Latest).await;
        nonce.expect("a nonce")
    }
}

async fn open(
    chain: &Devnet,
    host: &LocalSigner,
    renter: &LocalSigner,
    sessions: usize,
) -> Vec<Call> {
    let client = chain.client();
    let head = client.head(BlockTag::Latest).await.expect("a head");
    let expiry = head.timestamp.get() + 86_400;
    let paper = |index: usize| Paper {
        chain_id: chain.anvil.chain_id,
        marketplace: chain.contracts.job_marketplace,
        host: host.address(),
        renter: renter.clone(),
        token: capstan_base::Address::ZERO,
        deposit: DEPOSIT,
        expiry,
        model: model().0,
        salt: keccak256(format!("session {index}")),
        price: COIN_PRICE,
    };
    let papers: Vec<Paper> = (0..sessions).map(paper).collect();
    let openings =
        papers.iter().map(|paper| calls::create_session_job(paper.marketplace, &terms(paper)));
    chain.anvil.rpc("evm_setAutomine", json!([false])).await;
    let first = client.account_nonce(renter.address(), BlockTag::Latest).await.expect("a nonce");
    let signed: Vec<_> =
        (first..).zip(openings).map(|(nonce, call)| sign(renter, nonce, &call)).collect();
    send_all(client, signed).await;
    while client.account_nonce(renter.address(), BlockTag::Latest).await.expect("a nonce")
        < first + u64::try_from(sessions).expect("a few")
    {
        chain.anvil.rpc("evm_mine", json!([])).await;
    }
    papers.iter().map(close).collect()
}

fn close(paper: &Paper) -> Call {
    let owed = DEPOSIT / 2;
    let voucher = paper.voucher(owed, 1_000, keccak256(b"transcript"));
    let voucher: SignedVoucher = serde_json::from_value(voucher).expect("a voucher");
    let claim = Amount::new(owed).expect("an amount");
    calls::complete_session_job(paper.marketplace, &terms(paper), Some(&voucher), claim)
}

/// Signs a call with fees that are always enough here.
pub(super) fn sign(signer: &LocalSigner, nonce: u64, call: &Call) -> SignedTransaction {
    let fields = TxFields::of_call(ChainId(BASE_SEPOLIA), nonce, call, GAS, FEES);
    signer.sign_transaction(&fields).expect("a signature")
}

/// Hands everything over, so many at once, in about this order.
pub(super) async fn send_all(client: &ChainClient, signed: Vec<SignedTransaction>) {
    use futures_util::StreamExt as _;
    futures_util::stream::iter(signed)
        .map(async |signed| client.send_raw(&signed.raw).await)
        .buffered(AT_ONCE)
        .for_each(async |outcome| assert!(outcome.is_delivered(), "{outcome:?}"))
        .await;
}

/// One chain's configuration, final at once: what is measured is sending and inclusion.
pub(super) fn config(chain: &Devnet) -> ChainConfig {
    ChainConfig {
        finality: capstan_chain::Finality::Latest,
        block_time: std::time::Duration::from_secs(1),
        contracts: Some(chain.contracts.clone()),
        ..chain.client().config().clone()
    }
}
