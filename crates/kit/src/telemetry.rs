//! Logs by `tracing`, metrics by the Prometheus recorder; both installed once per process.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Environment variable with the log filter, in `tracing` syntax: `info,capstan_host=debug`.
pub const LOG_FILTER_ENV: &str = "CAPSTAN_LOG";

/// Filter when nothing else is said.
pub const DEFAULT_FILTER: &str = "info";

/// Histogram bounds, seconds: from one millisecond of local work to a slow chain's finality.
const SECONDS_BUCKETS: [f64; 12] =
    [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

/// Shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for collectors.
    Json,
}

/// What stopped telemetry from starting.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("log filter {filter:?} cannot be read")]
    Filter {
        /// As given.
        filter: String,
        /// The parser's complaint.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Another recorder took the process's place.
    #[error("another metrics recorder is already installed")]
    Recorder,
}

/// Starts logging to standard error, which leaves standard output to answers. `filter` is what
/// [`LOG_FILTER_ENV`] or a flag said. A second call, as tests make, changes nothing.
pub fn init_logs(format: LogFormat, filter: Option<&str>) -> Result<(), TelemetryError> {
    let filter = filter.unwrap_or(DEFAULT_FILTER);
    let filter = EnvFilter::try_new(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // The only error is that a subscriber is there already.
    let _already = match format {
        LogFormat::Text => builder.finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    Ok(())
}

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl core::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Installs the recorder on the first call; later calls give the same handle.
    pub fn install() -> Result<Self, TelemetryError> {
        static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        HANDLE
            .get_or_init(|| {
                PrometheusBuilder::new().set_buckets(&SECONDS_BUCKETS).ok()?.install_recorder().ok()
            })
            .clone()
            .map(Self)
            .ok_or(TelemetryError::Recorder)
    }

    /// Everything recorded so far in the Prometheus text format.
    pub fn render(&self) -> String {
        // Histograms hold raw samples until upkeep; doing it here needs no task of its own.
        self.0.run_upkeep();
        self.0.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telemetry_starts_twice_and_renders_what_was_counted() {
        init_logs(LogFormat::Json, Some("warn")).unwrap();
        init_logs(LogFormat::Text, None).unwrap();
        let first = Metrics::install().unwrap();
        let second = Metrics::install().unwrap();
        metrics::counter!("capstan_kit_test_total", "kind" => "a").increment(3);
        assert!(first.render().contains("capstan_kit_test_total{kind=\"a\"} 3"));
        assert_eq!(first.render(), second.render());
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        assert!(matches!(
            init_logs(LogFormat::Text, Some("a=b=c")),
            Err(TelemetryError::Filter { .. })
        ));
    }
}
