//! `capstan reconcile`: one comparison of the store with the chains, and what follows from it.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use capstan_base::ChainId;
use capstan_chain::ChainClient;
use capstan_host::offline::{Comparison, Difference, Offline, Unsettled, differences, unsettled};
use capstan_kit::SystemClock;
use capstan_renter::close::{CloseStep, look as compare};
use capstan_store::{SessionStore, Store};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::context::{Context, clients};
use crate::look::{Look, LookArgs};
use crate::output::Output;
use crate::settings::PartialError;
use crate::wish::unfinished;

type Chains = BTreeMap<ChainId, Arc<ChainClient>>;

/// Pause between looks at intents that are under way.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Options of `capstan reconcile`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  capstan reconcile                # compare, send on what is unfinished, write down what is over
  capstan reconcile --dry-run      # only say what differs; works while `capstan host` runs

Run twice, the second run finds nothing to do. It starts no settlement: see `capstan settle`. Exit code 1:
no chain could be read; 3: some could not.")]
pub struct ReconcileArgs {
    /// Only say what differs
    #[arg(long)]
    dry_run: bool,
    /// Longest wait for transactions that are under way, seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
    #[command(flatten)]
    look: LookArgs,
}

/// What a pass found and did.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    differences: Vec<Value>,
    done: Vec<Value>,
    /// Sessions and rentals whose chain was asked.
    asked: usize,
    /// Of those, the ones whose chain did not answer.
    unreadable: usize,
}

pub async fn run(args: ReconcileArgs, global: &Global, output: &Output) -> Result<()> {
    let mut report = Report::default();
    if args.dry_run {
        let look = Look::load(global, &args.look).await?;
        let chains = clients(&look.settings);
        if let Some(store) = look.session_store().await? {
            report.intents(&*store).await?;
            report.sessions(differences(&*store, &chains).await?);
        }
        if look.settings.store.is_none()
            && let Some(store) = look.store()?
        {
            report.rentals(&store, &chains, false).await?;
        }
    } else {
        let context = Context::load(global).await?;
        // Rentals lie in a database of this machine's own, and there are none beside [store].
        let own = match &context.settings.store {
            None => Some(context.open_store("reconcile")?),
            Some(_) => None,
        };
        let store: Arc<dyn SessionStore> = match &own {
            Some(own) => Arc::new(own.clone()),
            None => context.open_session_store("reconcile").await?,
        };
        let chains = clients(&context.settings);
        report.pass(&context, &store, &chains, Duration::from_secs(args.wait)).await?;
        if let Some(own) = &own {
            report.rentals(own, &chains, true).await?;
        }
    }
    if report.lines.is_empty() {
        report.lines.push("store and chains agree: nothing to do".to_owned());
    }
    let value = json!({
        "dry_run": args.dry_run, "differences": report.differences, "done": report.done,
    });
    output.answer(report.lines.join("\n"), &value);
    report.end()
}

impl Report {
    async fn pass(
        &mut self,
        context: &Context,
        store: &Arc<dyn SessionStore>,
        chains: &Chains,
        within: Duration,
    ) -> Result<()> {
        let before = unfinished(&**store, None).await?;
        let live = unsettled(&**store).await?;
        let engine = context.settling_engine(store, chains).await?;
        let clock = Arc::new(SystemClock);
        let offline =
            Offline::new(Arc::clone(store), engine, chains.clone(), context.account(), clock);
        // Lanes send again what was under way and look for what was mined.
        let over = async {
            while !unfinished(&**store, None).await?.is_empty() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            anyhow::Ok(())
        };
        if let Ok(outcome) = tokio::time::timeout(within, over).await {
            outcome?;
        }
        for intent in before {
            let Some(now) = store.intent(intent.id).await? else { continue };
            if now.state != intent.state {
                let state = super::intents::standing(&now);
                self.did(
                    format!("intent {} ({}) is {state}", intent.id, intent.request.label),
                    json!({ "intent": intent.id, "label": intent.request.label, "state": state }),
                );
            }
        }
        offline.finish().await?;
        for Unsettled { session, .. } in live {
            let Some(now) = store.session(session.key).await? else { continue };
            if now.state != session.state {
                let (id, state) = (session.key.session_id, now.state.as_str());
                self.did(
                    format!("session {id} is {state}"),
                    json!({ "session_id": id, "chain_id": session.key.chain_id, "state": state }),
                );
            }
        }
        self.intents(&**store).await?;
        self.sessions(offline.differences().await?);
        Ok(())
    }

    fn did(&mut self, line: String, value: Value) {
        self.lines.push(line);
        self.done.push(value);
    }

    fn differs(&mut self, line: String, value: Value) {
        self.lines.push(line);
        self.differences.push(value);
    }

    /// What was not compared is no agreement.
    fn end(&self) -> Result<()> {
        match (self.unreadable, self.asked) {
            (0, _) => Ok(()),
            (all, asked) if all == asked => bail!("no chain that was asked can be read"),
            (some, asked) => {
                let text =
                    format!("{some} of {asked} were not compared: their chains cannot be read");
                Err(PartialError(text).into())
            }
        }
    }

    async fn intents(&mut self, store: &dyn SessionStore) -> Result<()> {
        for intent in unfinished(store, None).await? {
            let (id, label, state) = (intent.id, &intent.request.label, intent.state.as_str());
            self.differs(
                format!(
                    "intent {id} ({label}) is {state}: not over yet; see `capstan explain {id}`"
                ),
                json!({ "intent": id, "label": label, "state": state }),
            );
        }
        Ok(())
    }

    fn sessions(&mut self, compared: Comparison) {
        self.asked = self.asked.saturating_add(compared.asked);
        self.unreadable = self.unreadable.saturating_add(compared.unreadable);
        for Difference { key, stored, what, claimable, served_by } in compared.found {
            let (id, stored) = (key.session_id, stored.as_str());
            let place = match &served_by {
                None => "here".to_owned(),
                Some(by) => format!("at the machine {by}"),
            };
            let next = match &served_by {
                None if claimable => "; `capstan settle` claims it".to_owned(),
                Some(by) if claimable => format!(
                    "; if {by} is gone for good, `capstan settle --all --of-machine {by}` claims it"
                ),
                _ => String::new(),
            };
            self.differs(
                format!("session {id} on chain {} is {stored} {place}: {what}{next}", key.chain_id),
                json!({
                    "session_id": id, "chain_id": key.chain_id, "stored": stored, "what": what,
                    "claimable": claimable, "served_by": served_by,
                }),
            );
        }
    }

    /// Rentals whose chain says that they are over.
    async fn rentals(&mut self, store: &Store, chains: &Chains, write: bool) -> Result<()> {
        for rental in store.rentals(None).await? {
            let (Some(chain), None) = (chains.get(&rental.key.chain_id), rental.closing) else {
                continue;
            };
            let id = rental.key.session_id;
            self.asked = self.asked.saturating_add(1);
            let value =
                json!({ "session_id": id, "chain_id": rental.key.chain_id, "rental": true });
            match compare(chain, store, &rental).await {
                Ok(CloseStep::Closed(closing)) if write => {
                    store.finish_rental(rental.key, closing).await?;
                    self.did(format!("rental {id} is closed; written down"), value);
                }
                Ok(CloseStep::Closed(_)) => {
                    self.differs(
                        format!("rental {id} is closed on chain; not written down"),
                        value,
                    );
                }
                Ok(_) => {}
                Err(error) => {
                    self.unreadable = self.unreadable.saturating_add(1);
                    self.differs(format!("rental {id} cannot be compared: {error}"), value)
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_that_read_nothing_is_no_agreement() {
        let report = |asked, unreadable| Report { asked, unreadable, ..Report::default() };
        assert!(report(0, 0).end().is_ok() && report(5, 0).end().is_ok());
        assert!(report(5, 2).end().unwrap_err().is::<PartialError>());
        assert!(!report(5, 5).end().unwrap_err().is::<PartialError>());
    }
}
