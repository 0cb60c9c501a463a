//! Nonces: how far an account is, and which transaction used one.

use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::U64;
use capstan_base::{Address, B256};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::ChainClient;
use crate::client::raw::RawBlock;
use crate::client::state::tag;
use crate::error::{ChainError, RpcError};
use crate::rpc::Found;
use crate::types::{BlockTag, NonceUse};

const COUNTING: &str = "reading a nonce";
const SEARCHING: &str = "searching for the use of a nonce";

/// Endpoints asked for a nonce, where there are as many.
const COUNT_VOICES: usize = 3;

/// Whole blocks that are read where the state of the past is not kept: the state of about a hundred
/// blocks always is, and a block of a busy chain has megabytes.
const SCAN: u64 = 256;

/// The block that made a nonce used, as far as old states tell.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It was used in this block; if that is the first of the range, in it or before.
    In(u64),
    /// It was used in this block or an earlier one: what was before is not kept.
    UpTo(u64),
}

impl ChainClient {
    /// Transactions of the account that are in blocks up to the tag: the next nonce to be mined. As
    /// high as two endpoints in step say: too low a nonce delays, too high a one would leave a gap,
    /// and of three, one that stands still and one that says too much are both outvoted.
    pub async fn account_nonce(&self, account: Address, at: BlockTag) -> Result<u64, ChainError> {
        let mut nonces = self.counts(account, at).await?;
        nonces.sort_unstable_by(|a, b| b.cmp(a));
        let second = nonces.into_iter().take(2).next_back();
        second.ok_or_else(|| self.inconsistent(COUNTING, "there is no answer"))
    }

    /// The mined transaction that used a nonce of the account, searched in a range of blocks, both
    /// ends included: its own, or one that carried its EIP-7702 authorization. `None` if the nonce
    /// was not used in the range. Both are what two endpoints say: the same transaction in the same
    /// block, or that the block has none, as with [`ChainClient::receipts`].
    ///
    /// # Errors
    /// [`ChainError::is_retryable`] where endpoints differ.
    /// [`ChainError::HistoryUnavailable`] if endpoints have forgotten the state of the range and
    /// it is too long to be read block by block.
    pub async fn nonce_use(
        &self,
        account: Address,
        nonce: u64,
        from_block: u64,
        to_block: u64,
    ) -> Result<Option<NonceUse>, ChainError> {
        let last = self.head(BlockTag::Latest).await?.number.min(to_block);
        if from_block > last {
            return Ok(None);
        }
        let used = match self.counts(account, BlockTag::Number(last)).await {
            Ok(counts) => counts.into_iter().any(|count| count > nonce),
            Err(error) if is_refusal(&error) => {
                return self.scan(account, nonce, from_block, last).await;
            }
            Err(error) => return Err(error),
        };
        if !used {
            return Ok(None);
        }
        match self.step(account, nonce, from_block, last).await? {
            Step::UpTo(block) => self.scan(account, nonce, from_block, block).await,
            Step::In(block) => {
                let found = self.use_in(account, nonce, block).await?;
                // Only in the first block may it be missing: then it was used before.
                if found.is_none() && block > from_block {
                    let detail = format!(
                        "nonce {nonce} of {account} is used in block {block}, which does not show it"
                    );
                    return Err(self.inconsistent(SEARCHING, detail));
                }
                Ok(found)
            }
        }
    }

    async fn counts(&self, account: Address, at: BlockTag) -> Result<Vec<u64>, ChainError> {
        let params = json!([account, tag(at)]);
        let counts = self
            .pool
            .voices::<U64>("eth_getTransactionCount", params, COUNT_VOICES, |_| true)
            .await;
        let counts = counts.map_err(|error| self.failed(COUNTING, error))?;
        Ok(counts.into_iter().map(|count| count.to()).collect())
    }

    /// Steps back from `last`, at which the nonce is used, twice as far each time, then halves what
    /// is left: the use is likelier to be recent, and recent state is likelier to be kept.
    async fn step(
        &self,
        account: Address,
        nonce: u64,
        from: u64,
        last: u64,
    ) -> Result<Step, ChainError> {
        let (mut used, mut unused, mut stride) = (last, None, 1_u64);
        loop {
            let probe = match unused {
                None if used <= from => return Ok(Step::In(used)),
                None => used.saturating_sub(stride).max(from),
                Some(unused) => {
                    let distance = used.saturating_sub(unused);
                    if distance <= 1 {
                        return Ok(Step::In(used));
                    }
                    used.saturating_sub(distance / 2)
                }
            };
            let count: Result<U64, RpcError> =
                self.pool.call("eth_getTransactionCount", json!([account, U64::from(probe)])).await;
            match count {
                Ok(count) if count.to::<u64>() > nonce => used = probe,
                Ok(_) => unused = Some(probe),
                Err(RpcError::Refused { .. }) => return Ok(Step::UpTo(used)),
                Err(error) => return Err(self.failed(SEARCHING, error)),
            }
            stride = stride.saturating_mul(2);
        }
    }

    /// Reads whole blocks from the newest backwards.
    async fn scan(
        &self,
        account: Address,
        nonce: u64,
        from: u64,
        last: u64,
    ) -> Result<Option<NonceUse>, ChainError> {
        let oldest = last.saturating_sub(SCAN.saturating_sub(1)).max(from);
        for block in (oldest..=last).rev() {
            if let Some(found) = self.use_in(account, nonce, block).await? {
                return Ok(Some(found));
            }
        }
        if oldest == from {
            return Ok(None);
        }
        let chain = self.config.chain_id;
        Err(ChainError::HistoryUnavailable { chain, operation: SEARCHING, oldest })
    }

    async fn use_in(
        &self,
        account: Address,
        nonce: u64,
        block: u64,
    ) -> Result<Option<NonceUse>, ChainError> {
        let chain = self.config.chain_id.0;
        let read = |_, found: FullBlock| {
            if found.header.number != U64::from(block) {
                return Err("block is of another height");
            }
            let tx_hash = found.user_of(chain, account, nonce);
            Ok(tx_hash.map(|tx_hash| NonceUse { tx_hash, block: found.header.into() }))
        };
        let params = vec![json!([U64::from(block), true])];
        let found =
            self.pool.find_many("eth_getBlockByNumber", params, read, NonceUse::agrees).await.pop();
        let found = found.unwrap_or(Err(RpcError::NoEndpoint));
        found.map(Found::into_option).map_err(|error| self.failed(SEARCHING, error))
    }
}

fn is_refusal(error: &ChainError) -> bool {
    matches!(error, ChainError::Rpc { source: RpcError::Refused { .. }, .. })
}

#[derive(Deserialize)]
struct FullBlock {
    #[serde(flatten)]
    header: RawBlock,
    transactions: Vec<Transaction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    hash: B256,
    from: Address,
    nonce: U64,
    /// EIP-7702. As it stands: what cannot be read is no authorization of ours.
    #[serde(default)]
    authorization_list: Vec<Value>,
}

impl FullBlock {
    /// The account's own transaction of that nonce, or else the one that carried its authorization.
    fn user_of(&self, chain: u64, account: Address, nonce: u64) -> Option<B256> {
        let is_own = |tx: &&Transaction| tx.from == account && tx.nonce == U64::from(nonce);
        let carries = |tx: &&Transaction| {
            let signed = tx.authorization_list.iter().cloned();
            signed.filter_map(|entry| serde_json::from_value(entry).ok()).any(
                |signed: SignedAuthorization| {
                    let is_of_chain = signed.chain_id.is_zero() || signed.chain_id == chain;
                    is_of_chain
                        && signed.nonce == nonce
                        && signed.recover_authority().is_ok_and(|authority| authority == account)
                },
            )
        };
        let mut all = self.transactions.iter();
        let user = all.clone().find(is_own).or_else(|| all.find(carries))?;
        Some(user.hash)
    }
}
