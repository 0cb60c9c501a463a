//! A gate in front of a chain's endpoint: a TCP proxy that can be shut, as an outage is, or
//! stalled, as an endpoint is that takes every call and answers none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The gate.
pub struct Gate {
    /// Endpoint to use instead of the chain's own.
    pub url: String,
    open: Arc<AtomicBool>,
    stalled: Arc<AtomicBool>,
    shut: watch::Sender<u64>,
}

impl Gate {
    /// An open gate in front of `url`.
    pub async fn before(url: &str) -> Self {
        let target = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = format!("http://{}", listener.local_addr().expect("its address"));
        let open = Arc::new(AtomicBool::new(true));
        let stalled = Arc::new(AtomicBool::new(false));
        let (shut, watcher) = watch::channel(0);
        let (lets_through, stalls) = (Arc::clone(&open), Arc::clone(&stalled));
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((client, _)) = listener.accept().await {
                if stalls.load(Ordering::SeqCst) {
                    held.push(client);
                } else if lets_through.load(Ordering::SeqCst) {
                    tokio::spawn(carry(client, target.clone(), watcher.clone()));
                }
            }
        });
        Self { url: own, open, stalled, shut }
    }

    /// Lets nothing through any more; connections under way break.
    pub fn shut(&self) {
        self.open.store(false, Ordering::SeqCst);
        self.shut.send_modify(|times| *times += 1);
    }

    /// Takes calls and answers none.
    pub fn stall(&self) {
        self.stalled.store(true, Ordering::SeqCst);
        self.shut.send_modify(|times| *times += 1);
    }

    /// Lets everything through again.
    pub fn open(&self) {
        self.stalled.store(false, Ordering::SeqCst);
        self.open.store(true, Ordering::SeqCst);
    }
}

async fn carry(mut client: TcpStream, target: String, mut shut: watch::Receiver<u64>) {
    shut.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = shut.changed() => {}
    }
}
