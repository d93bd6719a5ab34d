//! What a program declares about a mapping. Defaults are AWS's, but for the starting position.

use millstream_types::destination::InvalidDestination;
use millstream_types::{
    DestinationArn, FilterCriteria, FunctionRef, MappingSpec, OnUnmatched, QueueName, SourceArn,
    StartingPosition, StreamName, Wall,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// The settings of a mapping, as declared by [`Builder::mapping`](crate::Builder::mapping).
#[derive(Clone, Debug)]
pub struct MappingSettings {
    stream: Option<String>,
    queue: Option<String>,
    function: Option<String>,
    on_failure: Option<Failures>,
    start: Option<StartingPosition>,
    batch_size: Option<u32>,
    maximum_concurrency: Option<u32>,
    window_seconds: u32,
    tumbling_seconds: u32,
    factor: u8,
    bisect: bool,
    retries: i32,
    age_seconds: i64,
    report_failures: bool,
    filters: FilterCriteria,
}

/// Where documents about what was given up go.
#[derive(Clone, Debug)]
enum Failures {
    Stream(String),
    Queue(String),
    Arn(String),
}

impl MappingSettings {
    pub(crate) fn new() -> Self {
        Self {
            stream: None,
            queue: None,
            function: None,
            on_failure: None,
            start: None,
            batch_size: None,
            maximum_concurrency: None,
            window_seconds: 0,
            tumbling_seconds: 0,
            factor: 1,
            bisect: false,
            retries: -1,
            age_seconds: -1,
            report_failures: false,
            filters: FilterCriteria::default(),
        }
    }

    /// The stream to read. This or a queue is required, and fixed once the mapping exists.
    #[must_use]
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.stream = Some(name.into());
        self
    }

    /// The queue to receive from, instead of a stream. What of the settings below is about streams is refused then.
    #[must_use]
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queue = Some(name.into());
        self
    }

    /// The function to call: one that is registered, or what names a function of AWS Lambda that a connection serves.
    /// Required.
    #[must_use]
    pub fn function(mut self, name: impl Into<String>) -> Self {
        self.function = Some(name.into());
        self
    }

    /// Starts with what is put after the mapping is made, rather than with the oldest record kept. Counts only
    /// when the mapping is made: one that exists goes on where it stood.
    #[must_use]
    pub fn from_latest(mut self) -> Self {
        self.start = Some(StartingPosition::Latest);
        self
    }

    /// Starts with what arrived then or later; counts as [`MappingSettings::from_latest`].
    #[must_use]
    pub fn from_time(mut self, time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        self.start = Some(StartingPosition::AtTimestamp(time));
        self
    }

    /// Most records or messages of a batch, 1 to 10,000, of a FIFO queue to 10; default 100, of a queue 10. More than
    /// 10 messages need a batching window.
    #[must_use]
    pub fn batch_size(mut self, items: u32) -> Self {
        self.batch_size = Some(items);
        self
    }

    /// Queues only. Most batches at once, 2 to 1,000; default: as many as the queue's load and the function allow.
    #[must_use]
    pub fn maximum_concurrency(mut self, batches: u32) -> Self {
        self.maximum_concurrency = Some(batches);
        self
    }

    /// Longest wait for a batch to fill, 0 to 300 s; default 0. Not for FIFO queues.
    #[must_use]
    pub fn batching_window_seconds(mut self, seconds: u32) -> Self {
        self.window_seconds = seconds;
        self
    }

    /// Streams only. Lanes per shard, 1 to 10: so many batches of a shard are at work at once, in order per key; default 1.
    #[must_use]
    pub fn parallelization_factor(mut self, lanes: u8) -> Self {
        self.factor = lanes;
        self
    }

    /// Streams only. Length of the tumbling windows over which the function aggregates, 1 to 900 s; 0, the default: none.
    /// The function gets the window and its state ([`Batch::window`](crate::Batch::window)) and must return the new
    /// state ([`Response::with_state`](crate::Response::with_state)). Only with one lane per shard.
    #[must_use]
    pub fn tumbling_window_seconds(mut self, seconds: u32) -> Self {
        self.tumbling_seconds = seconds;
        self
    }

    /// Streams only. Splits a failed batch of several records in two; default no.
    #[must_use]
    pub fn bisect_on_error(mut self, split: bool) -> Self {
        self.bisect = split;
        self
    }

    /// Streams only. Retries after the first attempt, 0 to 10,000, or −1 for no limit; default −1: a record that always fails
    /// blocks its lane.
    #[must_use]
    pub fn max_retry_attempts(mut self, retries: i32) -> Self {
        self.retries = retries;
        self
    }

    /// Streams only. Oldest record that is still tried, 60 to 604,800 s, or −1 for no limit; default −1.
    #[must_use]
    pub fn max_record_age_seconds(mut self, seconds: i64) -> Self {
        self.age_seconds = seconds;
        self
    }

    /// Lets the function say what failed ([`Response::failed`](crate::Response::failed),
    /// [`Batch::fail`](crate::Batch::fail)); default no.
    #[must_use]
    pub fn report_batch_item_failures(mut self, report: bool) -> Self {
        self.report_failures = report;
        self
    }

    /// Only records that match this pattern, or another one given like this, at most 5: JSON in the language of AWS
    /// Lambda's event filters. The data is under `data` for streams and under `body` for queues.
    ///
    /// ```
    /// # millstream::Millstream::builder().mapping("m", |m| {
    /// m.queue("jobs").function("f").filter(r#"{"body": {"kind": ["order"], "total": [{"numeric": [">", 100]}]}}"#)
    /// # });
    /// ```
    #[must_use]
    pub fn filter(mut self, pattern: impl Into<String>) -> Self {
        self.filters.filters.push(pattern.into());
        self
    }

    /// Lets filters use operators that Lambda does not have: `wildcard`, `cidr`, and `anything-but` of another operator;
    /// default no.
    #[must_use]
    pub fn extended_filters(mut self, extended: bool) -> Self {
        self.filters.extended = extended;
        self
    }

    /// What becomes of records that match no filter; default [`OnUnmatched::Drop`]: they are done.
    #[must_use]
    pub fn on_unmatched(mut self, what: OnUnmatched) -> Self {
        self.filters.on_unmatched = what;
        self
    }

    /// Streams only. The stream that gets a document about records that were given up; default none. Messages of
    /// queues that were received too often go to the dead-letter queue of their queue
    /// ([`QueueSpec::redrive`](crate::QueueSpec)).
    #[must_use]
    pub fn on_failure(mut self, stream: impl Into<String>) -> Self {
        self.on_failure = Some(Failures::Stream(stream.into()));
        self
    }

    /// As [`MappingSettings::on_failure`], but a standard queue gets the documents.
    #[must_use]
    pub fn on_failure_queue(mut self, queue: impl Into<String>) -> Self {
        self.on_failure = Some(Failures::Queue(queue.into()));
        self
    }

    /// As [`MappingSettings::on_failure`], but what this ARN names gets the documents: a standard queue, a standard topic or
    /// a bucket that one of the [connections](crate::AssemblyOptions) serves.
    #[must_use]
    pub fn on_failure_arn(mut self, arn: impl Into<String>) -> Self {
        self.on_failure = Some(Failures::Arn(arn.into()));
        self
    }

    /// The settings with their names checked; what is wrong is added to `problems`. Ranges are the engine's to
    /// check.
    pub(crate) fn spec(&self, mapping: &str, problems: &mut Vec<String>) -> Option<MappingSpec> {
        let stream = |name: &String| StreamName::new(name).map(|name| SourceArn::local_stream(&name));
        let queue = |name: &String| QueueName::new(name).map(|name| SourceArn::local_queue(&name));
        let source = match (&self.stream, &self.queue) {
            (Some(name), None) => stream(name).map_err(|e| e.to_string()),
            (None, Some(name)) => queue(name).map_err(|e| e.to_string()),
            (None, None) => Err("it names no stream and no queue; add .stream(…) or .queue(…)".to_owned()),
            (Some(_), Some(_)) => Err("it names a stream and a queue; it can read one of them".to_owned()),
        };
        let function = match &self.function {
            None => Err("it names no function; add .function(…)".to_owned()),
            Some(name) => FunctionRef::parse(name).ok_or_else(|| unnamed(name)),
        };
        let on_failure = match &self.on_failure {
            None => Ok(None),
            Some(Failures::Stream(name)) => stream(name)
                .map(|arn| Some(arn.into()))
                .map_err(|e| e.to_string()),
            Some(Failures::Queue(name)) => queue(name).map(|arn| Some(arn.into())).map_err(|e| e.to_string()),
            Some(Failures::Arn(arn)) => arn
                .parse()
                .map(Some)
                .map_err(|e: InvalidDestination| e.to_string()),
        };
        match (source, function, on_failure) {
            (Ok(source), Ok(function), Ok(on_failure)) => Some(self.with(source, function, on_failure)),
            (source, function, on_failure) => {
                let wrong = [source.err(), function.err(), on_failure.err()];
                problems.extend(
                    wrong
                        .into_iter()
                        .flatten()
                        .map(|text| format!("mapping {mapping}: {text}")),
                );
                None
            }
        }
    }

    fn with(
        &self,
        source: SourceArn,
        function: FunctionRef,
        on_failure: Option<DestinationArn>,
    ) -> MappingSpec {
        // A stream that is not told otherwise is read from its beginning; a start set for a queue is refused later.
        let start = match self.start {
            None if !source.kind().is_queue() => Some(StartingPosition::TrimHorizon),
            start => start,
        };
        let batch_size = self
            .batch_size
            .unwrap_or(MappingSpec::default_batch_size(source.kind()));
        MappingSpec {
            batch_size,
            batching_window_seconds: self.window_seconds,
            parallelization_factor: self.factor,
            bisect_on_error: self.bisect,
            max_retry_attempts: self.retries,
            max_record_age_seconds: self.age_seconds,
            report_batch_item_failures: self.report_failures,
            on_failure,
            maximum_concurrency: self.maximum_concurrency,
            tumbling_window_seconds: self.tumbling_seconds,
            filter_criteria: self.filters.clone(),
            ..MappingSpec::new(source, function, start)
        }
    }
}

fn unnamed(text: &str) -> String {
    format!(
        "function '{text}' is not valid: want 1 to 64 letters, digits, hyphens and underscores, or what names a function of \
         AWS Lambda"
    )
}
