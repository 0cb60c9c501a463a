//! What every [`LaneChain`] must do, as one check that any adapter's tests can run.
//!
//! The fake chain passes it here; an adapter on a real node passes it where that node is started.

use alloy_primitives::Bytes;
use async_trait::async_trait;
use capstan_base::{Address, B256, U256};

use crate::chain::{Call, ChainError, Estimate, Fees, HeadTag, LaneChain, SendOutcome};
use crate::signer::{LaneSigner, SignedTx, SignerError, TxFees, UnsignedTx};

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
    let before = chain.head(HeadTag::Included).await?;
    bench.mine().await;
    let after = chain.head(HeadTag::Included).await?;
    rule(
        before.is_some() && after.map(|head| head.number) > before.map(|head| head.number),
        "a mined block raises the head",
        (before, after),
    )?;
    if let Some(head) = after {
        let hash = chain.block_hash(head.number).await?;
        rule(hash.is_none() || hash == Some(head.hash), "the head is at its height", hash)?;
    }
    for tag in [HeadTag::Safe, HeadTag::Finalized] {
        let tagged = chain.head(tag).await?;
        let is_behind = tagged.map(|head| head.number) <= after.map(|head| head.number);
        rule(is_behind, "no tag is ahead of the head", tagged)?;
    }
    Ok(())
}

async fn what_is_not_there_is_none(bench: &dyn Bench) -> Result<(), Broken> {
    let chain = bench.chain();
    let hash = chain.block_hash(1 << 40).await?;
    rule(hash.is_none(), "a block of the future has no hash", hash)?;
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
    rule(receipt.is_some_and(|receipt| receipt.status), "it is mined", receipt)?;
    if let Some(receipt) = receipt {
        let hash = chain.block_hash(receipt.block_number).await?;
        rule(hash == Some(receipt.block_hash), "its block is in the chain", hash)?;
    }
    let next = chain.account_nonce(sender).await?;
    rule(Some(next) == nonce.checked_add(1), "the account's nonce is past it", next)?;
    let late = chain.send_raw(&signed.raw).await;
    let is_past = matches!(late, SendOutcome::AlreadyKnown | SendOutcome::NonceTooLow);
    rule(is_past, "mined bytes are known, or their nonce is too low", late)
}

async fn transfer(bench: &dyn Bench, nonce: u64) -> Result<SignedTx, Broken> {
    let (chain, sender) = (bench.chain(), bench.signer().address());
    let to = Address::repeat_byte(0x77);
    let (value, data) = (U256::from(1), Bytes::new());
    let call = Call { from: sender, to, value, data: data.clone() };
    let estimate = chain.estimate_gas(&call).await?;
    let Estimate::Gas { gas, .. } = estimate else {
        return Err(Broken::Rule {
            rule: "a transfer does not revert",
            found: format!("{estimate:?}"),
        });
    };
    let fees = match chain.suggest_fees().await? {
        Fees::Eip1559 { base, priority } => TxFees::Eip1559 {
            max_fee: base.saturating_mul(2).saturating_add(priority),
            priority_fee: priority,
        },
        Fees::Legacy { gas_price } => TxFees::Legacy { gas_price },
    };
    let chain_id = chain.chain_id();
    let tx = UnsignedTx { chain_id, nonce, gas_limit: gas, fees, to, value, data };
    Ok(bench.signer().sign(&tx).await?)
}

#[cfg(test)]
mod tests {
    use capstan_base::ChainId;

    use super::*;
    use crate::fake::{FakeChain, FakeSigner};

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
