//! One server: started, asked for databases, killed, started again.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::programs::Programs;

/// A cluster comes up in tenths of a second; this is for a machine with much else to do.
const START_WITHIN: Duration = Duration::from_secs(60);

/// The cluster's superuser. There is no password: only this machine's socket leads to it.
const USER: &str = "capstan";

/// Ends the server and its folder when the pipe it reads from is closed.
const WATCHDOG: &str =
    r#"cat >/dev/null; while kill -QUIT "$1" 2>/dev/null; do sleep 0.1; done; rm -rf "$2""#;

/// A running server. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    folder: tempfile::TempDir,
    process: Option<Running>,
}

#[derive(Debug)]
struct Running {
    server: Child,
    watchdog: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        let programs = Programs::find().unwrap_or_else(|missing| panic!("{missing}"));
        let folder = tempfile::Builder::new().prefix("capstan-pg").tempdir().expect("a folder");
        programs.give(folder.path());
        let made = programs
            .command("initdb")
            .args(["--auth=trust", "--no-locale", "--encoding=UTF8", "--no-instructions"])
            // The new cluster itself need not survive a power cut; what is written to it then does.
            .args(["--no-sync", "--wal-segsize=1", "--username", USER, "--pgdata"])
            .arg(folder.path().join("data"))
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { programs, folder, process: None };
        server.restart();
        server
    }

    /// URL of a database.
    pub fn url(&self, database: &str) -> String {
        let socket = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@localhost/{database}?host={socket}")
    }

    /// Creates an empty database and returns its URL.
    pub fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// Runs statements in a database through `psql`, and returns what it prints, unaligned.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = self
            .programs
            .command("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--username", USER, "--dbname", database])
            .arg("--host")
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql starts");
        psql.stdin.take().expect("its input").write_all(statements.as_bytes()).expect("psql reads");
        let output = psql.wait_with_output().expect("psql ends");
        assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Ends the server without a checkpoint, as the crash of its machine would: what it had not
    /// written to disk is lost. SIGKILL would end the parent alone and leave its children writing.
    pub fn kill(&mut self) {
        let Some(mut running) = self.process.take() else { return };
        running.watchdog.kill().expect("the watchdog ends");
        running.watchdog.wait().expect("the watchdog ends");
        let pid = running.server.id().to_string();
        let killed = Command::new("kill").args(["-QUIT", &pid]).status();
        assert!(killed.is_ok_and(|status| status.success()), "kill");
        running.server.wait().expect("the server ends");
    }

    /// Starts it, again after [`Server::kill`], on the same data.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        let server = self
            .programs
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=100"])
            .args(["-c", "shared_buffers=16MB", "-c", "min_wal_size=2MB"])
            .args(["-c", "max_wal_size=32MB"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // A group of its own: a terminal's interrupt is for the tests, which end it themselves.
            .process_group(0)
            .spawn()
            .expect("postgres starts");
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &server.id().to_string()])
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh starts");
        self.process = Some(Running { server, watchdog });
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let start = Instant::now();
        loop {
            let ready = self
                .programs
                .command("pg_isready")
                .args(["--quiet", "--timeout=1", "--host"])
                .arg(self.folder.path())
                .status()
                .expect("pg_isready starts");
            if ready.success() {
                return;
            }
            let ended = self.process.as_mut().and_then(|running| running.server.try_wait().ok());
            let log = || std::fs::read_to_string(self.folder.path().join("log"));
            assert!(matches!(ended, Some(None)), "postgres ended: {:?}", log());
            assert!(start.elapsed() < START_WITHIN, "postgres is not ready: {:?}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
