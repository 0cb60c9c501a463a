//! One WebSocket connection to the host: frames in, frames out, nothing decided.

use core::time::Duration;

use capstan_wire::session::{FromHost, FromRenter, MAX_FRAME_BYTES, decode, encode};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::error::RenterError;

/// Buffer per connection; the library's default is 128 KiB.
const READ_BUFFER: usize = 16 << 10;

/// A host that takes no byte for this long is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(30);

/// A connection that speaks frames.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    heard: Instant,
}

/// Why a connection is no more.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(String);

impl Broken {
    pub(super) fn new(why: String) -> Self {
        Self(why)
    }
}

impl Socket {
    /// Connects to `<host_url>/v1/ws`.
    pub(super) async fn connect(host_url: &str) -> Result<Self, RenterError> {
        let url = socket_url(host_url);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(MAX_FRAME_BYTES))
            .max_frame_size(Some(MAX_FRAME_BYTES));
        connect_async_with_config(&url, Some(config), true)
            .await
            .map(|(stream, _)| Self { stream, heard: Instant::now() })
            .map_err(|error| RenterError::Unreachable {
                url: host_url.to_owned(),
                why: error.to_string(),
            })
    }

    pub(super) async fn send(&mut self, frame: &FromRenter) -> Result<(), Broken> {
        self.write(Message::text(encode(frame))).await
    }

    /// Asks the peer's socket for a sign of life. The session does not see it, so it does not count
    /// as activity there.
    pub(super) async fn ping(&mut self) -> Result<(), Broken> {
        self.write(Message::Ping(Vec::new().into())).await
    }

    /// How long nothing has come, not even the answer to a ping.
    pub(super) fn silent_for(&self) -> Duration {
        self.heard.elapsed()
    }

    async fn write(&mut self, message: Message) -> Result<(), Broken> {
        match tokio::time::timeout(WRITE_WITHIN, self.stream.send(message)).await {
            Ok(sent) => sent.map_err(|error| Broken(error.to_string())),
            Err(_) => Err(Broken("the host takes no bytes".into())),
        }
    }

    /// The next frame. Cancel safe.
    pub(super) async fn receive(&mut self) -> Result<FromHost, Broken> {
        loop {
            let message = self.stream.next().await;
            self.heard = Instant::now();
            match message {
                Some(Ok(Message::Text(text))) => {
                    return decode(text.as_str()).map_err(|error| Broken(error.to_string()));
                }
                Some(Ok(Message::Close(_))) | None => {
                    return Err(Broken("the host closed the connection".into()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Broken(error.to_string())),
            }
        }
    }
}

fn socket_url(host_url: &str) -> String {
    let base = host_url.trim_end_matches('/').trim_end_matches("/v1");
    let base = match base.split_once("://") {
        Some(("https", rest)) => format!("wss://{rest}"),
        Some(("http", rest)) => format!("ws://{rest}"),
        _ => base.to_owned(),
    };
    format!("{base}/v1/ws")
}

#[cfg(test)]
mod tests {
    use super::socket_url;

    #[test]
    fn every_way_to_write_a_host_gives_its_socket() {
        for url in ["http://a:1", "http://a:1/", "http://a:1/v1", "http://a:1/v1/"] {
            assert_eq!(socket_url(url), "ws://a:1/v1/ws", "{url}");
        }
        assert_eq!(socket_url("https://host.example"), "wss://host.example/v1/ws");
    }
}
