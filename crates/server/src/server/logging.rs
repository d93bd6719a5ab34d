//! The subscriber of the process: log lines on standard error, and spans to the exporter.

use crate::config::{LogFormat, ServerConfig};
use millstream_telemetry::export::Exporter;
use millstream_telemetry::names::span;
use std::io::IsTerminal;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

/// What takes log lines besides.
pub(crate) type Log = Box<dyn Layer<Registry> + Send + Sync>;

/// Installs it. Does nothing if there is one.
pub(super) fn init(config: &ServerConfig, exporter: Option<&Exporter>, besides: Option<Log>) {
    // The actor library opens a span per actor for its whole life, which says nothing here; spans that are made to be
    // exported would only lengthen the lines.
    let filter = EnvFilter::new(format!("ractor=warn,{}=off,{}", span::TARGET, config.log_level));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_ansi(colour()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let installed = tracing_subscriber::registry()
        .with(besides)
        .with(lines.with_filter(filter))
        .with(exporter.map(Exporter::layer))
        .try_init();
    if let Err(e) = installed {
        tracing::debug!(error = %e, "logs go to the subscriber that is there");
    }
}

fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
