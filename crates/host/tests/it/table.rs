//! The table of sessions after a restart: nothing that was signed for stays unclaimed.

use core::time::Duration;
use std::collections::BTreeMap;

use capstan_base::{Address, Tally, Voucher};
use capstan_host::admission::Admission;
use capstan_host::served::ServedModel;
use capstan_host::sessions::Sessions;
use capstan_store::SessionState;
use capstan_wire::session::FromRenter;

use crate::fixture::{per_token, sign, tiny, units};
use crate::stage::{Stage, config};

fn table(stage: &Stage, models: Vec<ServedModel>) -> Sessions {
    let host = Address::repeat_byte(0xaa);
    let admission = Admission { host, chains: BTreeMap::new(), models, min_lifetime: 60 };
    Sessions::new(admission, stage.context.clone())
}

/// A stage whose session served six tokens of one unit and whose process is gone.
async fn left_behind(voucher: impl Fn(&Tally, &Stage) -> Voucher) -> Stage {
    let stage = Stage::new(5, 1000, per_token(1, 1), config()).await;
    let mut tally = Tally::new(stage.price);
    for id in 11..17 {
        tally.push_input(id, tiny().tokenizer().piece(id).unwrap());
    }
    let signed = sign(&stage.signer, &stage.key, voucher(&tally, &stage));
    stage.store.record_voucher(stage.key, &signed, &tally.state()).await.unwrap();
    stage.kill();
    stage
}

fn exact(tally: &Tally, stage: &Stage) -> Voucher {
    tally.voucher(stage.key.session_id).unwrap()
}

#[tokio::test]
async fn a_session_whose_model_is_gone_is_settled_for_what_was_served() {
    for ceiling in [false, true] {
        let stage = left_behind(|tally, stage| match ceiling {
            false => exact(tally, stage),
            true => Voucher::ceiling(stage.key.session_id, units(500)),
        })
        .await;
        let sessions = table(&stage, Vec::new());
        assert_eq!(sessions.resume_stored().await.unwrap(), 0);
        let record = stage.record().await;
        assert_eq!(record.state, SessionState::Settling);
        assert_eq!(record.end_reason.as_deref(), Some("host_restart"));
        let data = stage.claimed().await.unwrap().request.data;
        // The claim is the six tokens, whatever the ceiling allows.
        let six = [[0_u8; 31].as_slice(), &[6]].concat();
        assert!(data.windows(32).any(|word| word == six));
        // A second look changes nothing.
        assert_eq!(sessions.resume_stored().await.unwrap(), 0);
        assert_eq!(stage.record().await.settle_intent, record.settle_intent);
    }
}

#[tokio::test]
async fn a_session_that_can_be_served_is_taken_up_and_drained() {
    let stage = left_behind(exact).await;
    let sessions = table(&stage, vec![stage.served.clone()]);
    assert_eq!(sessions.resume_stored().await.unwrap(), 1);
    assert_eq!(sessions.count(), 1);
    let handle = sessions.find(&stage.key).unwrap();
    tokio::time::timeout(Duration::from_secs(20), sessions.drain()).await.unwrap();
    assert!(sessions.is_draining() && handle.is_over());
    assert_eq!(sessions.count(), 0);
    let record = stage.record().await;
    assert_eq!(record.state, SessionState::Settling);
    assert_eq!(record.end_reason.as_deref(), Some("host_shutdown"));
}

#[tokio::test]
async fn a_thousand_sessions_drain_together() {
    let stage = left_behind(exact).await;
    let sessions = table(&stage, vec![stage.served.clone()]);
    for number in 0..1000_u64 {
        let mut terms = stage.terms.clone();
        terms.salt.0[..8].copy_from_slice(&number.to_be_bytes());
        let key = capstan_base::SessionKey { session_id: terms.id(), ..stage.key };
        let opened_at = stage.context.clock.now();
        let new = capstan_store::NewSession {
            key,
            terms,
            price: stage.price,
            opened_at,
            admitted_block: 1,
        };
        stage.store.insert_session(new).await.unwrap();
    }
    assert_eq!(sessions.resume_stored().await.unwrap(), 1001);
    tokio::time::timeout(Duration::from_secs(60), sessions.drain()).await.unwrap();
    let unfinished = stage.store.count_sessions(None, Some(SessionState::Open)).await.unwrap();
    assert_eq!((sessions.count(), unfinished), (0, 0));
}

#[tokio::test]
async fn a_settled_session_takes_no_more_vouchers() {
    let stage = Stage::new(5, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.send(FromRenter::End).await;
    let record = stage.ended().await;
    assert_eq!(record.state, SessionState::Abandoned);
    assert!(renter.closed.is_cancelled());
    assert!(stage.session.is_over());
}
