//! `capstan host`: serve models and settle sessions.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use capstan_chain::ChainClient;
use capstan_host::backend::Backend;
use capstan_host::backend::reference::ReferenceBackend;
use capstan_host::backend::upstream::{UpstreamBackend, UpstreamConfig};
use capstan_host::{Host, HostParts, ServedModel};
use capstan_kit::telemetry::Metrics;
use capstan_kit::{Secret, SystemClock, causes};
use capstan_model::Model;
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::Global;
use crate::context::{Context, clients, model_name};
use crate::output::Output;
use crate::settings::{ModelSettings, UsageError};

/// Address of the front when nothing says otherwise: this machine alone.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// Options of `capstan host`.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// Address to listen on; port 0 takes a free one [default: [host] listen, or 127.0.0.1:8080]
    #[arg(long, env = "CAPSTAN_LISTEN", value_name = "ADDRESS")]
    listen: Option<String>,
    /// GGUF file to serve with the reference engine, besides those of the configuration; may be
    /// given more than once
    #[arg(long = "model", value_name = "FILE")]
    models: Vec<PathBuf>,
}

pub async fn run(args: HostArgs, global: &Global, output: &Output) -> Result<()> {
    let stop = stop_on_signal()?;
    // Before anything counts: what was counted earlier would be lost.
    let metrics = Metrics::install()?;
    let context = Context::load(global).await?;
    let settings = &context.settings;
    let models = load_models(&context, args.models)?;
    let chains = clients(settings);
    if chains.is_empty() {
        return Err(UsageError(
            "no chain is enabled: set its contracts in capstan.toml, see `capstan chains`".into(),
        )
        .into());
    }
    for chain in chains.values() {
        check_chain(chain).await?;
        tell_registration(chain, &context, &models).await;
    }
    let store = context.open_session_store("host").await?;
    let engine = context.settling_engine(&store, &chains).await?;
    for lane in engine.orphans().await? {
        tracing::warn!(
            chain_id = lane.chain_id.0, account = %lane.sender,
            "stored transactions wait for this chain and key, which are not configured now"
        );
    }
    if let Err(error) = context.open_desk(context.outbox(engine.clone(), store.clone())) {
        let error = format!("{error:#}");
        tracing::warn!(error, "commands that send have to wait until this host is stopped");
    }
    let host = Host::start(HostParts {
        host: context.account(),
        config: settings.host.clone(),
        chains,
        models,
        store,
        engine: engine.clone(),
        metrics,
        clock: Arc::new(SystemClock),
        webhook: settings.webhook.clone(),
        receipts: settings.receipts.then(|| Arc::clone(&context.signer)),
    })
    .await?;
    let listen = args.listen.or(settings.listen.clone()).unwrap_or(DEFAULT_LISTEN.to_owned());
    let listener =
        TcpListener::bind(&listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    output.answer(
        format!("host {} listens on http://{address}", context.account()),
        &json!({ "event": "listening", "host": context.account(), "url": format!("http://{address}") }),
    );
    host.serve(listener, stop).await?;
    context.stop.cancel();
    engine.stopped().await;
    Ok(())
}

/// A chain that cannot be reached is tried again while serving; one that is not what the
/// configuration says is a mistake to be mended first.
async fn check_chain(chain: &ChainClient) -> Result<()> {
    let Err(findings) = chain.verify().await else { return Ok(()) };
    if findings.iter().all(capstan_chain::ChainError::is_retryable) {
        for finding in &findings {
            tracing::error!(
                chain_id = chain.chain_id().0,
                finding = causes(finding),
                "chain unreachable at start; sessions on it wait until it answers"
            );
        }
        return Ok(());
    }
    let findings: Vec<_> = findings.iter().map(|finding| causes(finding)).collect();
    bail!("chain {} ({}): {}", chain.config().title, chain.chain_id(), findings.join("; "));
}

/// Tells an operator why no renter comes: not registered, leaving, or no price for a model.
async fn tell_registration(chain: &ChainClient, context: &Context, models: &[ServedModel]) {
    let (account, title) = (context.account(), &chain.config().title);
    match chain.node(account).await {
        Ok(None) => {
            tracing::warn!(%account, chain = title, "not registered here; see `capstan register`");
        }
        Ok(Some(node)) if node.unbonds_at.is_some() => {
            tracing::warn!(%account, chain = title, "unbonding: renters cannot open sessions here");
        }
        Ok(Some(_)) => {
            for model in models {
                let tokens = chain.config().tokens.values().map(|token| token.address);
                let mut offered = false;
                for token in core::iter::once(capstan_base::Address::ZERO).chain(tokens) {
                    offered |=
                        matches!(chain.price_of(account, model.id(), token).await, Ok(Some(_)));
                }
                if !offered {
                    tracing::warn!(
                        model = model.name,
                        chain = title,
                        "no price is set here for it"
                    );
                }
            }
        }
        // Said already when the chain was checked.
        Err(error) => tracing::debug!(%error, "registration unknown"),
    }
}

fn load_models(context: &Context, files: Vec<PathBuf>) -> Result<Vec<ServedModel>> {
    let settings = &context.settings;
    let named = files.into_iter().map(|file| ModelSettings { name: None, file, upstream: None });
    let all: Vec<_> = settings.models.iter().cloned().chain(named).collect();
    if all.is_empty() {
        return Err(UsageError(
            "no model to serve: name a GGUF file with --model, or [host.models.<name>]".into(),
        )
        .into());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = settings.workers.unwrap_or(cores);
    all.into_iter().map(|model| serve_model(model, workers)).collect()
}

fn serve_model(settings: ModelSettings, workers: usize) -> Result<ServedModel> {
    let file = settings.file.display().to_string();
    let model = Arc::new(Model::load(&settings.file).with_context(|| format!("model {file}"))?);
    let name = settings.name.unwrap_or_else(|| model_name(&settings.file));
    let backend: Arc<dyn Backend> = match settings.upstream {
        None => Arc::new(ReferenceBackend::start(Arc::clone(&model), workers)?),
        Some(upstream) => {
            let api_key = upstream
                .key_env
                .map(|variable| {
                    std::env::var(&variable)
                        .map(Secret::new)
                        .with_context(|| format!("upstream key: {variable} is not set"))
                })
                .transpose()?;
            let config = UpstreamConfig {
                base_url: upstream.url,
                api_key,
                model: upstream.model.unwrap_or_else(|| name.clone()),
            };
            Arc::new(UpstreamBackend::new(config, Arc::clone(&model))?)
        }
    };
    tracing::info!(name, id = %hex(&model.id()), backend = backend.name(), "model loaded");
    Ok(ServedModel { name, model, backend })
}

fn hex(bytes: &[u8; 32]) -> capstan_base::B256 {
    bytes.into()
}

/// Cancelled by SIGTERM or SIGINT.
fn stop_on_signal() -> Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(token)
}
