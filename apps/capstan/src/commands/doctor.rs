//! `capstan doctor`: every condition of running well, checked, with what to do about each.

mod chain;
mod local;
mod store;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::context::clients;
use crate::output::Output;
use crate::settings::Settings;

/// Options of `capstan doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  capstan doctor
  capstan doctor --json | jq 'select(.status == \"fail\")'

Works while `capstan host` runs: it reads, locks nothing and sends nothing. A warning needs a look, a
failure needs a hand: the exit code is 1 if there is one.")]
pub struct DoctorArgs {}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    Warn,
    Fail,
}

/// Checks so far, told as they come.
struct Checks<'a> {
    output: &'a Output,
    failed: usize,
    warned: usize,
}

impl Checks<'_> {
    fn ok(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.add(name, Status::Ok, detail, "");
    }

    fn warn(
        &mut self,
        name: impl Into<String>,
        detail: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.add(name, Status::Warn, detail, next);
    }

    fn fail(
        &mut self,
        name: impl Into<String>,
        detail: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.add(name, Status::Fail, detail, next);
    }

    fn add(
        &mut self,
        name: impl Into<String>,
        status: Status,
        detail: impl Into<String>,
        next: impl Into<String>,
    ) {
        let (name, detail, next) = (name.into(), detail.into(), next.into());
        let word = match status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        };
        self.failed += usize::from(status == Status::Fail);
        self.warned += usize::from(status == Status::Warn);
        let hint = if next.is_empty() { String::new() } else { format!("\n      -> {next}") };
        self.output.answer(
            format!("{word:<4}  {name}: {detail}{hint}"),
            &json!({ "check": name, "status": word, "detail": detail, "next": next }),
        );
    }
}

pub async fn run(_: DoctorArgs, global: &Global, output: &Output) -> Result<()> {
    let mut checks = Checks { output, failed: 0, warned: 0 };
    let settings = match Settings::load(global.config.as_deref()) {
        Ok(settings) => Some(settings),
        Err(error) => {
            match error.downcast_ref::<capstan_kit::Problems>() {
                Some(problems) => {
                    for problem in problems.iter() {
                        let hint = problem.hint.as_str();
                        checks.fail(format!("config {}", problem.path), &problem.message, hint);
                    }
                }
                None => checks.fail("config", format!("{error:#}"), "mend the file"),
            }
            None
        }
    };
    let account = local::key(&mut checks, global).await;
    local::disk(&mut checks, global);
    match settings.as_ref().and_then(|settings| settings.store.as_ref()) {
        Some(shared) => store::check(&mut checks, shared).await,
        None => local::database(&mut checks, global, account).await,
    }
    if let Some(settings) = settings {
        let chains = clients(&settings);
        if chains.is_empty() {
            let next = "set the contracts of a chain in capstan.toml; see `capstan chains`";
            checks.fail("config", "no chain is enabled", next);
        } else {
            checks.ok("config", format!("{} chains enabled", chains.len()));
        }
        for client in chains.values() {
            chain::check(&mut checks, client, &settings, account).await;
        }
    }
    let Checks { failed, warned, .. } = checks;
    if failed > 0 {
        bail!("{failed} checks failed, {warned} warn");
    }
    Ok(())
}
