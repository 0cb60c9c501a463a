//! `capstan settle`: claim what was signed for, while the host does not run.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use capstan_base::{Amount, SessionId, SessionKey};
use capstan_chain::ChainClient;
use capstan_host::offline::{Offline, unsettled};
use capstan_kit::SystemClock;
use capstan_store::{EngineStore, Session, SessionState, SessionStore};
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::context::{Context, clients, verify};
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

`capstan host` does this by itself; use it when the host is not going to run again soon. Cut short,
it goes on when it is run again. Sessions with nothing signed are left to their renters.
Exit code 3: some sessions are settled and some are not yet.")]
pub struct SettleArgs {
    /// Session to settle
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    session: Option<SessionId>,
    /// Every session that was served from here
    #[arg(long)]
    all: bool,
    /// Longest wait, seconds; what is not final by then is stored and goes on at the next run
    #[arg(long, default_value_t = 1800, value_name = "SECONDS")]
    wait: u64,
}

pub async fn run(args: SettleArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let store = context.open_session_store("settle").await?;
    let mut chosen = unsettled(&*store).await?;
    if let Some(id) = args.session {
        chosen.retain(|session| session.key.session_id == id);
        if chosen.is_empty() {
            return over(&*store, id, output).await;
        }
    }
    let mut chains = clients(&context.settings);
    let wanted: BTreeSet<_> = chosen.iter().map(|session| session.key.chain_id).collect();
    for id in &wanted {
        if !chains.contains_key(id) {
            let text = format!("chain {id} of a session is not configured any more; configure it");
            return Err(UsageError(text).into());
        }
    }
    chains.retain(|id, _| wanted.contains(id));
    for chain in chains.values() {
        // One that is down is waited for below; one that is another chain is not to be sent to.
        if let Err(error) = verify(chain).await {
            output.progress(format!("{error:#}"));
        }
    }
    let list: Vec<Arc<ChainClient>> = chains.values().cloned().collect();
    let engine = context.engine_on(Arc::clone(&store) as Arc<dyn EngineStore>, &list)?;
    let clock = Arc::new(SystemClock);
    let offline =
        Offline::new(Arc::clone(&store), engine, chains.clone(), context.account(), clock);
    let (mut pending, mut left) = (Vec::new(), 0_usize);
    for session in &chosen {
        if session.state == SessionState::Settling || offline.settle(session).await? {
            pending.push(session.key);
        } else {
            left += 1;
        }
    }
    if left > 0 {
        output.progress(format!("{left} with nothing signed are left to their renters"));
    }
    if pending.is_empty() {
        output.answer("nothing to settle", &json!({ "event": "done", "settled": 0, "pending": 0 }));
        return Ok(());
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
    output.answer(
        format!("{settled} settled, {} under way", pending.len()),
        &json!({ "event": "done", "settled": settled, "pending": pending.len() }),
    );
    match (settled, pending.is_empty()) {
        (_, true) => Ok(()),
        (0, false) => bail!("not final yet; it is stored: run this again, see `capstan intents`"),
        _ => {
            let text = "some are not final yet; they are stored: run this again".to_owned();
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
