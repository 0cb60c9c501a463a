//! Members that lie, and carriers that change what they carry.

use capstan_signer::protocol::{Blame, KeyShare, MemberIndex};
use proptest::prelude::*;

use crate::cluster::{
    Letter, committee, generation, member, refresh, signing, transaction, two_of_three,
};

fn first_two() -> Vec<KeyShare> {
    two_of_three()[..2].to_vec()
}

/// Nobody but `liar` is blamed, whatever it did.
fn assert_honest(blame: Blame, liar: MemberIndex) {
    match blame {
        Blame::Nobody | Blame::Ourselves => {}
        Blame::Member(named) | Blame::Ban(named) => {
            assert_eq!(named, liar, "an honest member is blamed")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Member 2 changes one byte of one of its messages: no wrong signature comes of it, and nobody but
    /// member 2 is named.
    #[test]
    fn a_changed_byte_gives_no_wrong_signature(which in 0..3_usize, place: usize, bit in 0..8_u32) {
        let shares = first_two();
        let (liar, transaction) = (member(2), transaction(20));
        let mut cluster = signing(&shares, 20, &transaction);
        let mut sent = 0;
        cluster.run(|letters: &mut Vec<Letter>| {
            let mut letter = letters.remove(0);
            if letter.from == liar {
                if sent == which {
                    let place = place % letter.bytes.len();
                    letter.bytes[place] ^= 1 << bit;
                }
                sent += 1;
            }
            vec![letter]
        });
        if let Some(outcome) = cluster.outcomes.remove(&member(1)) {
            match outcome {
                Ok(signature) => prop_assert!(transaction.finalize(&signature, shares[0].address()).is_ok()),
                Err(fault) => assert_honest(fault.blame, liar),
            }
        }
    }

    /// Any bytes at all in the place of a message.
    #[test]
    fn foreign_bytes_never_panic(bytes: Vec<u8>) {
        let mut cluster = signing(&first_two(), 21, &transaction(21));
        cluster.run(|letters: &mut Vec<Letter>| {
            let mut letter = letters.remove(0);
            if letter.from == member(2) {
                letter.bytes.clone_from(&bytes);
            }
            vec![letter]
        });
        prop_assert!(!matches!(cluster.outcomes.get(&member(1)), Some(Ok(_))));
    }
}

#[test]
fn two_messages_in_the_place_of_one_name_their_sender() {
    let mut cluster = signing(&first_two(), 22, &transaction(22));
    let mut other = signing(&first_two(), 22, &transaction(22));
    let of_two = |letters: &[Letter]| {
        letters.iter().find(|letter| letter.from == member(2)).unwrap().clone()
    };
    let (first, second) = (of_two(&cluster.letters), of_two(&other.letters));
    other.letters.clear();
    cluster.letters = vec![first.clone(), first, second];
    cluster.run(|letters: &mut Vec<Letter>| vec![letters.remove(0)]);
    let fault = cluster.outcomes.remove(&member(1)).unwrap().unwrap_err();
    assert_eq!(fault.blame, Blame::Member(member(2)), "{fault}");
}

#[test]
fn a_message_of_another_ceremony_means_nothing() {
    let transaction = transaction(23);
    let mut cluster = signing(&first_two(), 23, &transaction);
    let other = signing(&first_two(), 24, &transaction);
    for letter in &mut cluster.letters {
        if letter.from == member(2) {
            *letter = other.letters.iter().find(|letter| letter.from == member(2)).unwrap().clone();
        }
    }
    let outcomes = cluster.run_plainly();
    assert!(!outcomes.values().any(|outcome| outcome.is_ok()));
}

#[test]
fn a_signer_for_another_transaction_gives_no_signature() {
    let shares = first_two();
    let mut cluster = signing(&shares, 25, &transaction(25));
    let mut other = signing(&shares, 25, &transaction(26));
    // Member 2 was told another transaction.
    let two = other.sides.remove(&member(2)).unwrap();
    cluster.sides.insert(member(2), two);
    cluster.letters.retain(|letter| letter.from != member(2));
    cluster.letters.extend(other.letters.into_iter().filter(|letter| letter.from == member(2)));
    let outcomes = cluster.run_plainly();
    assert!(!outcomes.is_empty());
    for outcome in outcomes.into_values() {
        assert!(!matches!(outcome.unwrap_err().blame, Blame::Ban(_)));
    }
}

/// Member 3 tells member 1 and member 2 different things where all are to hear the same.
#[test]
fn two_versions_of_a_broadcast_make_no_key() {
    for (committee_id, round) in [(30, 2), (31, 3)] {
        let mut cluster = generation(committee(2, 3), committee_id);
        let mut liar = generation(committee(2, 3), committee_id);
        liar.letters.retain(|letter| letter.from == member(3));
        // Its second self hears what it hears, and speaks to member 1 alone, from `round` on.
        let mut second = liar.sides.remove(&member(3)).unwrap();
        let mut spoken: Vec<Letter> = liar.letters;
        let mut said = 0;
        cluster.run(|letters: &mut Vec<Letter>| {
            let mut letter = letters.remove(0);
            if letter.to == member(3) {
                let incoming =
                    capstan_signer::protocol::Incoming { from: letter.from, bytes: &letter.bytes };
                if let Ok(progress) = second.receive(incoming) {
                    spoken.extend(progress.outgoing.into_iter().map(|outgoing| Letter {
                        from: member(3),
                        to: outgoing.to,
                        bytes: outgoing.bytes.to_vec(),
                    }));
                }
            }
            if letter.from == member(3) && letter.to == member(1) {
                said += 1;
                let version = spoken.iter().filter(|other| other.to == member(1)).nth(said - 1);
                if let Some(version) = version.filter(|_| said >= round) {
                    letter.bytes.clone_from(&version.bytes);
                }
            }
            vec![letter]
        });
        for honest in [1, 2] {
            let outcome = cluster.outcomes.get(&member(honest));
            if let Some(Ok(_)) = outcome {
                panic!("member {honest} took a key that member 3 had said two things about");
            }
            if let Some(Err(fault)) = outcome {
                assert_honest(fault.blame, member(3));
            }
        }
    }
}

#[test]
fn one_that_falls_silent_leaves_the_others_waiting_and_nothing_half_made() {
    let mut cluster = refresh(two_of_three(), 40);
    let mut letters = 0;
    cluster.run(|under_way: &mut Vec<Letter>| {
        let letter = under_way.remove(0);
        if letter.from == member(3) {
            letters += 1;
        }
        if letter.from == member(3) && letters > 4 { Vec::new() } else { vec![letter] }
    });
    assert!(cluster.outcomes.is_empty());
    let waiting: Vec<_> = cluster.sides.values().map(|side| side.waiting_for()).collect();
    assert_eq!(waiting[..2], [vec![member(3)], vec![member(3)]]);
}
