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
                between(units::duration(t)?, drain_range(), t)
            }),
            byte_budget: read.key("byte_budget", |t| at_least(t, 16 * MIB)),
            free_floor: read.key("free_floor", units::size),
            block_cache: read.key("block_cache", |t| at_least(t, MIB)),
            write_buffer: read.key("write_buffer", |t| at_least(t, MIB)),
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

fn drain_range() -> std::ops::RangeInclusive<Duration> {
    Duration::ZERO..=Duration::from_secs(3_600)
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
mod tests {
    use super::super::resolve::{Inputs, resolve};
    use super::*;
    use std::collections::BTreeMap;

    fn inputs(
        file: Option<&str>,
        env: &[(&str, &str)],
        flags: &[(&'static str, &str)],
    ) -> (Inputs, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("millstream.yaml");
        std::fs::write(&path, file.unwrap_or("")).unwrap();
        let env: BTreeMap<_, _> = env
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let flags = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        (
            Inputs {
                file: Some(path),
                env,
                flags,
                ..Inputs::default()
            },
            dir,
        )
    }

    fn read(
        file: Option<&str>,
        env: &[(&str, &str)],
        flags: &[(&'static str, &str)],
    ) -> Result<ServerConfig, Vec<String>> {
        let (inputs, dir) = inputs(file, env, flags);
        let mut problems = Problems::default();
        let resolved = resolve(&inputs, &mut problems);
        let shown = dir.path().join("").display().to_string();
        ServerConfig::read(&resolved, problems)
            .map_err(|p| p.lines().iter().map(|line| line.replace(&shown, "")).collect())
    }

    #[test]
    fn defaults_are_valid() {
        let config = read(None, &[], &[]).unwrap();
        assert_eq!(config.grpc_addr.to_string(), "127.0.0.1:7400");
        assert_eq!(config.ops_addr, Some(SocketAddr::from(([127, 0, 0, 1], 7402))));
        assert_eq!(config.aws_addr, Some(SocketAddr::from(([127, 0, 0, 1], 7401))));
        assert_eq!(config.aws_keys, KeysAt::Nowhere);
        assert!(!config.traces.enabled);
        assert_eq!(
            (config.drain_timeout, config.byte_budget),
            (Duration::from_secs(30), 256 * MIB)
        );
        assert_eq!(
            (config.http_targets, config.http_ca_file),
            (HttpReach::Private, None)
        );
    }

    #[test]
    fn flags_win_over_environment_over_file_over_default() {
        let (file, env, flag) = (
            "drain_timeout: 1s",
            ("MILLSTREAM_DRAIN_TIMEOUT", "2s"),
            ("drain_timeout", "3s"),
        );
        for (file, env, flags, seconds) in [
            (None, vec![], vec![], 30),
            (Some(file), vec![], vec![], 1),
            (Some(file), vec![env], vec![], 2),
            (None, vec![env], vec![], 2),
            (Some(file), vec![env], vec![flag], 3),
            (Some(file), vec![("MILLSTREAM_DRAIN_TIMEOUT", "")], vec![], 1),
            (Some("drain_timeout: null"), vec![], vec![], 30),
        ] {
            assert_eq!(read(file, &env, &flags).unwrap().drain_timeout.as_secs(), seconds);
        }
    }

    #[test]
    fn every_problem_is_told_at_once_and_where() {
        let file =
            "ops_addr: 7402\ngrpc_addr: 0.0.0.0:7400\ndrain_timeout: 30\ndata_dri: /x\nbyte_budget: [1]\n";
        let problems = read(
            Some(file),
            &[
                ("MILLSTREAM_BYTE_BUDGET", "1MiB"),
                ("MILLSTREAM_LOG_LEVEL", "loud"),
                ("MILLSTREAM_HTTP_TARGETS", "all"),
                ("OTEL_TRACES_EXPORTER", "jaeger"),
            ],
            &[("log_format", "xml"), ("metrics_per_shard", "maybe")],
        )
        .unwrap_err();
        let want = [
            (
                "millstream.yaml:4",
                "there is no key 'data_dri'; did you mean 'data_dir'?",
            ),
            ("millstream.yaml:5", "byte_budget: one value is wanted"),
            (
                "millstream.yaml:2",
                "grpc_addr: 0.0.0.0:7400 is not a loopback address",
            ),
            ("millstream.yaml:1", "ops_addr: '7402' is not an address"),
            (
                "--metrics-per-shard",
                "metrics_per_shard: 'maybe' is neither true nor false",
            ),
            ("millstream.yaml:3", "drain_timeout: '30' has no unit: write 30s"),
            (
                "$MILLSTREAM_BYTE_BUDGET",
                "byte_budget: 1MiB is too little: at least 16MiB",
            ),
            (
                "$MILLSTREAM_HTTP_TARGETS",
                "http_targets: 'all' is not a choice: private or public-only",
            ),
            ("$MILLSTREAM_LOG_LEVEL", "log_level: 'loud' is not a level"),
            ("--log-format", "log_format: 'xml' is not a format"),
            ("$OTEL_TRACES_EXPORTER", "'jaeger' is not supported: otlp or none"),
        ];
        assert_eq!(problems.len(), want.len(), "{problems:#?}");
        for ((origin, text), line) in want.iter().zip(&problems) {
            assert!(
                line.starts_with(origin) && line.contains(text),
                "{line}\nwanted {origin} {text}"
            );
        }
    }

    #[cfg(feature = "aws")]
    #[test]
    fn connections_are_a_list_in_the_file_and_a_text_elsewhere() {
        let file = "connections:\n  - match: arn:aws:sqs:*\n    endpoint_url: http://127.0.0.1:1\n";
        let arn = "arn:aws:sqs:eu-west-1:123456789012:q";
        let found = |config: ServerConfig| config.connections.find(arn).map(|(_, c)| c.is_local());
        assert_eq!(found(read(Some(file), &[], &[]).unwrap()), Some(true));
        let env = ("MILLSTREAM_CONNECTIONS", r#"[{"match": "*"}]"#);
        assert_eq!(found(read(Some(file), &[env], &[]).unwrap()), Some(false));
        assert_eq!(found(read(None, &[], &[("connections", "[]")]).unwrap()), None);
        let wrong = "data_dir: x\nconnections:\n  - match: sqs\n    region: EU\n";
        let problems = read(Some(wrong), &[], &[]).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("millstream.yaml:2: connections[0].match: 'sqs' is not valid"));
        assert!(problems[1].starts_with("millstream.yaml:2: connections[0].region: 'EU' is not valid"));
    }

    #[test]
    fn files_that_are_not_a_mapping_are_refused_with_their_line() {
        for (text, part) in [
            ("- a\n", "a mapping of keys to values is wanted"),
            ("data_dir: [\n", "not valid YAML"),
            ("data_dir: a\ndata_dir: b\n", "duplicated key"),
            ("data_dir: a\n---\ndata_dir: b\n", "one document is wanted"),
        ] {
            let problems = read(Some(text), &[], &[]).unwrap_err();
            assert!(problems[0].contains(part), "{text}: {problems:?}");
        }
        assert!(read(Some("# nothing\n"), &[], &[]).is_ok());
    }

    #[test]
    fn a_named_file_must_exist() {
        let mut problems = Problems::default();
        let missing = Inputs {
            file: Some("/nonexistent/m.yaml".into()),
            ..Inputs::default()
        };
        let resolved = resolve(&missing, &mut problems);
        let problems = ServerConfig::read(&resolved, problems).unwrap_err();
        assert!(
            problems.lines()[0].starts_with("--config: /nonexistent/m.yaml cannot be read"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_mistyped_variable_is_told_and_those_of_platforms_are_not() {
        let env = [
            ("MILLSTREAM_GRPC_ADR", "x"),
            ("MILLSTREAM_SERVICE_HOST", "x"),
            ("MILLSTREAM_DATA_DIR", "x"),
        ];
        let (inputs, _dir) = inputs(None, &env, &[]);
        let resolved = resolve(&inputs, &mut Problems::default());
        assert_eq!(
            resolved.suspicious,
            ["$MILLSTREAM_GRPC_ADR is not a setting and is ignored; did you mean $MILLSTREAM_GRPC_ADDR?"]
        );
    }

    #[test]
    fn the_operations_port_can_be_left_out() {
        assert_eq!(read(Some("ops_addr: off"), &[], &[]).unwrap().ops_addr, None);
        let outside = read(Some("ops_addr: 0.0.0.0:7402"), &[], &[]).unwrap_err();
        assert!(
            outside[0].contains("ops_addr: 0.0.0.0:7402 is not a loopback address"),
            "{outside:?}"
        );
    }

    #[test]
    fn spans_are_exported_as_the_standard_variables_say() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        assert!(read(None, &[endpoint], &[]).unwrap().traces.enabled);
        assert!(
            !read(None, &[endpoint, ("OTEL_SDK_DISABLED", "true")], &[])
                .unwrap()
                .traces
                .enabled
        );
    }

    #[test]
    fn only_loopback_is_listened_on() {
        for (text, ok) in [
            ("127.0.0.1:0", true),
            ("127.1.2.3:80", true),
            ("[::1]:7400", true),
            ("localhost:7400", true),
            ("0.0.0.0:7400", false),
            ("[::]:7400", false),
            ("10.0.0.1:7400", false),
            ("7400", false),
            ("example:7400", false),
        ] {
            assert_eq!(loopback(text).is_ok(), ok, "{text}");
        }
    }
}
