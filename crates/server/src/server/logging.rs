//! Log lines, on standard error.

use crate::config::{LogFormat, ServerConfig};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Installs the subscriber of the process. Does nothing if there is one.
pub(super) fn init(config: &ServerConfig) {
    // The actor library opens a span per actor for its whole life, which says nothing here.
    let filter = EnvFilter::new(format!("ractor=warn,{}", config.log_level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let installed = match config.log_format {
        LogFormat::Text => lines.with_ansi(colour()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(e) = installed {
        tracing::debug!(error = %e, "logs go to the subscriber that is there");
    }
}

fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
