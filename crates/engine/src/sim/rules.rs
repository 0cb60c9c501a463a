//! Whom a process believes, by the rules of the real pool of endpoints.
//!
//! Of what is there, what it says, and what is not there, two endpoints have to say the same; one
//! alone is believed of what it shows if no other is in step. Nonces and the head are as high as two
//! say; a block whose hash is disputed needs a second voice. The same rules stand in `capstan-chain`
//! (`rpc/select.rs` and `rpc/pool/`), tied to requests and deadlines there. An endpoint that errs here
//! is silent for a moment only: nobody is believed instead of it.

use std::collections::BTreeMap;

use capstan_base::{Address, B256};
use capstan_chain::{BlockRef, BlockTag, Call};

use super::net::Net;
use crate::chain::Estimate;

/// The first answer of those with a voice.
pub(super) fn first<T>(
    net: &mut Net,
    mut ask: impl FnMut(&mut Net, usize) -> Option<T>,
) -> Option<T> {
    net.in_step().into_iter().find_map(|index| ask(net, index))
}

/// What most say, if it is said by two or disputed by nobody.
fn agreed(blocks: &[BlockRef]) -> Option<BlockRef> {
    let mut votes: BTreeMap<B256, usize> = BTreeMap::new();
    for block in blocks {
        let count = votes.entry(block.hash).or_default();
        *count = count.saturating_add(1);
    }
    let most = votes.values().copied().max()?;
    let leaders = votes.values().filter(|count| **count == most).count();
    let is_clear = leaders == 1 && (most > 1 || votes.len() == 1);
    let wins = |block: &&BlockRef| votes.get(&block.hash) == Some(&most);
    blocks.iter().find(wins).filter(|_| is_clear).copied()
}

/// The newest block that two have reached: the very same, or one below another that is no older.
fn newest(heads: &[BlockRef]) -> Option<BlockRef> {
    let mut heads = heads.to_vec();
    heads.sort_by_key(|head| core::cmp::Reverse(head.number));
    if let [only] = heads.as_slice() {
        return Some(*only);
    }
    let confirms = |head: &BlockRef, other: &BlockRef| {
        let is_same = (head.number, head.hash) == (other.number, other.hash);
        (is_same && head.timestamp == other.timestamp)
            || (head.number < other.number && head.timestamp <= other.timestamp)
    };
    let confirmed = heads.iter().enumerate().find(|(place, head)| {
        let mut others = heads.iter().enumerate().filter(|(other, _)| other != place);
        others.any(|(_, other)| confirms(head, other))
    });
    confirmed.map(|(_, head)| *head)
}

fn find_head(net: &mut Net) -> Option<BlockRef> {
    let mut heads = Vec::new();
    for index in net.in_step() {
        heads.extend(net.block(index, BlockTag::Latest).flatten());
        if heads.len() > 1
            && let Some(head) = newest(&heads)
        {
            return Some(head);
        }
    }
    newest(&heads)
}

pub(super) fn find_block(net: &mut Net, tag: BlockTag) -> Option<Option<BlockRef>> {
    if tag == BlockTag::Latest {
        return find_head(net).map(Some);
    }
    let order = net.in_step();
    let answers: Vec<Option<BlockRef>> =
        order.into_iter().filter_map(|index| net.block(index, tag)).collect();
    if answers.is_empty() {
        return None;
    }
    let shown: Vec<BlockRef> = answers.into_iter().flatten().collect();
    if shown.is_empty() {
        return Some(None);
    }
    if matches!(tag, BlockTag::Number(_)) {
        return agreed(&shown).map(Some);
    }
    // The lowest of what is called final is final.
    Some(shown.into_iter().min_by_key(|block| block.number))
}

/// What an answer is about: something that names its block, or the newest state of who is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Past,
    State,
}

/// What two endpoints say alike. `ask` gives what one shows, or that it has none; the outer `None` is
/// no answer, there as here.
pub(super) fn by_two<T>(
    net: &mut Net,
    about: About,
    mut ask: impl FnMut(&mut Net, usize) -> Option<Option<T>>,
    alike: impl Fn(&T, &T) -> bool,
) -> Option<Option<T>> {
    let voices = net.in_step();
    let (mut shown, mut absent, mut speaker) = (Vec::new(), 0_usize, None);
    for index in net.order() {
        let has_voice = voices.contains(&index);
        // Who is late can confirm what is past and shown, and deny nothing.
        if !has_voice && (about == About::State || (shown.is_empty() && absent > 0)) {
            continue;
        }
        match ask(net, index) {
            Some(Some(answer)) => {
                speaker = Some(index);
                if shown.iter().any(|other| alike(other, &answer)) {
                    return Some(Some(answer));
                }
                shown.push(answer);
            }
            Some(None) if has_voice => {
                absent = absent.saturating_add(1);
                if absent == 2 {
                    return Some(None);
                }
            }
            _ => {}
        }
    }
    let is_awaited =
        |index: usize| Some(index) != speaker && (voices.contains(&index) || net.is_away(index));
    let configured = net.faults.len();
    match (shown.pop(), shown.len(), absent) {
        (Some(_), 0, 0) if (0..configured).any(is_awaited) => None,
        (Some(answer), 0, 0) => Some(Some(answer)),
        (None, _, 1) if configured == 1 => Some(None),
        _ => None,
    }
}

/// As high as two of the three freshest say.
pub(super) fn find_nonce(net: &mut Net, account: Address) -> Option<u64> {
    let order = net.in_step();
    let answers = order.into_iter().filter_map(|index| net.account_nonce(index, account));
    let mut answers: Vec<u64> = answers.take(3).collect();
    answers.sort_unstable_by(|a, b| b.cmp(a));
    answers.into_iter().take(2).next_back()
}

/// Gas is one endpoint's word, a revert needs two.
pub(super) fn find_estimate(net: &mut Net, from: Address, call: &Call) -> Option<Estimate> {
    let found = first(net, |net, index| net.estimate(index, from, call))?;
    if net.faults.len() == 1 || matches!(found, Estimate::Gas { .. }) {
        return Some(found);
    }
    let alike = |a: &Estimate, b: &Estimate| {
        matches!(a, Estimate::Revert(_)) == matches!(b, Estimate::Revert(_))
    };
    by_two(net, About::State, |net, index| net.estimate(index, from, call).map(Some), alike)?
}
