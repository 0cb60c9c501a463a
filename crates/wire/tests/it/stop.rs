//! Stop texts: how a text is cut into pieces never changes what is shown of it.

use capstan_wire::openai::StopFilter;
use proptest::collection::vec;
use proptest::prelude::*;

/// Few letters, one of them of two bytes, so that stops occur, overlap and half-occur.
const TEXT: &str = "[abü]{0,30}";
const STOP: &str = "[abü]{1,4}";

/// Up to the stop text that becomes whole first; of two that end together, the longer.
fn naive(text: &str, stops: &[String]) -> (String, bool) {
    let first = stops.iter().filter_map(|stop| text.find(stop).map(|at| (at + stop.len(), at)));
    match first.min() {
        Some((_, at)) => (text[..at].to_owned(), true),
        None => (text.to_owned(), false),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_give_what_the_whole_gives(
        text in TEXT, stops in vec(STOP, 0..4), cuts in vec(0_usize..31, 0..10),
    ) {
        let mut filter = StopFilter::new(stops.clone());
        let mut shown = String::new();
        let letters: Vec<char> = text.chars().collect();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(letters.len())).collect();
        cuts.extend([0, letters.len()]);
        cuts.sort_unstable();
        let (expected, stopped) = naive(&text, &stops);
        for pair in cuts.windows(2) {
            shown.push_str(&filter.push(&letters[pair[0]..pair[1]].iter().collect::<String>()));
            prop_assert!(expected.starts_with(&shown), "{:?} of {:?}", shown, expected);
            prop_assert!(!stops.iter().any(|stop| shown.contains(stop.as_str())));
        }
        shown.push_str(&filter.flush());
        prop_assert_eq!((shown, filter.stopped()), (expected, stopped));
        prop_assert!(!stopped || filter.push("ab").is_empty() && filter.flush().is_empty());
    }
}

#[test]
fn of_two_stops_the_one_that_ends_first_counts() {
    let stops = vec!["abc".to_owned(), "b".to_owned()];
    for pieces in [vec!["abc"], vec!["ab", "c"], vec!["a", "b", "c"]] {
        let mut filter = StopFilter::new(stops.clone());
        let shown: String = pieces.iter().map(|piece| filter.push(piece)).collect();
        assert_eq!(shown, "a", "{pieces:?}");
    }
}
