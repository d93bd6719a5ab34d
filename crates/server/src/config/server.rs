//! The settings as the server uses them, and the check of each.

use super::aws::{self, KeysAt};
use super::connections::{self, Connections};
use super::keys::KEYS;
use super::problem::{Origin, Problems};
use super::resolve::Resolved;
use crate::units;
use millstream::HttpReach;
use millstream_telemetry::export;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The server's settings, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerConfig {
    /// Where everything durable lives.
    pub(crate) data_dir: PathBuf,
    /// Where the gRPC API listens; a loopback address.
    pub(crate) grpc_addr: SocketAddr,
    /// Where the AWS-compatible API listens; a loopback address.
    pub(crate) aws_addr: Option<SocketAddr>,
    /// Where the keys are that its requests must be signed with.
    pub(crate) aws_keys: KeysAt,
    /// Names of this server that its requests may use, in lower case.
    pub(crate) aws_hosts: Vec<String>,
    /// Which ARNs are reached where, and as whom.
    #[cfg_attr(not(feature = "aws"), allow(dead_code))]
    pub(crate) connections: Connections,
    /// Where probes and metrics are served; a loopback address.
    pub(crate) ops_addr: Option<SocketAddr>,
    /// Whether lag is told of every shard.
    pub(crate) metrics_per_shard: bool,
    /// How long a stop waits for running invocations.
    pub(crate) drain_timeout: Duration,
    /// Most bytes of records read ahead.
    pub(crate) byte_budget: u64,
    /// Free bytes on disk below which puts are refused.
    pub(crate) free_floor: u64,
    /// Bytes of memory for blocks read from disk.
    pub(crate) block_cache: u64,
    /// Bytes of memory for data on its way to a table file.
    pub(crate) write_buffer: u64,
    /// How long discards are kept.
    pub(crate) discards_max_age: Duration,
    /// Most bytes of discards of one mapping.
    pub(crate) discards_max_bytes: u64,
    /// How long the delivery of a failure document is tried.
    pub(crate) documents_max_age: Duration,
    /// Which addresses http functions may be at.
    pub(crate) http_targets: HttpReach,
    /// Authorities that are trusted besides the system's.
    pub(crate) http_ca_file: Option<PathBuf>,
    /// What is logged; a valid filter.
    pub(crate) log_level: String,
    /// How log lines look.
    pub(crate) log_format: LogFormat,
    /// Whether and how spans are exported: by the standard `OTEL_…` variables, and by nothing else.
    pub(crate) traces: export::Settings,
}

impl ServerConfig {
    /// Reads and checks every value.
    ///
    /// # Errors
    /// All problems, those in `problems` included.
    pub(crate) fn read(resolved: &Resolved, mut problems: Problems) -> Result<Self, Problems> {
        let mut read = Reader {
            resolved,
            problems: &mut problems,
        };
        let config = Self {
            data_dir: read.key("data_dir", data_dir),
            grpc_addr: read.key("grpc_addr", loopback),
            aws_addr: read.key("aws_addr", loopback_or_off),
            aws_keys: read.key("aws_keys", KeysAt::parse),
            aws_hosts: read.key("aws_hosts", aws::hosts),
            connections: read.connections(),
            ops_addr: read.key("ops_addr", loopback_or_off),
            metrics_per_shard: read.key("metrics_per_shard", boolean),
            drain_timeout: read.key("drain_timeout", |t| {
                between(units::duration(t)?, Duration::ZERO..=60 * MINUTE, t)
            }),
            byte_budget: read.key("byte_budget", |t| at_least(t, 16 * MIB)),
            free_floor: read.key("free_floor", units::size),
            block_cache: read.key("block_cache", |t| at_least(t, MIB)),
            write_buffer: read.key("write_buffer", |t| at_least(t, MIB)),
            discards_max_age: read.key("discards_max_age", |t| {
                between(units::duration(t)?, MINUTE..=365 * DAY, t)
            }),
            discards_max_bytes: read.key("discards_max_bytes", |t| at_least(t, MIB)),
            documents_max_age: read.key("documents_max_age", |t| {
                between(units::duration(t)?, SECOND..=14 * DAY, t)
            }),
            http_targets: read.key("http_targets", http_targets),
            http_ca_file: read.key("http_ca_file", |t| Ok((!t.is_empty()).then(|| PathBuf::from(t)))),
            log_level: read.key("log_level", filter),
            log_format: read.key("log_format", log_format),
            traces: read.traces(),
        };
        problems.or(config)
    }
}

/// Reads keys; one that is wrong is noted, and its default used so that the others are checked too.
struct Reader<'a> {
    resolved: &'a Resolved,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn key<T: Fallback>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let Some(key) = KEYS.iter().find(|k| k.name == name) else {
            self.problems
                .at(&Origin::Default, format!("{name} is not in the table of keys"));
            return T::fallback();
        };
        let (text, origin) = self.resolved.value(key);
        parse(text).unwrap_or_else(|why| {
            self.problems.at(&origin, format!("{name}: {why}"));
            T::fallback()
        })
    }
}

impl Reader<'_> {
    /// More than one thing may be wrong with a list.
    fn connections(&mut self) -> Connections {
        let Some(key) = KEYS.iter().find(|key| key.is_list()) else {
            return Connections::default();
        };
        let (text, origin) = self.resolved.value(key);
        connections::parse(text).unwrap_or_else(|problems| {
            problems.iter().for_each(|why| self.problems.at(&origin, why));
            Connections::default()
        })
    }

    fn traces(&mut self) -> export::Settings {
        export::Settings::read(self.resolved.open_telemetry()).unwrap_or_else(|problems| {
            for export::Problem { variable, why } in problems {
                self.problems.at(&Origin::Env(variable), why);
            }
            export::Settings::default()
        })
    }
}

/// Some value to go on with after a problem; never used by a server that starts.
trait Fallback {
    fn fallback() -> Self;
}

macro_rules! fallback {
    ($($type:ty => $value:expr),* $(,)?) => {
        $(impl Fallback for $type {
            fn fallback() -> Self {
                $value
            }
        })*
    };
}

fallback! {
    PathBuf => PathBuf::new(),
    SocketAddr => SocketAddr::from(([127, 0, 0, 1], 0)),
    Duration => Duration::ZERO,
    u64 => 0,
    HttpReach => HttpReach::PublicOnly,
    Option<PathBuf> => None,
    String => String::new(),
    LogFormat => LogFormat::Text,
    Option<SocketAddr> => None,
    bool => false,
    KeysAt => KeysAt::Nowhere,
    Vec<String> => Vec::new(),
}

fn data_dir(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        Err("a directory is wanted".to_owned())
    } else {
        Ok(PathBuf::from(text))
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let text = text
        .strip_prefix("localhost:")
        .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    let addr: SocketAddr = text.parse().map_err(|_| {
        format!("'{text}' is not an address: write IP:PORT, e.g. 127.0.0.1:7400 or [::1]:7400")
    })?;
    if addr.ip().is_loopback() {
        return Ok(addr);
    }
    Err(format!(
        "{addr} is not a loopback address: without TLS and authentication the server listens on 127.0.0.1 or [::1] \
         only; to reach it from another machine, use an SSH tunnel (ssh -L {port}:127.0.0.1:{port} HOST)",
        port = addr.port()
    ))
}

fn loopback_or_off(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    loopback(text).map(Some)
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

fn between(d: Duration, range: std::ops::RangeInclusive<Duration>, text: &str) -> Result<Duration, String> {
    if range.contains(&d) {
        return Ok(d);
    }
    let (low, high) = (
        units::show_duration(*range.start()),
        units::show_duration(*range.end()),
    );
    Err(format!("{text} is out of range: {low} to {high}"))
}

fn at_least(text: &str, least: u64) -> Result<u64, String> {
    let bytes = units::size(text)?;
    if bytes >= least {
        Ok(bytes)
    } else {
        Err(format!(
            "{text} is too little: at least {}",
            units::show_size(least)
        ))
    }
}

fn filter(text: &str) -> Result<String, String> {
    let directives = text.split(',').map(|d| d.rsplit('=').next().unwrap_or(d).trim());
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    for level in directives {
        if !known.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(format!(
                "'{level}' is not a level: off, error, warn, info, debug or trace"
            ));
        }
    }
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|e| format!("'{text}' is not a filter: {e}"))
}

fn http_targets(text: &str) -> Result<HttpReach, String> {
    match text {
        "private" => Ok(HttpReach::Private),
        "public-only" => Ok(HttpReach::PublicOnly),
        _ => Err(format!("'{text}' is not a choice: private or public-only")),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("'{text}' is not a format: text or json")),
    }
}

#[cfg(test)]
mod tests;
