//! The configuration file: chains for the registry, `[host]` for serving. Every mistake is
//! reported at once, with its path.
//!
//! ```toml
//! default_chain = 84532
//! [chains.base-sepolia.contracts]
//! job_marketplace = "0x…"
//! node_registry = "0x…"
//!
//! [store]                        # several machines with one key; without it, files of this machine
//! url = "postgres://user:password@host:5432/database?sslmode=verify-full"
//! machine = "gpu-1"              # this machine's name among them
//!
//! [host]
//! listen = "0.0.0.0:8080"        # address of the front
//! window = 32                    # tokens served beyond the newest voucher, 1 to 4096
//! grace_seconds = 60             # a dropped connection may come back within
//! idle_seconds = 600             # a session may ask for nothing for
//! drain_seconds = 30             # a shutdown waits for answers
//! max_sessions = 10000
//! balance_seconds = 30           # how often balances are read
//! min_runway = 50                # alert below so many settlements; 0 for none
//! alert_webhook = "https://…"    # alerts are posted there; CAPSTAN_ALERT_WEBHOOK goes first
//! workers = 2                    # threads of the reference engine
//! receipts = true                # false until old sessions expired, if the database was set back
//!
//! [host.models.capstan-tiny]     # name that clients use
//! file = "models/capstan-tiny.gguf"
//! upstream = "http://127.0.0.1:8000/v1"   # optional: an OpenAI-compatible server runs it
//! upstream_model = "capstan-tiny"         # its name there
//! upstream_key_env = "UPSTREAM_API_KEY"   # environment variable with its API key
//! ```

use core::time::Duration;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use capstan_chain::registry::FILE_KEYS;
use capstan_chain::{ChainConfig, ChainRegistry};
use capstan_host::HostConfig;
use capstan_kit::{Problems, Secret, Section};

mod store;

pub use store::StoreSettings;

/// File read when none is named.
pub const DEFAULT_FILE: &str = "capstan.toml";

/// Environment variable with the URL that alerts are posted to.
const WEBHOOK_ENV: &str = "CAPSTAN_ALERT_WEBHOOK";

/// Keys of the document beside the registry's.
const OWN_KEYS: [&str; 2] = ["host", "store"];

/// A mistake in how a command was called that clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Some of several things were done, and some were not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PartialError(pub String);

/// A model to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSettings {
    /// Name clients use; the file's own if absent.
    pub name: Option<String>,
    /// GGUF file.
    pub file: PathBuf,
    /// Server that runs it, instead of the reference engine.
    pub upstream: Option<UpstreamSettings>,
}

/// An OpenAI-compatible server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Base URL up to `/v1`.
    pub url: String,
    /// Model name there.
    pub model: Option<String>,
    /// Environment variable with the API key.
    pub key_env: Option<String>,
}

/// Everything a file and the environment say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Chains.
    pub registry: ChainRegistry,
    /// Limits of serving.
    pub host: HostConfig,
    /// Address of the front.
    pub listen: Option<String>,
    /// Threads of the reference engine.
    pub workers: Option<usize>,
    /// Whether what was served is signed for to the renter.
    pub receipts: bool,
    /// Models to serve.
    pub models: Vec<ModelSettings>,
    /// Database that several machines share.
    pub store: Option<StoreSettings>,
    /// URL that alerts are posted to.
    pub webhook: Option<Secret>,
}

impl Settings {
    /// Reads the named file, or the default one if it exists.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let path = file.map(Path::to_path_buf).or_else(|| {
            let default = PathBuf::from(DEFAULT_FILE);
            default.exists().then_some(default)
        });
        let text = match &path {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?,
            None => String::new(),
        };
        let document: toml::Table = text
            .parse()
            .with_context(|| format!("{} is not TOML", path.unwrap_or_default().display()))?;
        Ok(Self::of(&document, |name| std::env::var(name).ok())?)
    }

    /// The chain named by name or id, or the default one.
    pub fn chain(&self, named: Option<&str>) -> Result<&ChainConfig> {
        match named {
            Some(name) => {
                let known = self.registry.find(name).with_context(|| {
                    format!("no chain is called {name:?}; see `capstan chains`")
                })?;
                Ok(self.registry.get(known.chain_id)?)
            }
            None => Ok(self.registry.default_chain()?),
        }
    }

    fn of(document: &toml::Table, env: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        for key in document.keys() {
            if !FILE_KEYS.contains(&key.as_str()) && !OWN_KEYS.contains(&key.as_str()) {
                problems.add(key.as_str(), "is not a setting", "remove it, or check its spelling");
            }
        }
        let registry = match ChainRegistry::from_process(document) {
            Ok(registry) => Some(registry),
            Err(more) => {
                problems.extend(more);
                None
            }
        };
        let mut host = HostConfig::default();
        let (mut listen, mut workers, mut models) = (None, None, Vec::new());
        let mut receipts = true;
        let mut webhook = env(WEBHOOK_ENV).map(|url| (WEBHOOK_ENV.to_owned(), url));
        let root = Section::new("", document);
        if let Some(section) = root.section("host", &mut problems) {
            listen = section.text("listen", &mut problems).map(str::to_owned);
            read_limits(&section, &mut host, &mut problems);
            workers = bounded(&section, "workers", 1..=1024, &mut problems)
                .and_then(|workers| usize::try_from(workers).ok());
            receipts = section.switch("receipts", &mut problems).unwrap_or(receipts);
            let written = section.text("alert_webhook", &mut problems);
            let path = section.path_of("alert_webhook");
            webhook = webhook.or(written.map(|url| (path, url.to_owned())));
            for (name, model) in section.named("models", &mut problems) {
                models.extend(read_model(name, &model, &mut problems));
                model.finish(&mut problems);
            }
            section.finish(&mut problems);
        }
        if let Some((path, url)) = &webhook
            && !url.starts_with("http://")
            && !url.starts_with("https://")
        {
            // The value may hold a token and is not repeated.
            problems.add(path.as_str(), "is not an http or https URL", "");
        }
        let store = store::read(root.section("store", &mut problems), env, &mut problems);
        let webhook = webhook.map(|(_, url)| Secret::new(url));
        match registry {
            Some(registry) => problems.into_result(Self {
                registry,
                host,
                listen,
                workers,
                receipts,
                models,
                store,
                webhook,
            }),
            None => Err(problems),
        }
    }
}

fn read_limits(section: &Section<'_>, host: &mut HostConfig, problems: &mut Problems) {
    const DAY: u64 = 86_400;
    let mut seconds = |key, range, target: &mut Duration| {
        if let Some(value) = bounded(section, key, range, problems) {
            *target = Duration::from_secs(value);
        }
    };
    seconds("grace_seconds", 0..=DAY, &mut host.grace);
    seconds("idle_seconds", 1..=DAY, &mut host.idle);
    seconds("drain_seconds", 0..=DAY, &mut host.drain);
    seconds("min_lifetime_seconds", 0..=DAY, &mut host.min_lifetime);
    seconds("reconcile_seconds", 1..=DAY, &mut host.reconcile_every);
    seconds("balance_seconds", 1..=DAY, &mut host.balance_every);
    if let Some(runway) = bounded(section, "min_runway", 0..=1_000_000_000, problems) {
        host.min_runway = runway;
    }
    if let Some(window) = bounded(section, "window", 1..=4096, problems) {
        host.window = window;
    }
    if let Some(sessions) = bounded(section, "max_sessions", 1..=1_000_000, problems) {
        host.max_sessions = usize::try_from(sessions).unwrap_or(usize::MAX);
    }
}

fn read_model(name: &str, section: &Section<'_>, problems: &mut Problems) -> Option<ModelSettings> {
    let file = section.text("file", problems);
    let url = section.text("upstream", problems);
    let model = section.text("upstream_model", problems).map(str::to_owned);
    let key_env = section.text("upstream_key_env", problems).map(str::to_owned);
    if file.is_none() {
        problems.add(section.path_of("file"), "is missing", "name the model's GGUF file");
    }
    if url.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        problems.add(section.path_of("upstream"), "is not an http or https URL", "");
    }
    if url.is_none() && (model.is_some() || key_env.is_some()) {
        problems.add(section.path_of("upstream"), "is missing beside its model or key", "");
    }
    let upstream = url.map(|url| UpstreamSettings { url: url.to_owned(), model, key_env });
    Some(ModelSettings { name: Some(name.to_owned()), file: file?.into(), upstream })
}

fn bounded(
    section: &Section<'_>,
    key: &'static str,
    range: core::ops::RangeInclusive<u64>,
    problems: &mut Problems,
) -> Option<u64> {
    let value = section.unsigned(key, problems)?;
    if range.contains(&value) {
        return Some(value);
    }
    problems.add(
        section.path_of(key),
        format!("is {value}, outside {} to {}", range.start(), range.end()),
        "",
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_given_unless_the_file_says_no() {
        let given =
            |document: &str| Settings::of(&document.parse().unwrap(), |_| None).unwrap().receipts;
        assert!(given(""));
        assert!(given("[host]\nreceipts = true"));
        assert!(!given("[host]\nreceipts = false"));
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let document = "
            hosts = 1
            [host]
            window = 0
            grace_seconds = \"soon\"
            receipts = 1
            speed = 9
            [host.models.tiny]
            upstream = \"ftp://x\"
        ";
        let env = |name: &str| (name == WEBHOOK_ENV).then(|| "hush".to_owned());
        let problems = Settings::of(&document.parse().unwrap(), env).unwrap_err();
        assert!(!problems.to_string().contains("hush"));
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        for path in [
            "hosts",
            "host.window",
            "host.grace_seconds",
            "host.receipts",
            "host.speed",
            "host.models.tiny.file",
            "host.models.tiny.upstream",
            WEBHOOK_ENV,
        ] {
            assert!(paths.contains(&path), "{path} not among {paths:?}");
        }
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        let settings = Settings::of(&toml::Table::new(), |_| None).unwrap();
        assert_eq!(settings.host, HostConfig::default());
        assert!(settings.models.is_empty());
    }
}
