//! Logs, metrics and the panic hook.
//!
//! Set up once by `main`, before anything else. Callers keep message texts, tokens and query strings out of
//! the log; the panic hook does the same.

use std::{panic, thread, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{ParseError, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

use crate::config::LogFormat;

/// Histogram buckets for durations in seconds, from a fast append to the deadline of a send.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Histogram buckets for counts, such as commands in a batch.
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];
/// How often recorded values are folded into their histograms. Until then each value takes memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Why logs or metrics can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter can't be parsed.
    #[error("LOG: {0}")]
    Filter(#[from] ParseError),
    /// Logs are already set up.
    #[error("logs: {0}")]
    Logs(#[from] TryInitError),
    /// Metrics are already set up.
    #[error("metrics: {0}")]
    Metrics(#[from] BuildError),
}

/// Writes the log lines that `filter` selects, and panics, to standard error.
///
/// # Errors
/// [`TelemetryError`] when the filter can't be parsed, or on a second call.
pub fn start_logs(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    subscriber(filter, format, std::io::stderr)?.try_init()?;
    log_panics();
    Ok(())
}

fn subscriber<W>(
    filter: &str,
    format: LogFormat,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    Ok(tracing_subscriber::registry()
        .with(EnvFilter::builder().parse(filter)?)
        .with(filter_fn(|line| {
            is_own(line.target()) || *line.level() <= Level::INFO && !is_noise(line.target(), *line.level())
        }))
        .with(lines))
}

/// Whether a library's line says nothing new and can be triggered from outside at will: the RabbitMQ client
/// repeats the same error at each reconnect (the broker adapter logs the first and counts the rest), the HTTP
/// parser logs each malformed request, and PostgreSQL each text that its word parser skips.
fn is_noise(target: &str, level: Level) -> bool {
    match target.split("::").next() {
        Some("lapin" | "actix_http") => true,
        Some("tokio_postgres") => level > Level::WARN,
        _ => false,
    }
}

/// Whether the line comes from this project. At finer levels libraries log the data that they handle (the
/// PostgreSQL client logs every parameter of a statement), which includes message texts.
fn is_own(target: &str) -> bool {
    ["aristay_chat", "actors"].contains(&target.split("::").next().unwrap_or_default())
}

/// Installs the metrics recorder and returns the handle that `/metrics` renders.
///
/// Histograms whose name ends in `_seconds` get buckets for durations, all others for counts.
///
/// # Errors
/// [`TelemetryError::Metrics`] on a second call.
pub fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets(COUNTS)?
        .install_recorder()?;
    let folding = handle.clone();
    let folder = thread::Builder::new().name("metrics".into()).spawn(move || {
        loop {
            thread::sleep(UPKEEP_INTERVAL);
            folding.run_upkeep();
        }
    });
    if let Err(error) = folder {
        tracing::error!(%error, "the metrics upkeep thread can't be started");
    }
    Ok(handle)
}

/// Logs a panic with its source location.
///
/// The message is logged only if it is a literal: a formatted one may contain a message text or a secret.
fn log_panics() {
    panic::set_hook(Box::new(|report| {
        let message =
            report.payload().downcast_ref::<&'static str>().copied().unwrap_or("(formatted, not shown)");
        let location = report.location().map(ToString::to_string).unwrap_or_default();
        let thread = thread::current();
        metrics::counter!("panics_total").increment(1);
        tracing::error!(location, message, thread = thread.name().unwrap_or_default(), "panic");
    }));
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::{start_metrics, subscriber};
    use crate::config::LogFormat;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lines").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn libraries_never_log_the_data_that_they_handle() {
        let lines = Lines::default();
        let theirs = lines.clone();
        let subscriber = subscriber("trace", LogFormat::Json, move || theirs.clone()).expect("a filter");
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "tokio_postgres::query", "executing with parameters: [\"a text\"]");
            tracing::info!(target: "tokio_postgres::connection", "a notice");
            tracing::info!(target: "actix_server::builder", "a start");
            tracing::debug!(target: "aristay_chat::app", rooms = 3, "own");
        });
        let text = String::from_utf8(lines.0.lock().expect("lines").clone()).expect("text");
        assert!(!text.contains("a text") && !text.contains("a notice"), "{text}");
        assert!(text.contains("a start"), "{text}");
        let own: serde_json::Value =
            serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
        assert_eq!((own["message"].as_str(), own["rooms"].as_i64()), (Some("own"), Some(3)));
    }

    #[test]
    fn metrics_are_rendered_with_buckets() {
        let handle = start_metrics().expect("a recorder");
        metrics::histogram!("append_seconds").record(0.003);
        metrics::histogram!("batch_events").record(7.0);
        metrics::counter!("messages_total").increment(2);
        let shown = handle.render();
        assert!(shown.contains("append_seconds_bucket{le=\"0.005\"} 1"), "{shown}");
        assert!(shown.contains("batch_events_bucket{le=\"10\"} 1"), "{shown}");
        assert!(shown.contains("messages_total 2"), "{shown}");
        assert!(start_metrics().is_err());
    }
}
