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

/// Endpoints asked for a block at first; more only while they differ.
const HEAD_VOICES: usize = 2;

impl ChainClient {
    /// Time of the newest block: what contracts compare with.
    pub async fn head_time(&self) -> Result<UnixSeconds, ChainError> {
        Ok(self.head(BlockTag::Latest).await?.timestamp)
    }

    /// The block at a tag. `None` if the chain has none yet, as `safe` and `finalized` may be on a
    /// young chain, or if that number does not exist.
    ///
    /// The newest block is the newest that two endpoints have reached, and no later by its clock than
    /// what the other has; one that answers alone is believed near the agreed head. `safe` and
    /// `finalized` are as high as two endpoints say, or one if it is alone. A block by number is
    /// canonical as two endpoints say, as far as two have one.
    ///
    /// # Errors
    /// [`RpcError::Disagreement`] if endpoints have different blocks at the height, and no two the
    /// same one; or if the newest block of all that answer cannot be.
    pub async fn block(&self, at: BlockTag) -> Result<Option<BlockRef>, ChainError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let params = json!([tag(at), false]);
        let block = match at {
            BlockTag::Latest => {
                let clear = |heard: &[Option<RawBlock>]| newest(heard).is_some();
                let heard = self.pool.voices(METHOD, params, HEAD_VOICES, clear).await;
                heard.and_then(|heard| {
                    let found = newest(&heard).filter(|found| match found {
                        Some(block) => self.pool.is_plausible(block.number.to()),
                        None => true,
                    });
                    found.ok_or(RpcError::Disagreement { method: METHOD })
                })
            }
            BlockTag::Safe | BlockTag::Finalized => {
                let heard = self.pool.voices(METHOD, params, TAG_VOICES, |_| true).await;
                heard.map(second_highest)
            }
            BlockTag::Number(number) => {
                let right = |heard: &[Option<RawBlock>]| canonical(heard, number).is_some();
                let heard = self.pool.voices(METHOD, params, HEAD_VOICES, right).await;
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

/// The newest block that two have reached: another has the very same, or one that is higher and made
/// no earlier, so that neither height nor time are one endpoint's word. `None` if there is no such
/// block among several.
fn newest(heard: &[Option<RawBlock>]) -> Option<Option<RawBlock>> {
    let mut blocks: Vec<&RawBlock> = heard.iter().flatten().collect();
    blocks.sort_by_key(|block| core::cmp::Reverse(block.number));
    if blocks.len() < HEAD_VOICES {
        return Some(blocks.first().map(|block| (*block).clone()));
    }
    let confirms = |block: &RawBlock, other: &RawBlock| {
        let is_same = block.number == other.number && block.hash == other.hash;
        (is_same && block.timestamp == other.timestamp)
            || (block.number < other.number && block.timestamp <= other.timestamp)
    };
    let confirmed = blocks.iter().enumerate().find(|(place, block)| {
        let mut others = blocks.iter().enumerate().filter(|(other, _)| other != place);
        others.any(|(_, other)| confirms(block, other))
    });
    confirmed.map(|(_, block)| Some((*block).clone()))
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

    fn at(number: u64, hash: u8, timestamp: u64) -> Option<RawBlock> {
        let timestamp = alloy_primitives::U256::from(timestamp);
        block(number, hash).map(|block| RawBlock { timestamp, ..block })
    }

    #[test]
    fn the_newest_block_is_one_that_two_have_reached() {
        let seen = |heard: &[_]| newest(heard).map(|found| found.map(|block| block.number.to()));
        assert_eq!(seen(&[at(9, 1, 90), at(9, 1, 90)]), Some(Some(9_u64)));
        assert_eq!(seen(&[at(9, 1, 90), at(8, 2, 80)]), Some(Some(8)));
        assert_eq!(seen(&[at(1 << 40, 3, 1 << 40), at(9, 1, 90)]), Some(Some(9)), "far ahead");
        assert_eq!(seen(&[at(9, 1, 90), at(8, 2, 1 << 40)]), None, "later than what is higher");
        assert_eq!(seen(&[at(9, 1, 90), at(9, 1, 1 << 40)]), None, "one block has one time");
        assert_eq!(seen(&[at(9, 1, 90), at(9, 2, 90)]), None, "two blocks at one height");
        assert_eq!(seen(&[at(9, 1, 90), at(9, 2, 90), at(9, 2, 90)]), Some(Some(9)));
        assert_eq!(seen(&[at(20, 3, 0), at(9, 1, 90), at(8, 2, 80)]), Some(Some(8)));
        assert_eq!(seen(&[at(9, 1, 90), None]), Some(Some(9)));
        assert_eq!(seen(&[None]), Some(None));
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
