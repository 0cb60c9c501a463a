//! What a member has signed stands, whatever happens to its process.

use std::convert::Infallible;

use capstan_base::{B256, ChainId, U256, UnixSeconds};
use capstan_store::{NewSigning, SignedLately, SigningJournal, SigningOutcome, StoreError};
use proptest::prelude::*;

fn at(seconds: u64) -> UnixSeconds {
    UnixSeconds::new(seconds).unwrap()
}

fn signing(request: u64) -> NewSigning {
    NewSigning {
        request_id: U256::from(request),
        action: 0,
        call: B256::repeat_byte(1),
        digest: B256::repeat_byte(2),
        agent: U256::from(9),
        chain_id: ChainId(84532),
        value: U256::from(100),
    }
}

fn record(journal: &SigningJournal, new: &NewSigning, now: u64) -> SigningOutcome<Infallible> {
    journal.record(new, at(now), |_| Ok(())).unwrap()
}

/// What the journal counts before it would record something new.
fn lately(journal: &SigningJournal, new: &NewSigning, now: u64) -> SignedLately {
    match journal.record(new, at(now), |lately| Err(*lately)).unwrap() {
        SigningOutcome::Refused(lately) => lately,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_action_is_signed_under_one_call_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = SigningJournal::create(&path).unwrap();
    let first = signing(1);
    let replacement = NewSigning { digest: B256::repeat_byte(3), ..first };
    let other_call =
        NewSigning { call: B256::repeat_byte(4), digest: B256::repeat_byte(5), ..first };
    let other_action = NewSigning { action: 1, ..other_call };
    assert_eq!(record(&journal, &first, 10), SigningOutcome::Recorded);
    drop(journal);

    let journal = SigningJournal::open(&path).unwrap();
    assert_eq!(record(&journal, &first, 11), SigningOutcome::Known);
    assert_eq!(record(&journal, &other_call, 12), SigningOutcome::Conflict);
    assert_eq!(record(&journal, &replacement, 13), SigningOutcome::Recorded);
    assert_eq!(record(&journal, &replacement, 14), SigningOutcome::Known);
    assert_eq!(record(&journal, &other_call, 15), SigningOutcome::Conflict);
    assert_eq!(record(&journal, &other_action, 16), SigningOutcome::Recorded);
    assert_eq!(record(&journal, &signing(2), 17), SigningOutcome::Recorded);
    assert_eq!(journal.records().unwrap().len(), 4);
}

#[test]
fn what_the_caller_refuses_is_not_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SigningJournal::create(&folder.path().join("journal.db")).unwrap();
    let refused = journal.record(&signing(1), at(1), |_| Err("no")).unwrap();
    assert_eq!(refused, SigningOutcome::Refused("no"));
    assert!(journal.records().unwrap().is_empty());
    // It is asked again about what it allowed once, and about a replacement.
    record(&journal, &signing(1), 2);
    let replacement = NewSigning { digest: B256::repeat_byte(8), ..signing(1) };
    for new in [signing(1), replacement] {
        let refused = journal.record(&new, at(3), |_| Err("no")).unwrap();
        assert_eq!(refused, SigningOutcome::Refused("no"));
        // What the action spent before does not count against itself.
        assert_eq!(lately(&journal, &new, 3), SignedLately::default());
    }
    assert_eq!(journal.records().unwrap().len(), 1);
}

#[test]
fn the_hour_and_the_day_are_counted_to_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SigningJournal::create(&folder.path().join("journal.db")).unwrap();
    let start = 1_000_000;
    record(&journal, &signing(1), start);
    // The same once more at another price is no second action.
    record(&journal, &NewSigning { digest: B256::repeat_byte(8), ..signing(1) }, start + 1);
    record(&journal, &NewSigning { chain_id: ChainId(1), ..signing(2) }, start + 10);
    record(&journal, &NewSigning { agent: U256::from(1), ..signing(3) }, start + 10);

    let counted = |actions, value| SignedLately {
        actions_last_hour: actions,
        value_last_day: U256::from(value),
    };
    assert_eq!(lately(&journal, &signing(4), start + 3599), counted(2, 100));
    assert_eq!(lately(&journal, &signing(4), start + 3600), counted(1, 100));
    assert_eq!(lately(&journal, &signing(4), start + 86_399), counted(0, 100));
    assert_eq!(lately(&journal, &signing(4), start + 86_402), counted(0, 0));
    // A clock that goes back forgets nothing.
    assert_eq!(lately(&journal, &signing(4), 0), counted(2, 100));
}

#[test]
fn a_restored_member_signs_nothing_until_it_knows_what_it_signed() {
    let folder = tempfile::tempdir().unwrap();
    let lost = SigningJournal::create(&folder.path().join("lost.db")).unwrap();
    record(&lost, &signing(1), 5);
    let records = lost.records().unwrap();

    let path = folder.path().join("restored.db");
    let restored = SigningJournal::create_restored(&path).unwrap();
    assert_eq!(record(&restored, &signing(2), 6), SigningOutcome::NotWhole);
    restored.learn(&records).unwrap();
    restored.learn(&records).unwrap();
    assert_eq!(record(&restored, &signing(2), 7), SigningOutcome::NotWhole);
    restored.declare_whole().unwrap();
    assert_eq!(record(&restored, &signing(2), 8), SigningOutcome::Recorded);
    let other_call =
        NewSigning { call: B256::repeat_byte(4), digest: B256::repeat_byte(5), ..signing(1) };
    assert_eq!(record(&restored, &other_call, 9), SigningOutcome::Conflict);
}

#[test]
fn a_missing_journal_is_not_made_by_opening_it_and_none_is_made_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    assert!(matches!(SigningJournal::open(&path), Err(StoreError::NoJournal { .. })));
    assert!(!path.exists());
    let journal = SigningJournal::create(&path).unwrap();
    for again in [SigningJournal::create(&path), SigningJournal::create_restored(&path)] {
        assert!(matches!(again, Err(StoreError::JournalExists { .. })));
    }
    assert!(matches!(SigningJournal::open(&path), Err(StoreError::InUse { .. })));
    drop(journal);
    SigningJournal::open(&path).unwrap();
}

#[test]
fn a_ban_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = SigningJournal::create(&path).unwrap();
    journal.ban(3, "failed a consistency check", at(1)).unwrap();
    journal.ban(3, "something later", at(2)).unwrap();
    drop(journal);
    let banned = SigningJournal::open(&path).unwrap().banned().unwrap();
    assert_eq!(banned, [(3, "failed a consistency check".to_owned())]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever is asked in whatever order: of one action, one call alone is ever recorded.
    #[test]
    fn no_action_has_two_calls(asked in proptest::collection::vec((0..3_u64, 0..2_u32, 0..3_u8, 0..3_u8), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let journal = SigningJournal::create(&folder.path().join("journal.db")).unwrap();
        let mut first = std::collections::BTreeMap::new();
        for (now, (request, action, call, fees)) in (1..).zip(asked) {
            let digest = B256::repeat_byte(call * 16 + fees);
            let new = NewSigning { action, call: B256::repeat_byte(call), digest, ..signing(request) };
            let outcome = record(&journal, &new, now);
            let known = *first.entry((request, action)).or_insert(call);
            let expected_conflict = known != call;
            prop_assert_eq!(outcome == SigningOutcome::Conflict, expected_conflict);
        }
    }
}
