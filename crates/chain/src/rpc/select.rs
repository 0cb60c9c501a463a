//! Which endpoints to believe, and in which order to ask: a pure function of what is known of them.
//!
//! The **agreed head** is the height that at least two endpoints have reached, or up to
//! [`MAX_BEHIND`] blocks above it: one endpoint far ahead of all others cannot make the honest ones
//! look late. With only two heads known, the higher one is agreed once its endpoint has *shown* the
//! block, since standing still is the commoner fault; until then the lower one is. With one head
//! known, that is it.
//!
//! An endpoint is **in step** if it is close to the agreed head, or if nothing is known of its head.
//! Only such endpoints have a voice in what is *not* there. One **behind** by more than
//! [`MAX_BEHIND`] blocks or [`MAX_LATE`], or **ahead** by more than [`MAX_BEHIND`] blocks, has none;
//! what it does show is evidence all the same.
//!
//! Limit: if two of three endpoints stand still together, the third, though right, counts as ahead.
//! Then conclusions wait, and none is wrong.

use core::time::Duration;

/// Ten blocks of the fastest chain here are 2.5 s: a healthy node is within one or two.
pub(crate) const MAX_BEHIND: u64 = 10;

/// On slow chains a block is long; an endpoint that lacks one for this long is late all the same.
pub(crate) const MAX_LATE: Duration = Duration::from_secs(5);

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// It serves another chain, and is not due to be asked again.
    pub(crate) wrong_chain: bool,
    /// It failed, and rests for so long.
    pub(crate) resting: Option<Duration>,
    /// Its head, if it was seen lately.
    pub(crate) head: Option<u64>,
    /// It gave the block at its head, or at one close below.
    pub(crate) shown: bool,
    /// How long it has been without a block that was agreed.
    pub(crate) late: Duration,
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    InStep,
    Ahead,
    Behind,
}

/// One endpoint of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Place in the configuration.
    pub(crate) index: usize,
    pub(crate) standing: Standing,
    /// It failed lately: asked only if no other answers.
    pub(crate) rests: bool,
}

impl Candidate {
    /// Asked only when nobody better answers.
    pub(crate) fn is_last_resort(&self) -> bool {
        self.rests || self.standing == Standing::Behind
    }

    /// Its "there is none" counts.
    pub(crate) fn has_voice(&self) -> bool {
        self.standing == Standing::InStep
    }
}

/// The head to measure the others by; `None` if no head is known.
pub(crate) fn agreed_head(views: &[View]) -> Option<u64> {
    let mut heads: Vec<(u64, bool)> = views
        .iter()
        .filter(|view| !view.wrong_chain)
        .filter_map(|view| Some((view.head?, view.shown)))
        .collect();
    heads.sort_unstable_by(|a, b| b.cmp(a));
    let (top, shown) = *heads.first()?;
    let Some((second, _)) = heads.get(1).copied() else { return Some(top) };
    let is_near = top.saturating_sub(second) <= MAX_BEHIND;
    Some(if is_near || (heads.len() == 2 && shown) { top } else { second })
}

/// Where one endpoint stands to the agreed head.
pub(crate) fn standing(view: &View, agreed: Option<u64>) -> Standing {
    let (Some(head), Some(agreed)) = (view.head, agreed) else { return Standing::InStep };
    if head.saturating_sub(agreed) > MAX_BEHIND {
        Standing::Ahead
    } else if agreed.saturating_sub(head) > MAX_BEHIND || (head < agreed && view.late > MAX_LATE) {
        Standing::Behind
    } else {
        Standing::InStep
    }
}

/// Whom to ask, best first: in step before ahead before last resorts; the freshest first among
/// those in step; those resting last, soonest back first; else as configured. Endpoints of another
/// chain are not in it.
pub(crate) fn order(views: &[View]) -> Vec<Candidate> {
    let agreed = agreed_head(views);
    let mut order: Vec<_> = views
        .iter()
        .enumerate()
        .filter(|(_, view)| !view.wrong_chain)
        .map(|(index, view)| {
            let (standing, rests) = (standing(view, agreed), view.resting.is_some());
            (view, Candidate { index, standing, rests })
        })
        .collect();
    order.sort_by_key(|(view, candidate)| {
        let freshness = if candidate.has_voice() { view.head } else { None };
        (view.resting, candidate.standing, core::cmp::Reverse(freshness), candidate.index)
    });
    order.into_iter().map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(head: u64) -> View {
        View { head: Some(head), ..View::default() }
    }

    fn indices(views: &[View]) -> Vec<usize> {
        order(views).iter().map(|candidate| candidate.index).collect()
    }

    fn standings(views: &[View]) -> Vec<Standing> {
        let agreed = agreed_head(views);
        views.iter().map(|view| standing(view, agreed)).collect()
    }

    #[test]
    fn the_freshest_comes_first_and_ties_are_as_configured() {
        assert_eq!(indices(&[at(5), at(7), at(7), View::default()]), [1, 2, 0, 3]);
        assert_eq!(indices(&[View::default(), View::default()]), [0, 1]);
    }

    #[test]
    fn a_laggard_by_blocks_or_by_time_is_behind_and_comes_back() {
        use Standing::{Behind, InStep};
        assert_eq!(standings(&[at(100), at(111), at(111)]), [Behind, InStep, InStep]);
        assert_eq!(standings(&[at(101), at(111), at(111)]), [InStep; 3]);
        let late = View { late: Duration::from_millis(5_001), ..at(110) };
        assert_eq!(standings(&[late, at(111)]), [Behind, InStep]);
        let just = View { late: MAX_LATE, ..at(110) };
        assert_eq!(standings(&[just, at(111)]), [InStep; 2]);
        assert_eq!(standings(&[View { head: Some(111), ..late }, at(111)]), [InStep; 2]);
    }

    #[test]
    fn of_two_the_higher_one_wins_once_it_has_shown_its_block() {
        use Standing::{Ahead, Behind, InStep};
        assert_eq!(standings(&[at(1_000), at(100)]), [Ahead, InStep]);
        let shown = View { shown: true, ..at(1_000) };
        assert_eq!(standings(&[shown, at(100)]), [InStep, Behind]);
        assert_eq!(standings(&[shown, at(100), at(101)]), [Ahead, InStep, InStep]);
    }

    #[test]
    fn who_rests_or_is_late_is_asked_last_and_another_chain_never() {
        let resting =
            |seconds| View { resting: Some(Duration::from_secs(seconds)), ..View::default() };
        let wrong = View { wrong_chain: true, ..at(9_999) };
        let views = [resting(9), wrong, at(10), resting(2), at(200), at(201), at(999)];
        assert_eq!(indices(&views), [5, 4, 6, 2, 3, 0]);
        let last: Vec<_> = order(&views).iter().map(Candidate::is_last_resort).collect();
        assert_eq!(last, [false, false, false, true, true, true]);
    }

    fn any_view() -> impl Strategy<Value = View> {
        let seconds = |limit: u64| (0..limit).prop_map(Duration::from_secs);
        let head = prop_oneof![Just(None), (0_u64..40).prop_map(Some), any::<u64>().prop_map(Some)];
        (any::<bool>(), prop::option::of(seconds(9)), head, any::<bool>(), seconds(12)).prop_map(
            |(wrong_chain, resting, head, shown, late)| View {
                wrong_chain,
                resting,
                head,
                shown,
                late,
            },
        )
    }

    proptest! {
        #[test]
        fn everyone_of_this_chain_is_in_the_order_once(views in prop::collection::vec(any_view(), 0..6)) {
            let mut found = indices(&views);
            found.sort_unstable();
            let expected: Vec<_> = (0..views.len()).filter(|i| !views[*i].wrong_chain).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn there_is_always_a_voice_and_who_is_behind_has_a_fresher_one_before_it(
            views in prop::collection::vec(any_view(), 1..6),
        ) {
            let order = order(&views);
            if !order.is_empty() {
                prop_assert!(order.iter().any(Candidate::has_voice));
            }
            for candidate in order.iter().filter(|found| found.standing == Standing::Behind) {
                let head = views[candidate.index].head;
                prop_assert!(order.iter().any(|other| other.has_voice() && views[other.index].head > head));
            }
        }

        /// Whatever one endpoint of three or more says, the others keep their voices.
        #[test]
        fn one_liar_silences_nobody(
            base in 1_000_u64..1_000_000,
            lags in prop::collection::vec(0..=MAX_BEHIND, 2..5),
            lie in any::<u64>(),
            shown in any::<bool>(),
            place in 0_usize..3,
        ) {
            let mut views: Vec<_> = lags.iter().map(|lag| at(base - lag)).collect();
            views.insert(place.min(views.len()), View { shown, ..at(lie) });
            let liar = place.min(views.len() - 1);
            for (index, standing) in standings(&views).into_iter().enumerate() {
                // A lie just ahead of the freshest is no lie that could be told from the truth.
                let plausible = lie.saturating_sub(base) <= MAX_BEHIND;
                prop_assert!(index == liar || plausible || standing == Standing::InStep);
            }
        }

        #[test]
        fn among_the_healthy_the_first_is_as_fresh_as_any(heads in prop::collection::vec(100_u64..110, 1..6)) {
            let views: Vec<_> = heads.iter().copied().map(at).collect();
            prop_assert_eq!(heads[indices(&views)[0]], *heads.iter().max().unwrap());
        }
    }
}
