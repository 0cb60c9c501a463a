//! A session's life: attach, pay, stall, drop, come back, end; and what is claimed for it.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};

use capstan_base::{Amount, Price};
use capstan_host::HostConfig;
use capstan_host::session::Command;
use capstan_store::SessionState;
use capstan_wire::ErrorCode;
use capstan_wire::session::{EndReason, FinishReason, FromHost, FromRenter};

use crate::fixture::{per_token, units};
use crate::stage::{Script, Stage, config};

const PROMPT: &[u32] = &[11, 12, 13, 14, 15];

fn finished(frame: &FromHost) -> bool {
    matches!(frame, FromHost::Finished { .. })
}

fn accepted(frame: &FromHost) -> bool {
    matches!(frame, FromHost::VoucherAccepted { .. })
}

#[tokio::test]
async fn an_answer_is_paid_token_by_token_and_settles_for_exactly_that() {
    let stage = Stage::new(20, 1000, per_token(1, 3), config()).await;
    let mut renter = stage.renter();
    let ready = stage.attach(1, &mut renter).await.unwrap();
    assert!(!ready.resumed && ready.tokens == 0 && ready.running.is_none());
    renter.ask(1, PROMPT, None).await;
    let end = renter.until(finished).await;
    let FromHost::Finished { reason, input_tokens, output_tokens, .. } = end else { panic!() };
    assert_eq!((reason, input_tokens, output_tokens), (FinishReason::Stop, 5, 20));
    renter.until_paid().await;
    renter.send(FromRenter::End).await;
    let record = stage.ended().await;
    assert_eq!((record.state, record.end_reason.as_deref()), (SessionState::Settling, Some("end")));
    assert_eq!(record.voucher.unwrap().voucher.amount, units(5 + 3 * 20));
    assert!(stage.claimed().await.is_some());
}

#[tokio::test]
async fn nothing_beyond_the_window_is_served_without_a_voucher() {
    let stage = Stage::new(50, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(stage.script.made.load(Ordering::Relaxed), 3, "window of 8 less a prompt of 5");
    renter.until(|frame| matches!(frame, FromHost::Chunk(chunk) if chunk.index == 7)).await;
    renter.until(finished).await;
    assert_eq!(renter.tally.tokens(), 55);
}

#[tokio::test]
async fn a_session_without_a_voucher_is_left_alone() {
    let stage = Stage::new(50, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.send(FromRenter::End).await;
    let record = stage.ended().await;
    assert_eq!(record.state, SessionState::Abandoned);
    assert!(stage.claimed().await.is_none());
}

#[tokio::test]
async fn a_dropped_connection_comes_back_and_misses_nothing() {
    let stage = Stage::new(30, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(7, PROMPT, None).await;
    renter.until(|frame| matches!(frame, FromHost::Chunk(chunk) if chunk.index == 9)).await;
    // The host serves on into the void up to the window; then the peer is back.
    stage.session.send(Command::Detach(renter.id)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(stage.record().await.state, SessionState::Detached);
    let ready = stage.attach(2, &mut renter).await.unwrap();
    assert!(ready.resumed);
    assert_eq!((ready.tokens, ready.running), (renter.tally.tokens(), Some(7)));
    assert_eq!(stage.record().await.state, SessionState::Open);
    renter.until(finished).await;
    assert_eq!(renter.tally.tokens(), 35);
}

#[tokio::test]
async fn a_renter_that_lost_everything_since_its_voucher_gets_it_again() {
    // Ten tokens per base unit: vouchers cover tokens that the renter never saw.
    let price = Price { input: units(100_000), output: units(100_000) };
    let stage = Stage::new(40, 1000, price, config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(7, PROMPT, None).await;
    renter.until(accepted).await;
    // Read nothing more for a while: the voucher's base unit pays for tokens beyond it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let ready = stage.attach(2, &mut renter).await.unwrap();
    assert_eq!(ready.tokens, renter.tally.tokens(), "goes on from what the renter holds");
    renter.until(finished).await;
    assert_eq!(renter.tally.tokens(), 45);
}

#[tokio::test]
async fn a_second_connection_takes_over_and_the_first_is_told() {
    let stage = Stage::new(10, 1000, per_token(1, 1), config()).await;
    let mut first = stage.renter();
    stage.attach(1, &mut first).await.unwrap();
    let mut second = stage.renter();
    stage.attach(2, &mut second).await.unwrap();
    let told = first.until(|frame| matches!(frame, FromHost::Error { .. })).await;
    let FromHost::Error { error, fatal, .. } = told else { panic!() };
    assert_eq!((error.code, fatal), (ErrorCode::SessionTaken, true));
    assert!(first.closed.is_cancelled());
    // What the first one still sends or says of itself changes nothing.
    first.send(FromRenter::End).await;
    stage.session.send(Command::Detach(first.id)).await;
    second.ask(1, PROMPT, None).await;
    second.until(finished).await;
    assert_eq!(stage.record().await.state, SessionState::Open);
}

#[tokio::test]
async fn a_connection_that_does_not_read_is_closed_and_may_come_back() {
    let stage = Stage::new(30, 1000, per_token(1, 1), HostConfig { window: 40, ..config() }).await;
    let mut renter = stage.renter();
    stage.attach_queue(1, &mut renter, 4).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    tokio::time::timeout(Duration::from_secs(5), renter.closed.cancelled()).await.unwrap();
    while renter.next().await.is_some() {}
    let have = renter.tally.tokens();
    assert!(have < 35);
    let ready = stage.attach(2, &mut renter).await.unwrap();
    assert_eq!(ready.tokens, have);
    renter.until(finished).await;
    assert_eq!(renter.tally.tokens(), 35);
}

#[tokio::test]
async fn a_voucher_lost_on_the_way_counts_when_the_renter_comes_back() {
    let mut stage = Stage::new(30, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(7, PROMPT, None).await;
    while renter.tally.tokens() < 8 {
        renter.next().await.unwrap();
    }
    // Signed, and the host's process is gone before it arrives.
    renter.voucher();
    stage.restart().await;
    renter.session = stage.session.clone();
    let ready = stage.attach(2, &mut renter).await.unwrap();
    assert_eq!((ready.tokens, ready.running), (8, None));
    assert_eq!(stage.record().await.voucher.unwrap().voucher.amount, units(8));
    renter.send(FromRenter::End).await;
    assert_eq!(stage.ended().await.state, SessionState::Settling);
}

#[tokio::test]
async fn a_tally_that_does_not_hash_to_its_voucher_is_not_adopted() {
    let mut stage = Stage::new(30, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(7, PROMPT, None).await;
    while renter.tally.tokens() < 8 {
        renter.next().await.unwrap();
    }
    let mut newest = renter.voucher();
    newest.tally.output += 1;
    newest.tally.input -= 1;
    newest.tally.frontier.peaks[0].0[0] ^= 1;
    renter.newest = Some(newest);
    stage.restart().await;
    let refused = stage.attach(2, &mut renter).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::VoucherMismatch);
    assert!(stage.record().await.voucher.is_none());
}

#[tokio::test]
async fn a_restarted_host_goes_on_from_its_newest_voucher() {
    let mut stage = Stage::new(20, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    renter.until(finished).await;
    renter.until_paid().await;
    let covered = renter.newest.clone().unwrap().tally.frontier.size;
    stage.restart().await;
    renter.session = stage.session.clone();
    let ready = stage.attach(2, &mut renter).await.unwrap();
    assert_eq!((ready.tokens, ready.resumed), (covered, true));
}

#[tokio::test]
async fn cancelling_stops_at_what_was_served() {
    let stage = Stage::new(1000, 10_000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    renter.until(accepted).await;
    renter.send(FromRenter::Cancel { request_id: 99 }).await;
    renter.until(accepted).await;
    renter.send(FromRenter::Cancel { request_id: 1 }).await;
    let end = renter.until(finished).await;
    assert!(matches!(end, FromHost::Finished { reason: FinishReason::Cancelled, .. }));
    renter.ask(2, PROMPT, Some(3)).await;
    let end = renter.until(finished).await;
    assert!(matches!(
        end,
        FromHost::Finished { output_tokens: 3, reason: FinishReason::Length, .. }
    ));
}

#[tokio::test]
async fn a_deposit_that_is_used_up_ends_the_session_paid_in_full() {
    let stage = Stage::new(1000, 40, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    let end = renter.until(finished).await;
    assert!(matches!(end, FromHost::Finished { reason: FinishReason::DepositExhausted, .. }));
    renter.until(|frame| matches!(frame, FromHost::Ended { .. })).await;
    let record = stage.ended().await;
    assert_eq!(record.end_reason.as_deref(), Some("exhausted"));
    assert_eq!(record.voucher.unwrap().voucher.amount, units(40));
    assert_eq!(renter.tally.owed(), Amount::new(40));
}

#[tokio::test]
async fn a_prompt_that_the_deposit_cannot_pay_is_refused_uncounted() {
    let stage = Stage::new(10, 5, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(3, PROMPT, None).await;
    let refused = renter.until(|frame| matches!(frame, FromHost::Error { .. })).await;
    let FromHost::Error { error, request_id, fatal } = refused else { panic!() };
    assert_eq!((error.code, request_id), (ErrorCode::PaymentRequired, Some(3)));
    assert!(!fatal);
    renter.ask(4, &PROMPT[..2], None).await;
    renter.until(|frame| matches!(frame, FromHost::PromptAccepted { index: 0, .. })).await;
}

#[tokio::test]
async fn draining_lets_an_answer_finish_and_takes_no_other() {
    let stage = Stage::new(60, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    renter.until(accepted).await;
    stage.session.send(Command::Drain(EndReason::HostShutdown)).await;
    renter.send(FromRenter::Ping).await;
    renter.until(finished).await;
    renter.until(|frame| matches!(frame, FromHost::Ended { .. })).await;
    let record = stage.ended().await;
    assert_eq!(record.end_reason.as_deref(), Some("host_shutdown"));
    assert_eq!(record.voucher.unwrap().voucher.amount, units(65));
}

#[tokio::test]
async fn draining_does_not_wait_for_a_renter_that_does_not_pay() {
    let short = HostConfig { drain: Duration::from_millis(100), ..config() };
    let stage = Stage::new(60, 1000, per_token(1, 1), short).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    stage.session.send(Command::Drain(EndReason::HostShutdown)).await;
    assert_eq!(stage.ended().await.end_reason.as_deref(), Some("host_shutdown"));
}

#[tokio::test]
async fn a_flood_of_frames_does_not_keep_a_session_past_its_time() {
    let short = HostConfig { drain: Duration::from_millis(300), ..config() };
    let stage = Stage::new(60, 1000, per_token(1, 1), short).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    // Something is served and never paid, so that only its time can end the session.
    renter.ask(1, PROMPT, None).await;
    renter.until(|frame| matches!(frame, FromHost::PromptAccepted { .. })).await;
    stage.session.send(Command::Drain(EndReason::HostShutdown)).await;
    let frames = &mut renter.frames;
    let flood = async {
        loop {
            let ping = Command::Frame(renter.id, FromRenter::Ping);
            if !stage.session.send(ping).await {
                return;
            }
            while frames.try_recv().is_ok() {}
        }
    };
    tokio::time::timeout(Duration::from_secs(10), flood).await.unwrap();
    stage.ended().await;
}

#[tokio::test]
async fn a_renter_that_stays_away_is_settled_after_the_grace_period() {
    let short = HostConfig { grace: Duration::from_millis(100), ..config() };
    let stage = Stage::new(20, 1000, per_token(1, 1), short).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    renter.until(accepted).await;
    stage.session.send(Command::Detach(renter.id)).await;
    let record = stage.ended().await;
    assert_eq!(record.end_reason.as_deref(), Some("disconnect"));
    assert_eq!(record.state, SessionState::Settling);
}

#[tokio::test]
async fn a_bad_voucher_changes_nothing_and_a_good_one_still_counts() {
    let stage = Stage::new(30, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    while renter.tally.tokens() < 8 {
        renter.next().await.unwrap();
    }
    let good = renter.voucher().voucher;
    let mut forged = good.clone();
    let mut bytes = forged.signature.0.to_vec();
    bytes[10] ^= 1;
    forged.signature.0 = bytes.into();
    let mut other = good.clone();
    other.voucher.tokens += 1;
    for (voucher, code) in [(forged, ErrorCode::BadSignature), (other, ErrorCode::VoucherMismatch)]
    {
        renter.send(FromRenter::Voucher(voucher)).await;
        let told = renter.until(|frame| matches!(frame, FromHost::Error { .. })).await;
        let FromHost::Error { error, fatal: false, .. } = told else { panic!("{told:?}") };
        assert_eq!(error.code, code);
    }
    assert!(stage.record().await.voucher.is_none());
    renter.send(FromRenter::Voucher(good)).await;
    renter.until(finished).await;
}

#[tokio::test]
async fn a_backend_that_fails_leaves_the_session_usable() {
    let script = Script { tokens: 9, fails_at: Some(4), made: AtomicU64::new(0) };
    let stage = Stage::with(script, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    for request_id in 1..3 {
        renter.ask(request_id, PROMPT, None).await;
        let told = renter.until(|frame| matches!(frame, FromHost::Error { .. })).await;
        let FromHost::Error { error, request_id: Some(failed), .. } = told else { panic!() };
        assert_eq!((error.code, failed), (ErrorCode::BackendFailed, request_id));
    }
    assert_eq!(renter.tally.tokens(), 18);
}

#[tokio::test]
async fn a_second_prompt_waits_for_the_first() {
    let stage = Stage::new(30, 1000, per_token(1, 1), config()).await;
    let mut renter = stage.renter();
    stage.attach(1, &mut renter).await.unwrap();
    renter.ask(1, PROMPT, None).await;
    renter.ask(2, PROMPT, None).await;
    let told = renter.until(|frame| matches!(frame, FromHost::Error { .. })).await;
    let FromHost::Error { error, request_id, .. } = told else { panic!() };
    assert_eq!((error.code, request_id), (ErrorCode::RequestRunning, Some(2)));
}
