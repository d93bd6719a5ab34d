//! What a program declares about a mapping. Defaults are AWS's, but for the starting position.

use millstream_types::{FunctionName, MappingSpec, SourceArn, StartingPosition, StreamName, Wall};
use std::time::{SystemTime, UNIX_EPOCH};

/// The settings of a mapping, as declared by [`Builder::mapping`](crate::Builder::mapping).
#[derive(Clone, Debug)]
pub struct MappingSettings {
    stream: Option<String>,
    function: Option<String>,
    on_failure: Option<String>,
    start: StartingPosition,
    batch_size: u32,
    window_seconds: u32,
    factor: u8,
    bisect: bool,
    retries: i32,
    age_seconds: i64,
    report_failures: bool,
}

impl MappingSettings {
    pub(crate) fn new() -> Self {
        Self {
            stream: None,
            function: None,
            on_failure: None,
            start: StartingPosition::TrimHorizon,
            batch_size: 100,
            window_seconds: 0,
            factor: 1,
            bisect: false,
            retries: -1,
            age_seconds: -1,
            report_failures: false,
        }
    }

    /// The stream to read. Required, and fixed once the mapping exists.
    #[must_use]
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.stream = Some(name.into());
        self
    }

    /// The function to call. Required.
    #[must_use]
    pub fn function(mut self, name: impl Into<String>) -> Self {
        self.function = Some(name.into());
        self
    }

    /// Starts with what is put after the mapping is made, rather than with the oldest record kept. Counts only
    /// when the mapping is made: one that exists goes on where it stood.
    #[must_use]
    pub fn from_latest(mut self) -> Self {
        self.start = StartingPosition::Latest;
        self
    }

    /// Starts with what arrived then or later; counts as [`MappingSettings::from_latest`].
    #[must_use]
    pub fn from_time(mut self, time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.start =
            StartingPosition::AtTimestamp(Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)));
        self
    }

    /// Most records of a batch, 1 to 10,000; default 100.
    #[must_use]
    pub fn batch_size(mut self, records: u32) -> Self {
        self.batch_size = records;
        self
    }

    /// Longest wait for a batch to fill, 0 to 300 s; default 0.
    #[must_use]
    pub fn batching_window_seconds(mut self, seconds: u32) -> Self {
        self.window_seconds = seconds;
        self
    }

    /// Lanes per shard, 1 to 10: so many batches of a shard are at work at once, in order per key; default 1.
    #[must_use]
    pub fn parallelization_factor(mut self, lanes: u8) -> Self {
        self.factor = lanes;
        self
    }

    /// Splits a failed batch of several records in two; default no.
    #[must_use]
    pub fn bisect_on_error(mut self, split: bool) -> Self {
        self.bisect = split;
        self
    }

    /// Retries after the first attempt, 0 to 10,000, or −1 for no limit; default −1: a record that always fails
    /// blocks its lane.
    #[must_use]
    pub fn max_retry_attempts(mut self, retries: i32) -> Self {
        self.retries = retries;
        self
    }

    /// Oldest record that is still tried, 60 to 604,800 s, or −1 for no limit; default −1.
    #[must_use]
    pub fn max_record_age_seconds(mut self, seconds: i64) -> Self {
        self.age_seconds = seconds;
        self
    }

    /// Lets the function say which record failed first ([`Response::failed`](crate::Response::failed)); default
    /// no.
    #[must_use]
    pub fn report_batch_item_failures(mut self, report: bool) -> Self {
        self.report_failures = report;
        self
    }

    /// The stream that gets a document about records that were given up; default none.
    #[must_use]
    pub fn on_failure(mut self, stream: impl Into<String>) -> Self {
        self.on_failure = Some(stream.into());
        self
    }

    /// The settings with their names checked; what is wrong is added to `problems`. Ranges are the engine's to
    /// check.
    pub(crate) fn spec(&self, mapping: &str, problems: &mut Vec<String>) -> Option<MappingSpec> {
        let mut note = |text: String| problems.push(format!("mapping {mapping}: {text}"));
        let stream = match &self.stream {
            None => Err("it names no stream; add .stream(…)".to_owned()),
            Some(name) => StreamName::new(name).map_err(|e| e.to_string()),
        };
        let function = match &self.function {
            None => Err("it names no function; add .function(…)".to_owned()),
            Some(name) => FunctionName::new(name).map_err(|e| e.to_string()),
        };
        let on_failure = self
            .on_failure
            .as_ref()
            .map(StreamName::new)
            .transpose()
            .map_err(|e| e.to_string());
        match (stream, function, on_failure) {
            (Ok(stream), Ok(function), Ok(on_failure)) => Some(MappingSpec {
                batch_size: self.batch_size,
                batching_window_seconds: self.window_seconds,
                parallelization_factor: self.factor,
                bisect_on_error: self.bisect,
                max_retry_attempts: self.retries,
                max_record_age_seconds: self.age_seconds,
                report_batch_item_failures: self.report_failures,
                on_failure: on_failure.as_ref().map(SourceArn::local_stream),
                ..MappingSpec::stream(SourceArn::local_stream(&stream), function, self.start)
            }),
            (stream, function, on_failure) => {
                stream
                    .err()
                    .into_iter()
                    .chain(function.err())
                    .chain(on_failure.err())
                    .for_each(&mut note);
                None
            }
        }
    }
}
