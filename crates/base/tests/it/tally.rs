//! Tally: the same tokens in the same order give the same voucher, wherever one pauses.

use capstan_base::{Amount, Price, SessionId, Tally, TallyError, TallyState};
use proptest::prelude::*;

use crate::transcript::{Tokens, tokens};

const SESSION: SessionId = SessionId(capstan_base::B256::repeat_byte(9));

fn price() -> Price {
    Price { input: Amount::new(200_000).unwrap(), output: Amount::new(700_001).unwrap() }
}

fn push(tally: &mut Tally, tokens: &[(u32, Vec<u8>)]) {
    for (id, text) in tokens {
        if id % 3 == 0 { tally.push_input(*id, text) } else { tally.push_output(*id, text) }
    }
}

fn whole(tokens: &Tokens) -> Tally {
    let mut tally = Tally::new(price());
    push(&mut tally, tokens);
    tally
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pausing_anywhere_gives_the_same_voucher(tokens in tokens(80), at: prop::sample::Index) {
        let at = if tokens.is_empty() { 0 } else { at.index(tokens.len()) };
        let mut first = Tally::new(price());
        push(&mut first, &tokens[..at]);
        let json = serde_json::to_string(&first.state()).unwrap();
        let mut rest = Tally::resume(price(), serde_json::from_str(&json).unwrap()).unwrap();
        push(&mut rest, &tokens[at..]);
        prop_assert_eq!(rest.voucher(SESSION), whole(&tokens).voucher(SESSION));
    }

    #[test]
    fn the_order_of_tokens_is_part_of_the_voucher(tokens in tokens(20), a: prop::sample::Index, b: prop::sample::Index) {
        prop_assume!(!tokens.is_empty());
        let (a, b) = (a.index(tokens.len()), b.index(tokens.len()));
        let mut swapped = tokens.clone();
        swapped.swap(a, b);
        let (one, other) = (whole(&tokens), whole(&swapped));
        prop_assert_eq!(one.root() == other.root(), tokens == swapped);
        prop_assert_eq!(one.owed(), other.owed());
    }

    #[test]
    fn what_is_foreseen_is_what_is_owed(tokens in tokens(40)) {
        let mut tally = Tally::new(price());
        for token in &tokens {
            let foreseen = if token.0 % 3 == 0 { tally.owed_after(1, 0) } else { tally.owed_after(0, 1) };
            let before = tally.owed().unwrap();
            push(&mut tally, std::slice::from_ref(token));
            prop_assert_eq!(foreseen, tally.owed());
            prop_assert!(tally.owed().unwrap() >= before);
        }
        prop_assert_eq!(tally.input() + tally.output(), tally.tokens());
        prop_assert_eq!(tally.voucher(SESSION).unwrap().amount, tally.owed().unwrap());
    }

    #[test]
    fn a_state_whose_sums_disagree_is_refused(tokens in tokens(30), input: u64, output: u64) {
        let good = whole(&tokens).state();
        let state = TallyState { input, output, ..good.clone() };
        let agrees = input.checked_add(output) == Some(good.frontier.size);
        match Tally::resume(price(), state) {
            Ok(_) => prop_assert!(agrees),
            Err(error) => prop_assert!(!agrees || matches!(error, TallyError::Cost(_))),
        }
    }
}

#[test]
fn an_empty_tally_states_nothing() {
    let voucher = Tally::new(price()).voucher(SESSION).unwrap();
    assert_eq!((voucher.amount, voucher.tokens), (Amount::ZERO, 0));
    assert!(voucher.transcript_root.is_zero() && voucher.is_ceiling());
}
