//! The book: it counts what it got, signs that and nothing else.

use capstan_base::{Amount, B256, Price, SessionId, Tally};
use capstan_renter::{Book, Refusal};
use capstan_wire::openai::{Message, Prompt};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::host::tiny;

const SESSION: SessionId = SessionId(B256::repeat_byte(3));

fn units(units: u128) -> Amount {
    Amount::new(units).unwrap()
}

fn price() -> Price {
    Price { input: units(1_000_000), output: units(2_500_000) }
}

fn book(budget: u128) -> Book {
    Book::new(SESSION, tiny(), price(), units(budget))
}

/// The host's own count of the same tokens.
fn tally(prompt: &[u32], output: &[u32]) -> Tally {
    let (model, mut tally) = (tiny(), Tally::new(price()));
    prompt.iter().for_each(|id| tally.push_input(*id, model.tokenizer().piece(*id).unwrap()));
    output.iter().for_each(|id| tally.push_output(*id, model.tokenizer().piece(*id).unwrap()));
    tally
}

fn counted(prompt: &[u32], output: &[u32], budget: u128) -> Book {
    let mut book = book(budget);
    book.count_prompt(0, prompt, prompt.len() as u64).unwrap();
    book.count_output(prompt.len() as u64, output).unwrap();
    book
}

fn ids(range: core::ops::Range<usize>) -> impl Strategy<Value = Vec<u32>> {
    vec(3_u32..400, range)
}

proptest! {
    #[test]
    fn an_honest_count_is_signed_to_the_bit(prompt in ids(1..20), output in ids(0..20)) {
        let (book, host) = (counted(&prompt, &output, 1 << 40), tally(&prompt, &output));
        let stated = host.voucher(SESSION).unwrap();
        let (voucher, state) =
            book.judge(stated.amount, stated.tokens, stated.transcript_root).unwrap();
        prop_assert_eq!(voucher, stated);
        prop_assert_eq!(state, host.state());
    }

    #[test]
    fn an_over_count_is_refused_with_its_exact_difference(
        prompt in ids(1..20), output in ids(0..20), more in ids(1..9),
    ) {
        let book = counted(&prompt, &output, 1 << 40);
        let padded = [output.clone(), more.clone()].concat();
        let stated = tally(&prompt, &padded).voucher(SESSION).unwrap();
        let refused = book.judge(stated.amount, stated.tokens, stated.transcript_root);
        let own = tally(&prompt, &output).voucher(SESSION).unwrap();
        prop_assert_eq!(refused, Err(Refusal::OverCount {
            claimed: stated.tokens,
            counted: own.tokens,
            claimed_amount: stated.amount,
            counted_amount: own.amount,
            excess_amount: stated.amount.checked_sub(own.amount).unwrap(),
        }));
    }

    #[test]
    fn nothing_but_the_own_count_is_ever_signed(
        prompt in ids(1..9), output in ids(0..9), amount in 0_u128..60, tokens in 0_u64..20, root: bool,
    ) {
        let book = counted(&prompt, &output, 1 << 40);
        let own = tally(&prompt, &output).voucher(SESSION).unwrap();
        let root = if root { own.transcript_root } else { B256::repeat_byte(1) };
        if let Ok((voucher, _)) = book.judge(units(amount), tokens, root) {
            prop_assert_eq!(voucher, own);
            prop_assert_eq!((voucher.amount, voucher.tokens), (units(amount), tokens));
        }
    }

    #[test]
    fn a_higher_price_for_the_same_tokens_is_an_over_count(prompt in ids(1..9), extra in 1_u128..99) {
        let book = counted(&prompt, &[], 1 << 40);
        let own = tally(&prompt, &[]).voucher(SESSION).unwrap();
        let amount = own.amount.checked_add(units(extra)).unwrap();
        let refused = book.judge(amount, own.tokens, own.transcript_root);
        let told = matches!(refused, Err(Refusal::OverCount { excess_amount, .. })
            if excess_amount == units(extra));
        prop_assert!(told);
    }

    #[test]
    fn the_budget_is_never_exceeded(prompt in ids(1..30), budget in 0_u128..40) {
        let book = counted(&prompt, &[], budget);
        let own = tally(&prompt, &[]).voucher(SESSION).unwrap();
        let judged = book.judge(own.amount, own.tokens, own.transcript_root);
        prop_assert_eq!(judged.is_ok(), own.amount <= units(budget));
        prop_assert_eq!(book.unsigned().is_some(), own.amount <= units(budget));
    }

    #[test]
    fn what_is_refused_is_not_counted(prompt in ids(1..9), at in 0_u64..30, wrong in 0_u64..30) {
        let mut book = counted(&prompt, &[], 1 << 40);
        let (tokens, owed) = (book.tokens(), book.owed());
        if at != tokens {
            let refused = Refusal::OutOfOrder { index: at, expected: tokens };
            prop_assert_eq!(book.count_output(at, &[5]), Err(refused.clone()));
            prop_assert_eq!(book.count_prompt(at, &[5], 1), Err(refused));
        }
        if wrong != 2 {
            let refused = Refusal::PromptMiscount { claimed: wrong, counted: 2 };
            prop_assert_eq!(book.count_prompt(tokens, &[5, 6], wrong), Err(refused));
        }
        let unknown = Refusal::UnknownToken(u32::MAX);
        prop_assert_eq!(book.count_output(tokens, &[5, u32::MAX]), Err(unknown.clone()));
        prop_assert_eq!(book.count_prompt(tokens, &[5, u32::MAX], 2), Err(unknown));
        prop_assert_eq!((book.tokens(), book.owed()), (tokens, owed));
    }

    #[test]
    fn it_goes_back_to_its_voucher_and_nowhere_else(
        prompt in ids(1..9), paid in ids(0..9), tail in ids(1..9), other in 0_u64..40,
    ) {
        let mut book = counted(&prompt, &paid, 1 << 40);
        let own = tally(&prompt, &paid).voucher(SESSION).unwrap();
        let (voucher, state) = book.judge(own.amount, own.tokens, own.transcript_root).unwrap();
        book.accept(&voucher, state.clone());
        book.count_output(own.tokens, &tail).unwrap();
        let now = book.tokens();
        prop_assert_eq!(book.rewind(now), Ok(()));
        if other != now && other != own.tokens {
            prop_assert_eq!(book.rewind(other), Err(Refusal::CannotRewind { tokens: other }));
        }
        prop_assert_eq!(book.rewind(own.tokens), Ok(()));
        prop_assert_eq!((book.tokens(), book.signed()), (own.tokens, own.amount));
        let mut again = self::book(1 << 40);
        again.resume(&voucher, state).unwrap();
        prop_assert_eq!((again.tokens(), again.owed()), (book.tokens(), book.owed()));
    }
}

#[test]
fn a_prompt_is_counted_with_the_models_own_template() {
    let message = Message { role: "user".into(), content: "hi".into() };
    let ids = book(9).prompt_ids(&Prompt::Messages(vec![message])).unwrap();
    assert_eq!(ids, tiny().encode_chat(&[capstan_model::Message::user("hi")]).unwrap());
    let message = Message { role: "nobody".into(), content: "hi".into() };
    let refused = book(9).prompt_ids(&Prompt::Messages(vec![message]));
    assert!(matches!(refused, Err(Refusal::BadPrompt(_))), "{refused:?}");
}
