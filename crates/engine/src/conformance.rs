//! What every [`LaneChain`] must do, as one check that any adapter's tests can run.
//!
//! The fake chain passes it, and so does `capstan-chain`'s client on anvil.

use alloy_primitives::Bytes;
use async_trait::async_trait;
use capstan_base::{Address, B256, U256};
use capstan_chain::{
    BlockTag, Call, ChainError, SendOutcome, SignedTransaction, SignerError, TxFields,
};

use crate::chain::{Estimate, LaneChain};
use crate::signer::LaneSigner;

/// A chain to check, with an account on it that has money.
#[async_trait]
pub trait Bench: Sync {
    /// The adapter.
    fn chain(&self) -> &dyn LaneChain;
    /// The account.
    fn signer(&self) -> &dyn LaneSigner;
    /// Makes a block of everything that waits.
    async fn mine(&self);
}

/// A rule an adapter broke.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It said something that cannot be.
    #[error("{rule}: {found}")]
    Rule {
        /// What holds of every chain.
        rule: &'static str,
        /// What was found instead.
        found: String,
    },
    /// It did not answer.
    #[error("the chain did not answer")]
    Chain(#[from] ChainError),
    /// The account could not sign.
    #[error("the account could not sign")]
    Signer(#[from] SignerError),
}

/// Walks one transaction from estimate to receipt, and asks for what is not there.
pub async fn check(bench: &dyn Bench) -> Result<(), Broken> {
    heads_are_in_the_chain(bench).await?;
    what_is_not_there_is_none(bench).await?;
    a_transaction_goes_its_way(bench).await
}

fn rule(holds: bool, rule: &'static str, found: impl core::fmt::Debug) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::Rule { rule, found: format!("{found:?}") }) }
}

async fn heads_are_in_the_chain(bench: &dyn Bench) -> Result<(), Broken> {
    let chain = bench.chain();
    let before = chain.block(BlockTag::Latest).await?;
    bench.mine().await;
    let after = chain.block(BlockTag::Latest).await?;
    rule(
        before.is_some() && after.map(|head| head.number) > before.map(|head| head.number),
        "a mined block raises the head",
        (before, after),
    )?;
    if let Some(head) = after {
        let block = chain.block(BlockTag::Number(head.number)).await?;
        rule(
            block.is_none_or(|block| block.hash == head.hash),
            "the head is at its height",
            block,
        )?;
    }
    for tag in [BlockTag::Safe, BlockTag::Finalized] {
        let tagged = chain.block(tag).await?;
        let is_behind = tagged.map(|head| head.number) <= after.map(|head| head.number);
        rule(is_behind, "no tag is ahead of the head", tagged)?;
    }
    Ok(())
}

async fn what_is_not_there_is_none(bench: &dyn Bench) -> Result<(), Broken> {
    let chain = bench.chain();
    let block = chain.block(BlockTag::Number(1 << 40)).await?;
    rule(block.is_none(), "there is no block of the future", block)?;
    let receipt = chain.receipt(B256::repeat_byte(0x5a)).await?;
    rule(receipt.is_none(), "an unknown transaction has no receipt", receipt)?;
    let garbage = chain.send_raw(&Bytes::from_static(&[0xc0, 0xff, 0xee])).await;
    rule(
        matches!(garbage, SendOutcome::Rejected(_) | SendOutcome::Unknown(_)),
        "bytes that are no transaction are refused",
        garbage,
    )
}

async fn a_transaction_goes_its_way(bench: &dyn Bench) -> Result<(), Broken> {
    let (chain, sender) = (bench.chain(), bench.signer().address());
    let nonce = chain.account_nonce(sender).await?;
    let balance = chain.balance(sender).await?;
    rule(!balance.is_zero(), "the account has money", balance)?;
    let signed = transfer(bench, nonce).await?;
    let first = chain.send_raw(&signed.raw).await;
    rule(first == SendOutcome::Accepted, "a good transaction is accepted", first)?;
    let again = chain.send_raw(&signed.raw).await;
    let is_known = matches!(again, SendOutcome::AlreadyKnown | SendOutcome::NonceTooLow);
    rule(is_known, "the same bytes again are known, or mined", again)?;
    bench.mine().await;
    let receipt = chain.receipt(signed.hash).await?;
    rule(receipt.as_ref().is_some_and(|receipt| receipt.success), "it is mined", &receipt)?;
    if let Some(receipt) = receipt {
        let block = chain.block(BlockTag::Number(receipt.block_number)).await?;
        let is_there = block.is_some_and(|block| block.hash == receipt.block_hash);
        rule(is_there, "its block is in the chain", block)?;
    }
    what_was_mined_is_told_alike(bench, &signed, nonce).await?;
    let next = chain.account_nonce(sender).await?;
    rule(Some(next) == nonce.checked_add(1), "the account's nonce is past it", next)?;
    let late = chain.send_raw(&signed.raw).await;
    let is_past = matches!(late, SendOutcome::AlreadyKnown | SendOutcome::NonceTooLow);
    rule(is_past, "mined bytes are known, or their nonce is too low", late)
}

/// Asked for alone, among others, or by its nonce, a transaction is the same.
async fn what_was_mined_is_told_alike(
    bench: &dyn Bench,
    signed: &SignedTransaction,
    nonce: u64,
) -> Result<(), Broken> {
    let (chain, sender) = (bench.chain(), bench.signer().address());
    let Some(alone) = chain.receipt(signed.hash).await? else { return Ok(()) };
    let is_plausible = alone.tx_hash == signed.hash && alone.gas_used > 0;
    rule(is_plausible, "a receipt is of its transaction and tells its gas", &alone)?;
    let mut both = Vec::new();
    for found in chain.receipts(&[B256::repeat_byte(0x5a), signed.hash]).await {
        both.push(found?);
    }
    let is_same = matches!(both.as_slice(), [None, Some(found)] if found.agrees(&alone));
    rule(is_same, "receipts asked for together say what each says alone", &both)?;
    let head = chain.block(BlockTag::Latest).await?.map_or(0, |head| head.number);
    let used = chain.nonce_use(sender, nonce, alone.block_number, head).await?;
    let is_its = used
        .is_some_and(|used| (used.tx_hash, used.block.hash) == (alone.tx_hash, alone.block_hash));
    rule(is_its, "what used its nonce is the transaction, in the block of its receipt", used)
}

async fn transfer(bench: &dyn Bench, nonce: u64) -> Result<SignedTransaction, Broken> {
    let (chain, sender) = (bench.chain(), bench.signer().address());
    let (to, value) = (Address::repeat_byte(0x77), U256::from(1));
    let call = Call { to, value, data: Bytes::new() };
    let estimate = chain.estimate(sender, &call).await?;
    let Estimate::Gas { gas, .. } = estimate else {
        return Err(Broken::Rule {
            rule: "a transfer does not revert",
            found: format!("{estimate:?}"),
        });
    };
    let fees = chain.gas_price().await?.offer();
    let tx = TxFields::of_call(chain.chain_id(), nonce, &call, gas, fees);
    Ok(bench.signer().sign(&tx).await?)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use capstan_base::ChainId;
    use capstan_chain::{ChainClient, ChainRegistry, LocalSigner};
    use serde_json::json;

    use super::*;
    use crate::fake::{FakeChain, FakeSigner};

    /// First account of anvil's public mnemonic: worth nothing on any chain.
    const ANVIL_KEY: B256 =
        alloy_primitives::b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

    struct Fake(FakeChain, FakeSigner);

    #[async_trait]
    impl Bench for Fake {
        fn chain(&self) -> &dyn LaneChain {
            &self.0
        }

        fn signer(&self) -> &dyn LaneSigner {
            &self.1
        }

        async fn mine(&self) {
            self.0.model().mine();
        }
    }

    /// A chain that mines only when it is told to.
    struct Anvil {
        child: Child,
        client: ChainClient,
        signer: LocalSigner,
    }

    impl Anvil {
        fn start() -> Self {
            let tools = std::env::var("CAPSTAN_TOOLS").expect(
                "CAPSTAN_TOOLS names no folder with anvil: run `cargo xtask tools`, then `cargo xtask test`",
            );
            // What lies in the tools folder starts the binary and would leave it behind.
            let packages = std::fs::read_dir(format!("{tools}/../@foundry-rs")).into_iter();
            let binary = packages
                .flatten()
                .flatten()
                .map(|package| package.path().join("bin/anvil"))
                .find(|binary| binary.exists())
                .unwrap_or_else(|| format!("{tools}/anvil").into());
            let mut child = Command::new(binary)
                .args(["--port", "0", "--chain-id", "84532", "--no-mining"])
                .stdout(Stdio::piped())
                .spawn()
                .expect("anvil does not start: run `cargo xtask tools`");
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let address = lines
                .find_map(|line| line.unwrap().strip_prefix("Listening on ").map(str::to_owned))
                .expect("anvil ended before it listened");
            // The pipe has to be emptied, or anvil stops when it is full.
            std::thread::spawn(move || lines.for_each(drop));
            let registry = ChainRegistry::load(&toml::Table::new(), |name| {
                (name == "BASE_SEPOLIA_RPC_URL").then(|| format!("http://{address}"))
            });
            let config = registry.unwrap().known(ChainId(84532)).unwrap().clone();
            let signer = LocalSigner::from_bytes("anvil", ANVIL_KEY.as_slice()).unwrap();
            Self { child, client: ChainClient::connect(config), signer }
        }
    }

    impl Drop for Anvil {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[async_trait]
    impl Bench for Anvil {
        fn chain(&self) -> &dyn LaneChain {
            &self.client
        }

        fn signer(&self) -> &dyn LaneSigner {
            &self.signer
        }

        async fn mine(&self) {
            let _: String = self.client.pool().call("evm_mine", json!([])).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_client_conforms_on_anvil() {
        check(&Anvil::start()).await.unwrap();
    }

    fn fake() -> Fake {
        Fake(FakeChain::new(ChainId(84532)), FakeSigner(Address::repeat_byte(1)))
    }

    #[tokio::test]
    async fn the_fake_chain_conforms() {
        check(&fake()).await.unwrap();
        let legacy = fake();
        legacy.0.model().legacy = true;
        check(&legacy).await.unwrap();
    }

    #[tokio::test]
    async fn a_lying_chain_does_not() {
        let liar = fake();
        liar.0.faults().hide_receipts = 10;
        assert!(check(&liar).await.unwrap_err().to_string().starts_with("it is mined"));
        let liar = fake();
        liar.0.faults().wrong_hashes = 1;
        assert!(check(&liar).await.is_err());
    }
}
