//! The standard `OTEL_…` variables: which of them are read, and which values they may have.
//!
//! OpenTelemetry's own crates read them, and where a value means nothing to them they warn and go on without it. Here
//! such a value is refused before anything starts; it is checked and not used.

use std::collections::BTreeMap;
use std::time::Duration;

/// What the variables ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether spans are exported.
    pub enabled: bool,
    /// Most spans that wait to be exported.
    pub queue: usize,
    /// By which protocol.
    pub protocol: Protocol,
    /// How long one export may take.
    pub timeout: Duration,
    /// Standard variables that are set and change nothing, with the reason.
    pub unused: Vec<String>,
}

/// How spans travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP as protobuf over HTTP/1.1; the default of the specification.
    #[default]
    HttpProtobuf,
}

/// A variable with a value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub variable: String,
    /// What is wrong, and what is allowed.
    pub why: String,
}

const SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
const TRACES_EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const COMPRESSIONS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
];
const INSECURE: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
    "OTEL_EXPORTER_OTLP_INSECURE",
];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const TLS: [&str; 6] = [
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
];
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];
const QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const BATCH_SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
const LIMITS: [&str; 3] = [
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
];
const DEFAULT_QUEUE_SIZE: u64 = 2_048;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Spans of this many attempts are kept in memory at most, whatever is asked for.
const MOST_QUEUE_SIZE: u64 = 1_000_000;
/// Standard variables that nothing here reads.
const UNUSED: [(&str, &str); 8] = [
    (
        "OTEL_METRICS_EXPORTER",
        "metrics are served on the operations port, for Prometheus",
    ),
    ("OTEL_LOGS_EXPORTER", "logs go to standard error"),
    (
        "OTEL_PROPAGATORS",
        "contexts are read and handed on in the forms of W3C and X-Ray",
    ),
    (
        "OTEL_BSP_EXPORT_TIMEOUT",
        "an export may take OTEL_EXPORTER_OTLP_TIMEOUT",
    ),
    (
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "use OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    ),
    (
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "values are bounded where they come from",
    ),
    (
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "values are bounded where they come from",
    ),
    ("OTEL_LOG_LEVEL", "use the setting log_level"),
];

impl Settings {
    /// Reads and checks the variables. Nothing is exported unless an endpoint is named or `OTEL_TRACES_EXPORTER` is
    /// `otlp`; then the values of all others are checked too. An empty value is as good as none.
    ///
    /// # Errors
    /// Every value that cannot be used.
    pub fn read(variables: &BTreeMap<String, String>) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader {
            variables,
            problems: Vec::new(),
        };
        let settings = reader.settings();
        if reader.problems.is_empty() {
            Ok(settings)
        } else {
            Err(reader.problems)
        }
    }
}

struct Reader<'a> {
    variables: &'a BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn refuse(&mut self, name: &str, why: impl Into<String>) {
        self.problems.push(Problem {
            variable: name.to_owned(),
            why: why.into(),
        });
    }

    fn settings(&mut self) -> Settings {
        let disabled = self.boolean(SDK_DISABLED).unwrap_or(false);
        let exporter = self.word(TRACES_EXPORTER, &["otlp", "none"]);
        let named = ENDPOINTS.iter().any(|name| self.get(name).is_some());
        let asked = match exporter.as_deref() {
            Some("otlp") => true,
            Some(_) => false,
            None => named,
        };
        if disabled || !asked || !self.problems.is_empty() {
            return Settings::default();
        }
        for name in ENDPOINTS {
            self.endpoint(name);
        }
        for name in HEADERS {
            self.pairs(name);
        }
        self.pairs(RESOURCE_ATTRIBUTES);
        for name in COMPRESSIONS {
            // Exports are small and mostly to the same host: no library for it is linked.
            self.word(name, &["none"]);
        }
        for name in INSECURE {
            self.boolean(name);
        }
        for name in LIMITS.into_iter().chain([DELAY]) {
            self.number(name, 0..=u64::from(u32::MAX));
        }
        let timeouts = TIMEOUTS.map(|name| self.number(name, 1..=u64::from(u32::MAX)));
        for name in TLS {
            if self.get(name).is_some() {
                self.refuse(name, NO_TLS);
            }
        }
        self.sampler();
        let protocols = PROTOCOLS.map(|name| self.word(name, &["grpc", "http/protobuf"]));
        Settings {
            enabled: true,
            queue: self.queue(),
            protocol: match protocols.into_iter().flatten().next().as_deref() {
                Some("grpc") => Protocol::Grpc,
                _ => Protocol::HttpProtobuf,
            },
            timeout: timeouts
                .into_iter()
                .flatten()
                .next()
                .map_or(DEFAULT_TIMEOUT, Duration::from_millis),
            unused: self.unused(),
        }
    }

    /// One of these words, in lower case.
    fn word(&mut self, name: &str, allowed: &[&str]) -> Option<String> {
        let word = self.get(name)?.to_ascii_lowercase();
        if allowed.contains(&word.as_str()) {
            return Some(word);
        }
        self.refuse(
            name,
            format!("'{word}' is not supported: {}", allowed.join(" or ")),
        );
        None
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        self.word(name, &["true", "false"]).map(|word| word == "true")
    }

    fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let text = self.get(name)?;
        match text.parse() {
            Ok(n) if range.contains(&n) => Some(n),
            _ => {
                let (low, high) = (range.start(), range.end());
                let why = format!("'{text}' is not a whole number from {low} to {high}");
                self.refuse(name, why);
                None
            }
        }
    }

    fn endpoint(&mut self, name: &str) {
        let Some(url) = self.get(name).map(str::to_owned) else {
            return;
        };
        let lower = url.to_ascii_lowercase();
        if lower.starts_with("https://") {
            self.refuse(name, format!("'{url}': {NO_TLS}"));
        } else if !lower.starts_with("http://") {
            self.refuse(
                name,
                format!("'{url}' is not an http:// URL, e.g. http://127.0.0.1:4318"),
            );
        }
    }

    /// `key=value,key=value`.
    fn pairs(&mut self, name: &str) {
        let Some(text) = self.get(name) else { return };
        let wrong = |pair: &&str| {
            !pair.is_empty() && pair.split_once('=').is_none_or(|(key, _)| key.trim().is_empty())
        };
        if let Some(wrong) = text.split(',').map(str::trim).find(wrong) {
            // The value may be a secret: only what stands where a key should is shown.
            let key = wrong.split('=').next().unwrap_or_default();
            let why = format!("'{key}…' is not of the form key=value; several are divided by commas");
            self.refuse(name, why);
        }
    }

    fn sampler(&mut self) {
        let sampler = self.get(SAMPLER).map(str::to_owned);
        if let Some(sampler) = sampler.as_deref().filter(|sampler| !SAMPLERS.contains(sampler)) {
            let why = format!("'{sampler}' is not supported: {}", SAMPLERS.join(", "));
            self.refuse(SAMPLER, why);
        }
        let with_ratio = sampler.is_some_and(|word| word.ends_with("traceidratio"));
        let Some(ratio) = self.get(SAMPLER_ARG).map(str::to_owned) else {
            return;
        };
        let ok = ratio.parse().is_ok_and(|r: f64| (0.0..=1.0).contains(&r));
        if with_ratio && !ok {
            self.refuse(SAMPLER_ARG, format!("'{ratio}' is not a number from 0 to 1"));
        } else if !with_ratio {
            let only = format!("means nothing unless {SAMPLER} is traceidratio or parentbased_traceidratio");
            self.refuse(SAMPLER_ARG, format!("'{ratio}' {only}"));
        }
    }

    fn queue(&mut self) -> usize {
        let queue = self
            .number(QUEUE_SIZE, 1..=MOST_QUEUE_SIZE)
            .unwrap_or(DEFAULT_QUEUE_SIZE);
        let batch = self.number(BATCH_SIZE, 1..=MOST_QUEUE_SIZE);
        if batch.is_some_and(|batch| batch > queue) {
            self.refuse(BATCH_SIZE, format!("more than {QUEUE_SIZE}, which is {queue}"));
        }
        usize::try_from(queue).unwrap_or(usize::MAX)
    }

    fn unused(&self) -> Vec<String> {
        let set = UNUSED.iter().filter(|(name, _)| self.get(name).is_some());
        set.map(|(name, why)| format!("{name} is set and not used: {why}"))
            .collect()
    }
}

const NO_TLS: &str = "this build speaks no TLS to collectors: send to one on this host by http://, and let it go on from \
                      there";

#[cfg(test)]
mod tests;
