//! `capstan rent`: open a session, serve it as a local OpenAI endpoint or talk in the terminal,
//! pay per token, end it.

use core::time::Duration;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use capstan_base::Amount;
use capstan_kit::SystemClock;
use capstan_renter::Book;
use capstan_renter::close::{CloseStep, Closer};
use capstan_renter::link::{Link, LinkContext};
use capstan_renter::open::Opened;
use capstan_renter::proxy::{ProxyState, app};
use capstan_store::Store;
use capstan_wire::openai::{AnswerEvent, Message, Prompt};
use capstan_wire::session::PromptMessage;
use clap::Args;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;

use crate::cli::Global;
use crate::context::{Context, amount};
use crate::output::Output;
use crate::rental::{Prepared, SessionArgs, find_rental, prepare, symbol_of};

/// How long drops are bridged: longer than the host's grace period helps nobody.
const RECONNECT_FOR: Duration = Duration::from_secs(60);

/// How long an end waits to see the settlement on chain.
const SETTLE_WITHIN: Duration = Duration::from_secs(120);

/// Pause between looks at the chain while it settles.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Options of `capstan rent`.
#[derive(Debug, Args)]
pub struct RentArgs {
    #[command(flatten)]
    session: SessionArgs,
    /// Most to sign for, in whole token units [default: the deposit]
    #[arg(long)]
    budget: Option<String>,
    /// Address of the local OpenAI endpoint; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8788", value_name = "ADDRESS")]
    listen: String,
    /// Talk in the terminal instead
    #[arg(long)]
    chat: bool,
    /// Leave the session open when this command ends; go on later with --resume
    #[arg(long)]
    keep: bool,
}

pub async fn run(args: RentArgs, global: &Global, output: &Output) -> Result<()> {
    let context = Context::load(global).await?;
    let store = context.open_store("rent")?;
    let prepared = prepare(&context, &store, &args.session, output).await?;
    let Prepared { chain, model, opened, rental, closer, .. } = &prepared;
    let (symbol, decimals) = symbol_of(chain, opened.terms.token);
    let budget = match &args.budget {
        Some(text) => amount(text, decimals)?.min(opened.terms.deposit),
        None => opened.terms.deposit,
    };
    let mut book = Book::new(opened.key.session_id, Arc::clone(model), opened.price, budget);
    let newest = rental.voucher.clone().map(|voucher| (voucher, rental.tally.clone()));
    if let Some((voucher, tally)) = &newest
        && !voucher.voucher.is_ceiling()
    {
        book.resume(&voucher.voucher, tally.clone())?;
    }
    let link = Link::start(LinkContext {
        key: opened.key,
        terms: opened.terms.clone(),
        host_url: opened.host_url.clone(),
        signer: Arc::clone(&context.signer),
        store: store.clone(),
        book,
        newest,
        reconnect_for: RECONNECT_FOR,
    });
    link.attached().await.with_context(|| format!("cannot use {}", opened.host_url))?;
    let served = if args.chat {
        chat(&link, output).await
    } else {
        serve(&link, &args.listen, &prepared, output).await
    };
    let tell_use = || {
        let status = link.status();
        output.progress(format!(
            "{} tokens, {} {symbol} signed",
            status.tokens,
            status.signed.to_decimal(decimals)
        ));
    };
    if args.keep {
        tell_use();
        served?;
        output.answer(
            format!("session {} stays open; go on with --resume", opened.key.session_id),
            &json!({ "event": "kept", "session_id": opened.key.session_id }),
        );
        return Ok(());
    }
    link.end().await;
    tell_use();
    closer.ended(opened.key, "end").await?;
    report_close(&store, closer, opened, output).await?;
    served
}

async fn serve(link: &Link, listen: &str, prepared: &Prepared, output: &Output) -> Result<()> {
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    output.answer(
        format!("OpenAI endpoint: {url} (any API key); Ctrl-C ends the session"),
        &json!({ "event": "listening", "url": url }),
    );
    let state = ProxyState {
        link: link.clone(),
        model: prepared.model_name.clone(),
        model_id: prepared.opened.terms.model,
        context_length: u64::try_from(prepared.model.context_length()).unwrap_or(u64::MAX),
        host: prepared.opened.terms.host,
        clock: Arc::new(SystemClock),
        answers: Arc::default(),
    };
    tokio::select! {
        served = axum::serve(listener, app(state)) => served.context("the local endpoint failed"),
        () = stopped() => Ok(()),
        over = link.over() => Err(over).context("the session ended by itself"),
    }
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => core::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

async fn chat(link: &Link, output: &Output) -> Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut messages = Vec::new();
    output.progress("Say something; an empty line or Ctrl-D ends the session.");
    loop {
        output.stream("> ");
        let line = tokio::select! {
            line = lines.next_line() => line?,
            () = stopped() => None,
        };
        let Some(line) = line.filter(|line| !line.trim().is_empty()) else { return Ok(()) };
        messages.push(Message { role: "user".into(), content: line });
        let before = link.status();
        let text = answer(link, messages.clone(), output).await?;
        let after = link.status();
        output.answer(
            format!("\n[{} tokens]", after.tokens.saturating_sub(before.tokens)),
            &json!({ "event": "answer", "text": text, "tokens": after.tokens, "signed": after.signed }),
        );
        messages.push(Message { role: "assistant".into(), content: text });
    }
}

async fn answer(link: &Link, messages: Vec<Message>, output: &Output) -> Result<String> {
    let prompt = PromptMessage {
        request_id: 0,
        prompt: Prompt::Messages(messages),
        max_tokens: None,
        temperature: 0.0,
        top_p: 1.0,
        seed: 0,
        stop: Vec::new(),
    };
    let mut answer = link.ask(prompt).await?;
    let mut whole = String::new();
    while let Some(event) = answer.events.recv().await {
        match event {
            AnswerEvent::Token { text, .. } | AnswerEvent::Finished { text, .. } => {
                output.stream(&text);
                whole.push_str(&text);
            }
            AnswerEvent::Failed(error) => return Err(error).context("the answer broke off"),
        }
    }
    Ok(whole)
}

/// Waits for the settlement and prints who was paid what.
pub async fn report_close(
    store: &Store,
    closer: &Closer,
    opened: &Opened,
    output: &Output,
) -> Result<()> {
    let (symbol, decimals) = symbol_of(&closer.chain, opened.terms.token);
    let human = |amount: Amount| format!("{} {symbol}", amount.to_decimal(decimals));
    let waited = tokio::time::timeout(SETTLE_WITHIN, async {
        loop {
            let rental = find_rental(store, opened.key.session_id).await?;
            if rental.voucher.is_none() {
                return Ok(None);
            }
            if let Ok(CloseStep::Closed(closing)) = closer.look(&rental).await {
                return anyhow::Ok(Some(closing));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
    .await;
    match waited {
        Ok(Ok(Some(closing))) => output.answer(
            format!(
                "settled in {}: host {}, fee {}, refund {}",
                closing.close_tx,
                human(closing.paid),
                human(closing.fee),
                human(closing.refund)
            ),
            &json!({
                "event": "settled",
                "session_id": opened.key.session_id,
                "host_paid": closing.paid,
                "fee": closing.fee,
                "refunded": closing.refund,
                "close_tx": closing.close_tx,
            }),
        ),
        Ok(Ok(None)) => output.answer(
            "nothing was used, so the host does not settle; `capstan close` gets the deposit back",
            &json!({ "event": "unused", "session_id": opened.key.session_id }),
        ),
        Ok(Err(error)) => return Err(error),
        Err(_) => output.answer(
            "not settled yet; `capstan sessions` shows when it is, `capstan close` exits alone",
            &json!({ "event": "unsettled", "session_id": opened.key.session_id }),
        ),
    }
    Ok(())
}
