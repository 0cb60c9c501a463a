//! The product as real processes: started with arguments and environment, killed for real.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use capstan_chain::LocalSigner;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::tools;
use crate::world::World;

/// Longest wait for a line or an end: a loaded machine is slow, a hang is not this long.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running `capstan` that answers in JSON lines.
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// `capstan` with the world's configuration, an account and a data folder.
pub fn command(world: &World, account: &LocalSigner, data: &str) -> Command {
    let key = private_key(account);
    let mut command = Command::new(tools::capstan());
    command
        .env_clear()
        .env("HOME", world.dir.path())
        .env("CAPSTAN_CONFIG", world.config())
        .env("CAPSTAN_DATA", world.data(data))
        .env("CAPSTAN_PRIVATE_KEY", key)
        .env("CAPSTAN_LOG", std::env::var("CAPSTAN_LOG").unwrap_or_else(|_| "warn".into()))
        .arg("--json")
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// An account's key in hex: play money, made for this run.
pub fn private_key(account: &LocalSigner) -> String {
    account.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Process {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("capstan starts");
        let stdout = child.stdout.take().expect("its output");
        Self { child, lines: BufReader::new(stdout).lines() }
    }

    /// The next line whose `event` is this.
    pub async fn event(&mut self, name: &str) -> Value {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.next_line())
                .await
                .unwrap_or_else(|_| panic!("no {name:?} from capstan in {PATIENCE:?}"))
                .expect("its output is text")
                .unwrap_or_else(|| panic!("capstan ended before {name:?}"));
            let value: Value = serde_json::from_str(&line).expect("a JSON line");
            assert!(value.get("error").is_none(), "capstan failed before {name:?}: {value}");
            if value["event"] == name {
                return value;
            }
        }
    }

    /// SIGKILL: no handler runs.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("killed");
    }

    /// SIGTERM, then waits for its end; true if it ended well.
    pub async fn terminate(&mut self) -> bool {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
        assert!(sent.success(), "SIGTERM is delivered");
        self.wait().await
    }

    /// Waits for its end; true if it ended well.
    pub async fn wait(&mut self) -> bool {
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it ends")
            .expect("its status")
            .success()
    }

    /// Asks it to end and reads the next line of this name on the way.
    pub async fn terminate_for(&mut self, name: &str) -> Value {
        let pid = self.child.id().expect("it runs").to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
        let value = self.event(name).await;
        self.wait().await;
        value
    }
}

/// Runs a command to its end: exit code, JSON lines, standard error.
pub async fn run(mut command: Command) -> (i32, Vec<Value>, String) {
    command.stderr(Stdio::piped());
    let output =
        tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").expect("it runs");
    let lines = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect();
    let code = output.status.code().unwrap_or(-1);
    (code, lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Prices of the scenarios, per million tokens: (token, input, output).
pub const PRICES: [(&str, &str, &str); 2] = [("native", "0.02", "0.06"), ("USDC", "50", "150")];

/// Registers a host on every chain for the project's model at the scenarios' prices.
pub async fn register(world: &World, host: &LocalSigner, endpoint: &str) {
    register_at(world, host, endpoint, &PRICES).await;
}

/// Registers a host on every chain at these prices: (token, input, output) per million tokens.
/// `native` stands for each chain's coin.
pub async fn register_at(
    world: &World,
    host: &LocalSigner,
    endpoint: &str,
    prices: &[(&str, &str, &str)],
) {
    for chain in &world.chains {
        let native = chain.client().config().native.symbol.clone();
        let mut command = command(world, host, "register");
        command.args(["register", "--chain", chain.name, "--endpoint", endpoint]);
        for (token, input, output) in prices {
            let token = if *token == "native" { native.as_str() } else { token };
            let model = tools::model();
            command.args(["--offer", &format!("{}:{token}:{input}:{output}", model.display())]);
        }
        let (code, lines, errors) = run(command).await;
        assert_eq!(code, 0, "registering on {}: {lines:?} {errors}", chain.name);
    }
}

/// Starts a host on an address, such as `127.0.0.1:0`; gives it and its URL.
pub async fn host(world: &World, account: &LocalSigner, listen: &str) -> (Process, String) {
    host_with(world, account, listen, &world.config()).await
}

/// The same under another configuration file.
pub async fn host_with(
    world: &World,
    account: &LocalSigner,
    listen: &str,
    config: &Path,
) -> (Process, String) {
    let mut command = command(world, account, "host");
    command.env("CAPSTAN_CONFIG", config);
    command.arg("host").arg("--listen").arg(listen).arg("--model").arg(tools::model());
    let mut process = Process::start(command);
    let url = process.event("listening").await["url"].as_str().expect("a URL").to_owned();
    (process, url)
}

/// Arguments of `capstan rent` for the project's model.
pub fn rent(
    world: &World,
    account: &LocalSigner,
    data: &str,
    (chain, token, deposit): (&str, &str, &str),
    (host, url): (capstan_base::Address, &str),
) -> Command {
    let mut command = command(world, account, data);
    command
        .args(["rent", "--listen", "127.0.0.1:0", "--chain", chain, "--token", token])
        .args(["--deposit", deposit, "--host", &host.to_string(), "--host-url", url])
        .arg("--model")
        .arg(tools::model());
    command
}

/// A port that was free a moment ago, so that a host can come back to it.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Path of a world's file as text.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}
