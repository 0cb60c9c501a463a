//! `capstan settle`: claim what was signed for, while the host does not run.

mod chosen;

use core::time::Duration;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use capstan_base::{Amount, SessionId, SessionKey};
use capstan_host::offline::{Offline, Unsettled};
use capstan_host::settlement::claim_of;
use capstan_kit::SystemClock;
use capstan_store::{Session, SessionState, SessionStore};
use clap::Args;
use serde_json::json;

use self::chosen::Chosen;
use crate::cli::Global;
use crate::context::{Context, clients};
use crate::output::Output;
use crate::rental::symbol_of;
use crate::settings::{PartialError, UsageError};

/// Pause between looks at what is under way.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Options of `capstan settle`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  capstan settle --all             # everything that was signed for here
  capstan settle 0x4f2a…           # one session
  capstan settle --all --json      # one line per session that is settled
  capstan settle --all --of-machine gpu-1   # with [store]: what a machine that is gone served, too

`capstan host` does this by itself; use it when the host is not going to run again soon. Cut short,
it goes on when it is run again. Sessions with nothing signed are left to their renters.
Where machines share a store, what another one serves is its own to settle, and told; a session that is
named is taken from it. Exit code 3: some are settled, and some are not yet or were left out: of chains
that are not configured, or of other machines.")]
pub struct SettleArgs {
    /// Session to settle
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    session: Option<SessionId>,
    /// Every session that was served from here
    #[arg(long)]
    all: bool,
    /// With --all and [store]: also what this other machine served, which is gone for good
    #[arg(long, value_name = "MACHINE", requires = "all")]
    of_machine: Option<String>,
    /// Longest wait, seconds; what is not final by then is stored and goes on at the next run
    #[arg(long, default_value_t = 1800, value_name = "SECONDS")]
    wait: u64,
}

pub async fn run(args: SettleArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let store = context.open_session_store("settle").await?;
    let machine = args.of_machine.as_deref();
    let mut chosen = Chosen::of(&*store, args.session, machine, output).await?;
    if let Some(id) = args.session
        && chosen.sessions.is_empty()
    {
        return over(&*store, id, output).await;
    }
    let chains = chosen.on_chains(clients(&context.settings), output).await;
    if let (Some(id), true) = (args.session, chosen.sessions.is_empty()) {
        return Err(UsageError(format!("session {id} is left out, as told above")).into());
    }
    let engine = context.settling_engine(&store, &chains).await?;
    let clock = Arc::new(SystemClock);
    let offline = Offline::new(Arc::clone(&store), engine, chains, context.account(), clock);
    let (mut pending, mut left) = (Vec::new(), 0_usize);
    for Unsettled { session, served_by } in chosen.sessions {
        let session = match served_by {
            None => Some(session),
            // Taken from its machine it would be served by nobody, and there is nothing to claim.
            Some(_) if claim_of(&session).is_zero() => {
                left += 1;
                continue;
            }
            Some(_) => offline.take_up(session.key).await?,
        };
        let Some(session) = session else { continue };
        if session.state == SessionState::Settling || offline.settle(&session).await? {
            pending.push(session.key);
        } else {
            left += 1;
        }
    }
    if left > 0 {
        output.progress(format!("{left} with nothing signed are left to their renters"));
    }
    if pending.is_empty() {
        let value = json!({
            "event": "done", "settled": 0, "pending": 0, "left_out": chosen.left_out,
        });
        output.answer("nothing to settle", &value);
        return end(0, 0, chosen.left_out);
    }
    output.progress(format!("settling {}…", pending.len()));
    let all = pending.len();
    let watch = async {
        loop {
            offline.finish().await?;
            pending = tell_settled(&*store, &context, pending.split_off(0), output).await?;
            if pending.is_empty() {
                return anyhow::Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(args.wait), watch).await;
    if let Ok(outcome) = waited {
        outcome?;
    }
    let settled = all.saturating_sub(pending.len());
    let (under_way, left_out) = (pending.len(), chosen.left_out);
    output.answer(
        format!("{settled} settled, {under_way} under way"),
        &json!({
            "event": "done", "settled": settled, "pending": under_way, "left_out": left_out,
        }),
    );
    end(settled, under_way, left_out)
}

/// How it went, as an exit code tells it.
fn end(settled: usize, under_way: usize, left_out: usize) -> Result<()> {
    match (settled, under_way, left_out) {
        (_, 0, 0) => Ok(()),
        (0, _, 0) => bail!("not final yet; it is stored: run this again, see `capstan intents`"),
        (_, 0, left) => Err(PartialError(format!("{left} were left out, as told above")).into()),
        (_, _, left) => {
            let text = format!(
                "some are not final yet; they are stored: run this again; {left} were left out"
            );
            Err(PartialError(text).into())
        }
    }
}

/// Tells of those that are settled now, and gives the others back.
async fn tell_settled(
    store: &dyn SessionStore,
    context: &Context,
    pending: Vec<SessionKey>,
    output: &Output,
) -> Result<Vec<SessionKey>> {
    let mut left = Vec::new();
    for key in pending {
        match store.session(key).await?.filter(|session| session.closing.is_some()) {
            Some(session) => tell(&session, context, output),
            None => left.push(key),
        }
    }
    Ok(left)
}

fn tell(session: &Session, context: &Context, output: &Output) {
    let Some(closing) = session.closing else { return };
    let chain = clients(&context.settings).remove(&session.key.chain_id);
    let (symbol, decimals) =
        chain.map_or(("base units".to_owned(), 0), |chain| symbol_of(&chain, session.terms.token));
    let human = |amount: Amount| format!("{} {symbol}", amount.to_decimal(decimals));
    output.answer(
        format!("{} paid {} in {}", session.key.session_id, human(closing.paid), closing.close_tx),
        &json!({
            "event": "settled",
            "session_id": session.key.session_id,
            "chain_id": session.key.chain_id,
            "token": session.terms.token,
            "host_paid": closing.paid,
            "fee": closing.fee,
            "refunded": closing.refund,
            "close_tx": closing.close_tx,
        }),
    );
}

/// A session that is over already, or was never served here.
async fn over(store: &dyn SessionStore, id: SessionId, output: &Output) -> Result<()> {
    let mut known = Vec::new();
    for state in [SessionState::Settled, SessionState::Abandoned] {
        known.extend(store.sessions_in(state).await?);
    }
    let session = known.into_iter().find(|session| session.key.session_id == id);
    let session = session.with_context(|| format!("session {id} was never served here"))?;
    let word = session.state.as_str();
    output.answer(
        format!("nothing to settle: session {id} is {word}"),
        &json!({ "event": "done", "settled": 0, "pending": 0, "state": word }),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_tells_by_its_code_what_was_left() {
        assert!(end(0, 0, 0).is_ok() && end(3, 0, 0).is_ok());
        assert!(!end(0, 2, 0).unwrap_err().is::<PartialError>(), "nothing is done");
        for (settled, under_way, left_out) in [(1, 2, 0), (0, 0, 1), (2, 0, 1), (0, 2, 1)] {
            assert!(end(settled, under_way, left_out).unwrap_err().is::<PartialError>());
        }
    }
}
