//! A local EVM chain: anvil as a child process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::tools::tool;

/// A running chain; killed when dropped.
pub struct Anvil {
    child: Child,
    /// Its endpoint.
    pub url: String,
    /// Its id.
    pub chain_id: u64,
}

/// How a chain mines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mining {
    /// A block per transaction, at once.
    Instant,
    /// A block per so many seconds.
    Every(u64),
}

impl Anvil {
    /// Starts a chain with this id on a free port.
    pub fn start(chain_id: u64, mining: Mining) -> Self {
        let mut command = Command::new(tool("anvil"));
        command
            .args(["--port", "0", "--chain-id", &chain_id.to_string(), "--accounts", "1"])
            .args(["--slots-in-an-epoch", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Mining::Every(seconds) = mining {
            command.args(["--block-time", &seconds.to_string()]);
        }
        let mut child = command.spawn().expect("anvil starts");
        let stdout = child.stdout.take().expect("anvil's output");
        let mut lines = BufReader::new(stdout).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned))
            .expect("anvil says where it listens");
        // Its log must be read, or it stops at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: format!("http://{address}"), chain_id }
    }

    /// One JSON-RPC call; panics on an error answer.
    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        rpc(&self.url, method, params).await
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One JSON-RPC call by plain HTTP; panics on an error answer.
pub async fn rpc(url: &str, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer: Value = reqwest::Client::new()
        .post(url)
        .json(&body)
        .send()
        .await
        .expect("the chain answers")
        .json()
        .await
        .expect("the chain answers JSON");
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}
