//! Blocks: the head, the chain's own tags, and which block is canonical.

use alloy_primitives::U64;
use capstan_base::{B256, UnixSeconds};
use serde_json::json;

use crate::client::ChainClient;
use crate::client::raw::RawBlock;
use crate::client::state::tag;
use crate::error::{ChainError, RpcError};
use crate::types::{BlockRef, BlockTag};

/// Endpoints asked for what is safe or final, where there are as many: one that says too much, and
/// one that stands still, are both outvoted then.
const TAG_VOICES: usize = 3;

impl ChainClient {
    /// Time of the newest block: what contracts compare with.
    pub async fn head_time(&self) -> Result<UnixSeconds, ChainError> {
        Ok(self.head(BlockTag::Latest).await?.timestamp)
    }

    /// The block at a tag. `None` if the chain has none yet, as `safe` and `finalized` may be on a
    /// young chain, or if that number does not exist.
    ///
    /// The newest block is what the freshest endpoint says. `safe` and `finalized` are as high as
    /// two endpoints say, or one if it is alone. A block by number is canonical as two endpoints
    /// say, as far as two have one.
    ///
    /// # Errors
    /// [`RpcError::Disagreement`] if endpoints have different blocks at the height, and no two the
    /// same one.
    pub async fn block(&self, at: BlockTag) -> Result<Option<BlockRef>, ChainError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let params = json!([tag(at), false]);
        let block = match at {
            BlockTag::Latest => self.pool.call(METHOD, params).await,
            BlockTag::Safe | BlockTag::Finalized => {
                let enough = |heard: &[Option<RawBlock>]| heard.len() >= TAG_VOICES;
                self.pool.voices(METHOD, params, enough).await.map(second_highest)
            }
            BlockTag::Number(number) => {
                let right = |heard: &[Option<RawBlock>]| canonical(heard, number).is_some();
                let heard = self.pool.voices(METHOD, params, right).await;
                heard.and_then(|heard| {
                    canonical(&heard, number).ok_or(RpcError::Disagreement { method: METHOD })
                })
            }
        };
        let block: Option<RawBlock> =
            block.map_err(|error| self.failed("reading a block", error))?;
        Ok(block.map(Into::into))
    }

    /// The block at a tag, which has to exist.
    pub async fn head(&self, at: BlockTag) -> Result<BlockRef, ChainError> {
        let block = self.block(at).await?;
        block.ok_or_else(|| self.inconsistent("reading the head", "there is no such block"))
    }

    /// Hash of the canonical block of this height; `None` above the head. Compared with a receipt's
    /// block hash it tells whether the receipt still counts.
    pub async fn block_hash(&self, number: u64) -> Result<Option<B256>, ChainError> {
        Ok(self.block(BlockTag::Number(number)).await?.map(|block| block.hash))
    }
}

/// The second highest of several, else the only one there is: none counts as lower than any.
fn second_highest(mut blocks: Vec<Option<RawBlock>>) -> Option<RawBlock> {
    blocks.sort_by_key(|block| core::cmp::Reverse(block.as_ref().map(|block| block.number)));
    blocks.into_iter().take(2).next_back().flatten()
}

/// The block at a height, by what endpoints say of it: one that has a block there knows more than
/// one that has none, and of different blocks the one that two have counts. `None` if nobody can
/// tell. A block of another height is none.
fn canonical(heard: &[Option<RawBlock>], number: u64) -> Option<Option<RawBlock>> {
    let right = |block: &&RawBlock| block.number == U64::from(number);
    let blocks: Vec<_> = heard.iter().flatten().filter(right).collect();
    let votes = |hash: B256| blocks.iter().filter(|block| block.hash == hash).count();
    let Some(first) = blocks.first() else { return Some(None) };
    if votes(first.hash) == blocks.len() {
        return Some(Some((*first).clone()));
    }
    let agreed = blocks.iter().find(|block| votes(block.hash) >= 2);
    agreed.map(|block| Some((*block).clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64, hash: u8) -> Option<RawBlock> {
        let hash = B256::repeat_byte(hash);
        let block = json!({ "number": U64::from(number), "hash": hash, "timestamp": "0x1" });
        Some(serde_json::from_value(block).unwrap())
    }

    #[test]
    fn a_block_is_canonical_as_two_say_and_one_knows_more_than_none() {
        let hash = |heard: &[_]| canonical(heard, 7).map(|found| found.map(|block| block.hash));
        let (a, b) = (Some(Some(B256::repeat_byte(1))), Some(Some(B256::repeat_byte(2))));
        assert_eq!(hash(&[block(7, 1)]), a);
        assert_eq!(hash(&[block(7, 1), block(7, 1)]), a);
        assert_eq!(hash(&[block(7, 1), None]), a);
        assert_eq!(hash(&[block(7, 1), block(7, 2)]), None);
        assert_eq!(hash(&[block(7, 1), block(7, 2), block(7, 2)]), b);
        assert_eq!(hash(&[block(7, 1), block(7, 2), block(7, 3)]), None);
        assert_eq!(hash(&[None, None]), Some(None));
        assert_eq!(hash(&[block(8, 1)]), Some(None), "another height");
    }

    #[test]
    fn a_tag_is_as_high_as_two_say() {
        let number = |heard: &[_]| second_highest(heard.to_vec()).map(|block| block.number.to());
        assert_eq!(number(&[block(9, 1), block(700, 1), block(8, 1)]), Some(9_u64));
        assert_eq!(number(&[block(9, 1), block(1, 1), block(8, 1)]), Some(8));
        assert_eq!(number(&[block(9, 1), block(8, 1)]), Some(8));
        assert_eq!(number(&[block(9, 1), None]), None);
        assert_eq!(number(&[block(9, 1)]), Some(9));
        assert_eq!(number(&[]), None);
    }
}
