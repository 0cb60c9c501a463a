//! `GET /v1/ws`: one connection of the session protocol.
//!
//! The connection says hello with a challenge, verifies the answer, attaches to its session, and
//! from then on only carries frames: everything that decides lives in the session.

use core::time::Duration;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use capstan_base::{AttachChallenge, B256};
use capstan_wire::session::{
    FromHost, FromRenter, Hello, MAX_FRAME_BYTES, SessionInit, decode, encode,
};
use capstan_wire::{ApiError, ErrorCode};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};

use super::FrontState;
use crate::admission::Claim;
use crate::session::{Command, Connection, ConnectionId, SessionHandle};

/// tungstenite's default of 128 KiB per idle connection would cost 1.3 GB at 10,000 of them.
const READ_BUFFER: usize = 4096;

/// Bytes that may wait for a slow reader before the write blocks.
const WRITE_BUFFER: usize = 256 << 10;

/// Frames that may wait for a slow reader. The window bounds what a session sends ahead; four of
/// the default window leave room for everything that goes with it.
const FRAME_QUEUE: usize = 128;

/// A connection that has not attached by then is closed.
const ATTACH_WITHIN: Duration = Duration::from_secs(30);

/// A peer that takes no byte for this long is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn upgrade(
    State(state): State<FrontState>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER + MAX_FRAME_BYTES)
        .write_buffer_size(0)
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .on_upgrade(move |socket| Box::pin(serve(state, socket)))
}

async fn serve(state: FrontState, socket: WebSocket) {
    let id = ConnectionId(state.connections.fetch_add(1, Ordering::Relaxed));
    let (sink, mut stream) = socket.split();
    let (frames, outgoing) = mpsc::channel(FRAME_QUEUE);
    let writer = tokio::spawn(write(sink, outgoing));
    let challenge = B256::random();
    let hello = FromHost::Hello(Hello {
        host: state.sessions.admission().host,
        challenge,
        window: state.sessions.config().window,
        max_frame_bytes: MAX_FRAME_BYTES,
    });
    let connection = Connection::new(id, frames);
    let attached = if connection.frames.send(hello).await.is_err() {
        None
    } else {
        tokio::time::timeout(ATTACH_WITHIN, attach(&state, &connection, challenge, &mut stream))
            .await
            .ok()
            .flatten()
    };
    if let Some(session) = attached {
        carry(&connection, &session, &mut stream).await;
        session.send(Command::Detach(id)).await;
    }
    drop(connection);
    // The writer ends once the session has let go of its side too, or the peer stops reading.
    let _ = tokio::time::timeout(WRITE_WITHIN, writer).await;
}

/// Waits for a good `session_init`. A bad one is answered and may be tried again.
async fn attach(
    state: &FrontState,
    connection: &Connection,
    challenge: B256,
    stream: &mut SplitStream<WebSocket>,
) -> Option<SessionHandle> {
    loop {
        let answer = match receive(stream).await? {
            Ok(FromRenter::SessionInit(init)) => {
                init_session(state, connection, challenge, *init).await
            }
            Ok(FromRenter::Ping) => {
                connection.frames.send(FromHost::Pong).await.ok()?;
                continue;
            }
            Ok(_) => Err(ApiError::new(
                ErrorCode::UnknownSession,
                "attach to a session first: send session_init",
            )),
            Err(error) => Err(error),
        };
        match answer {
            Ok(session) => return Some(session),
            Err(error) => {
                let frame = FromHost::Error { error, request_id: None, fatal: false };
                connection.frames.send(frame).await.ok()?;
            }
        }
    }
}

async fn init_session(
    state: &FrontState,
    connection: &Connection,
    challenge: B256,
    init: SessionInit,
) -> Result<SessionHandle, ApiError> {
    let claim = Claim { chain_id: init.chain_id, terms: &init.terms, price: init.price };
    let key = state.sessions.admission().key(&claim)?;
    let digest = AttachChallenge(challenge).digest(key.chain_id, key.marketplace, key.session_id);
    init.proof.verify(digest, init.terms.voucher_key).map_err(|error| {
        ApiError::new(ErrorCode::NotYourSession, format!("the challenge's answer: {error}"))
    })?;
    if let Some(newest) = &init.newest {
        state.sessions.verify_voucher(&claim, &newest.voucher)?;
    }
    let (_, session) = state.sessions.open(&claim).await?;
    let (reply, answer) = oneshot::channel();
    let command = Command::Attach {
        connection: connection.clone(),
        newest: init.newest,
        have: init.have,
        reply,
    };
    let over = || ApiError::new(ErrorCode::SessionClosed, "the session has just ended");
    if !session.send(command).await {
        return Err(over());
    }
    answer.await.map_err(|_| over())??;
    Ok(session)
}

/// Carries frames until the peer or the session goes.
async fn carry(
    connection: &Connection,
    session: &SessionHandle,
    stream: &mut SplitStream<WebSocket>,
) {
    loop {
        let frame = tokio::select! {
            // The session has let go: of a connection that does not read, for another one, at its
            // end. What is queued is still written before the socket closes.
            () = connection.closed.cancelled() => return,
            frame = receive(stream) => frame,
        };
        let Some(frame) = frame else { return };
        match frame {
            Ok(frame) => {
                if !session.send(Command::Frame(connection.id, frame)).await {
                    return;
                }
            }
            Err(error) => {
                let frame = FromHost::Error { error, request_id: None, fatal: false };
                if connection.frames.send(frame).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The next message; `None` once the connection is over.
async fn receive(stream: &mut SplitStream<WebSocket>) -> Option<Result<FromRenter, ApiError>> {
    loop {
        match stream.next().await? {
            Ok(Message::Text(text)) => return Some(decode(text.as_str())),
            Ok(Message::Binary(_)) => {
                return Some(Err(ApiError::new(
                    ErrorCode::MalformedMessage,
                    "binary frames are not part of this protocol; send JSON text",
                )));
            }
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Close(_)) => return None,
            Err(error) => {
                tracing::debug!(%error, "connection broke");
                return None;
            }
        }
    }
}

async fn write(mut sink: SplitSink<WebSocket, Message>, mut outgoing: mpsc::Receiver<FromHost>) {
    while let Some(frame) = outgoing.recv().await {
        let fatal = matches!(frame, FromHost::Error { fatal: true, .. } | FromHost::Ended { .. });
        let sent =
            tokio::time::timeout(WRITE_WITHIN, sink.send(Message::text(encode(&frame)))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
        if fatal {
            break;
        }
    }
    let bye = CloseFrame { code: close_code::NORMAL, reason: "".into() };
    let _ = tokio::time::timeout(WRITE_WITHIN, sink.send(Message::Close(Some(bye)))).await;
}
