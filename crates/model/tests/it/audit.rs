//! Audits: honest answers pass, any other is named.

use std::sync::Arc;

use capstan_model::audit::{AuditError, Claim, check, recompute};
use capstan_model::{Finish, Generation, GenerationParams, Sampling};
use proptest::prelude::*;

use crate::fixture::{ask, greedy, tiny};

const STORY: &str = "Tell me a story about an owl.";

#[test]
fn an_honest_answer_passes_with_its_logprobs() {
    let mut generation = greedy(STORY, 400);
    let logprobs: Vec<f32> = generation.by_ref().map(|token| token.unwrap().logprob).collect();
    assert_eq!(generation.finish(), Some(Finish::Stop));
    let (prompt, output) = (generation.prompt(), generation.output());
    recompute(tiny(), prompt, output).unwrap();
    let sampling = Sampling::greedy();
    let claim = Claim { prompt, output, sampling, finish: Some(Finish::Stop) };
    let again = check(tiny(), &claim).unwrap();
    assert_eq!(bits(&again), bits(&logprobs));
}

#[test]
fn a_sampled_answer_is_checked_as_exactly() {
    let sampling = Sampling::new(1.2, 0.9, 42).unwrap();
    let params = GenerationParams { max_tokens: 50, sampling };
    let mut generation = Generation::new(Arc::clone(tiny()), ask(STORY), params).unwrap();
    generation.by_ref().for_each(|token| drop(token.unwrap()));
    let (prompt, output, finish) = (generation.prompt(), generation.output(), generation.finish());
    check(tiny(), &Claim { prompt, output, sampling, finish }).unwrap();
    let other = Sampling::new(1.2, 0.9, 43).unwrap();
    assert!(check(tiny(), &Claim { prompt, output, sampling: other, finish }).is_err());
}

#[test]
fn an_answer_that_ended_otherwise_is_found() {
    let mut generation = greedy("What is gas?", 200);
    generation.by_ref().for_each(|token| drop(token.unwrap()));
    let (prompt, output, sampling) = (generation.prompt(), generation.output(), Sampling::greedy());
    let half = &output[..output.len() / 2];
    // Cut short, but said to have stopped.
    let claim = Claim { prompt, output: half, sampling, finish: Some(Finish::Stop) };
    let next = output[half.len()];
    assert!(matches!(check(tiny(), &claim),
        Err(AuditError::Finish { len, next: Some(n), .. }) if len == half.len() && n == next));
    let claim = Claim { finish: Some(Finish::Context), ..claim };
    assert!(matches!(check(tiny(), &claim), Err(AuditError::Finish { .. })));
    // Drawn out past its end: the ending token and what the model would say after it.
    let mut longer = output.to_vec();
    longer.push(tiny().tokenizer().eos().unwrap());
    let claim = Claim { prompt, output: &longer, sampling, finish: None };
    assert!(matches!(check(tiny(), &claim), Err(AuditError::Finish { .. })));
    assert!(recompute(tiny(), prompt, half).is_ok());
    assert!(recompute(tiny(), prompt, &[]).is_ok());
}

#[test]
fn a_claim_that_is_not_this_models_cannot_be_checked() {
    let too_long = vec![1; tiny().context_length()];
    for (prompt, output) in
        [(&[][..], &[5][..]), (&[1, 9999], &[5]), (&[1], &[9999]), (&[1], &too_long)]
    {
        assert!(matches!(recompute(tiny(), prompt, output), Err(AuditError::Recompute(_))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn one_changed_token_is_named(place: prop::sample::Index, shift in 1_u32..768) {
        let mut generation = greedy(STORY, 400);
        generation.by_ref().for_each(|token| drop(token.unwrap()));
        let mut output = generation.output().to_vec();
        let index = place.index(output.len());
        let honest = output[index];
        output[index] = (honest + shift) % 768;
        match recompute(tiny(), generation.prompt(), &output) {
            Err(AuditError::Mismatch { index: i, claimed, expected }) => {
                prop_assert_eq!((i, claimed, expected), (index, output[index], honest));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|n| n.to_bits()).collect()
}
