//! The settings of a mapping as flags, named as AWS names them, with short forms.

use super::operation::Operation;
use crate::cli::names::destination_arn;
use crate::cli::when;
use crate::units::whole_seconds;
use clap::{Args, ValueEnum};
use millstream_api::v1;
use v1::{FunctionResponseType, OnUnmatched, StartingPosition};

const HEADING: &str = "Settings";

/// What create and update both can set.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)] // so that it can stand beside the settings of a function
pub(crate) struct Settings {
    /// Most records of a batch, 1 to 10000; of a FIFO queue, 1 to 10 [default: 100; of a queue, 10].
    #[arg(long, value_name = "N", help_heading = HEADING, allow_negative_numbers = true)]
    batch_size: Option<i32>,
    /// Longest wait for a batch to fill, 0 to 300 s; not for a FIFO queue [default: 0].
    #[arg(long, visible_alias = "window", value_name = "SECONDS", value_parser = whole_seconds, help_heading = HEADING)]
    maximum_batching_window_seconds: Option<i32>,
    /// Streams: lanes per shard, 1 to 10; a key always has the same lane [default: 1].
    #[arg(long, visible_alias = "factor", value_name = "N", help_heading = HEADING, allow_negative_numbers = true)]
    parallelization_factor: Option<i32>,
    /// Streams: split a failed batch of several records in two [default: false].
    #[arg(long, visible_alias = "bisect", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = HEADING)]
    bisect_batch_on_function_error: Option<bool>,
    /// Streams: retries after the first attempt, 0 to 10000; -1: no limit [default: -1].
    #[arg(long, visible_alias = "max-retries", value_name = "N", help_heading = HEADING, allow_negative_numbers = true)]
    maximum_retry_attempts: Option<i32>,
    /// Streams: oldest record that is still tried, 60 s to 7 d; -1: no limit [default: -1].
    #[arg(long, visible_alias = "max-age", value_name = "SECONDS", value_parser = whole_seconds, help_heading = HEADING, allow_negative_numbers = true)]
    maximum_record_age_seconds: Option<i32>,
    /// Streams: length of the tumbling windows over which the function aggregates, 1 to 900 s; 0: none [default: 0].
    #[arg(long, visible_alias = "tumbling-window", value_name = "SECONDS", value_parser = whole_seconds, help_heading = HEADING)]
    tumbling_window_in_seconds: Option<i32>,
    /// The function reports which records failed (`batchItemFailures`) [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = HEADING)]
    report_batch_item_failures: Option<bool>,
    /// Streams: what gets a document about records that were given up: a stream, `queue/NAME` for a standard queue, or an
    /// ARN [default: none].
    #[arg(long, value_name = "DESTINATION", help_heading = HEADING)]
    on_failure: Option<String>,
    /// Queues: most batches in flight at once, 2 to 1000 [default: up to 1250, as load and errors allow].
    #[arg(long, visible_alias = "max-concurrency", value_name = "N", help_heading = HEADING, allow_negative_numbers = true)]
    maximum_concurrency: Option<i32>,
    /// Only records that match this pattern, or another one given like this, at most 5: JSON, or `@FILE` [default: all].
    #[arg(long = "filter", value_name = "PATTERN", value_parser = pattern, help_heading = HEADING)]
    filters: Vec<String>,
    /// Patterns may use operators that Lambda does not have: wildcard, cidr, anything-but of another [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = HEADING)]
    extended_filters: Option<bool>,
    /// What becomes of records that match no filter: done, left in the queue, or done and kept as discards [default:
    /// drop].
    #[arg(long, value_name = "WHAT", help_heading = HEADING)]
    on_unmatched: Option<Unmatched>,
    #[command(flatten)]
    operation: Operation,
}

/// What becomes of records that match no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // named as the API names them
pub(crate) enum Unmatched {
    Drop,
    Keep,
    Quarantine,
}

impl From<Unmatched> for OnUnmatched {
    fn from(what: Unmatched) -> Self {
        match what {
            Unmatched::Drop => Self::Drop,
            Unmatched::Keep => Self::Keep,
            Unmatched::Quarantine => Self::Quarantine,
        }
    }
}

/// A pattern, or the file it is in.
fn pattern(text: &str) -> Result<String, String> {
    match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|e| format!("{path} cannot be read: {e}")),
        None => Ok(text.to_owned()),
    }
}

/// A setting that can go back to its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // named as the flags
pub(crate) enum Unset {
    BatchSize,
    MaximumBatchingWindowSeconds,
    ParallelizationFactor,
    BisectBatchOnFunctionError,
    MaximumRetryAttempts,
    MaximumRecordAgeSeconds,
    ReportBatchItemFailures,
    OnFailure,
    #[value(alias = "max-concurrency")]
    MaximumConcurrency,
    #[value(alias = "tumbling-window")]
    TumblingWindowInSeconds,
    #[value(alias = "filter")]
    Filters,
    ProvisionedPollers,
    Metrics,
    Tags,
}

impl Unset {
    /// Its path in an update mask.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::BatchSize => "batch_size",
            Self::MaximumBatchingWindowSeconds => "maximum_batching_window_seconds",
            Self::ParallelizationFactor => "parallelization_factor",
            Self::BisectBatchOnFunctionError => "bisect_batch_on_function_error",
            Self::MaximumRetryAttempts => "maximum_retry_attempts",
            Self::MaximumRecordAgeSeconds => "maximum_record_age_seconds",
            Self::ReportBatchItemFailures => "function_response_types",
            Self::OnFailure => "destination_config",
            Self::MaximumConcurrency => "scaling_config",
            Self::TumblingWindowInSeconds => "tumbling_window_in_seconds",
            Self::Filters => "filter_criteria",
            Self::ProvisionedPollers => "provisioned_poller_config",
            Self::Metrics => "metrics_config",
            Self::Tags => "tags",
        }
    }
}

impl Settings {
    /// Puts what is set into `mapping`, and names it for an update mask.
    pub(crate) fn apply(&self, mapping: &mut v1::Mapping) -> Vec<&'static str> {
        mapping.batch_size = self.batch_size;
        mapping.maximum_batching_window_seconds = self.maximum_batching_window_seconds;
        mapping.parallelization_factor = self.parallelization_factor;
        mapping.bisect_batch_on_function_error = self.bisect_batch_on_function_error;
        mapping.maximum_retry_attempts = self.maximum_retry_attempts;
        mapping.maximum_record_age_seconds = self.maximum_record_age_seconds;
        mapping.tumbling_window_in_seconds = self.tumbling_window_in_seconds;
        if self.report_batch_item_failures == Some(true) {
            mapping.function_response_types = vec![FunctionResponseType::ReportBatchItemFailures.into()];
        }
        mapping.destination_config = self.on_failure.as_ref().map(|to| v1::DestinationConfig {
            on_failure: Some(v1::OnFailure {
                destination: destination_arn(to),
            }),
        });
        mapping.scaling_config = self.maximum_concurrency.map(|n| v1::ScalingConfig {
            maximum_concurrency: Some(n),
        });
        if !self.filter_mask().is_empty() {
            mapping.filter_criteria = Some(v1::FilterCriteria {
                filters: self
                    .filters
                    .iter()
                    .cloned()
                    .map(|pattern| v1::Filter { pattern })
                    .collect(),
                extended: self.extended_filters.unwrap_or_default(),
                on_unmatched: self.on_unmatched.map_or(0, |what| OnUnmatched::from(what).into()),
            });
        }
        let mut mask = self.mask();
        mask.extend(self.filter_mask());
        mask.extend(self.operation.apply(mapping));
        mask
    }

    /// The members are named one by one, so that those that are not set stay.
    fn filter_mask(&self) -> Vec<&'static str> {
        let set = [
            (!self.filters.is_empty(), "filter_criteria.filters"),
            (self.extended_filters.is_some(), "filter_criteria.extended"),
            (self.on_unmatched.is_some(), "filter_criteria.on_unmatched"),
        ];
        set.into_iter()
            .filter(|(set, _)| *set)
            .map(|(_, path)| path)
            .collect()
    }

    fn mask(&self) -> Vec<&'static str> {
        let set = [
            (self.batch_size.is_some(), Unset::BatchSize),
            (
                self.maximum_batching_window_seconds.is_some(),
                Unset::MaximumBatchingWindowSeconds,
            ),
            (
                self.parallelization_factor.is_some(),
                Unset::ParallelizationFactor,
            ),
            (
                self.bisect_batch_on_function_error.is_some(),
                Unset::BisectBatchOnFunctionError,
            ),
            (self.maximum_retry_attempts.is_some(), Unset::MaximumRetryAttempts),
            (
                self.maximum_record_age_seconds.is_some(),
                Unset::MaximumRecordAgeSeconds,
            ),
            (
                self.report_batch_item_failures.is_some(),
                Unset::ReportBatchItemFailures,
            ),
            (self.on_failure.is_some(), Unset::OnFailure),
            (self.maximum_concurrency.is_some(), Unset::MaximumConcurrency),
            (
                self.tumbling_window_in_seconds.is_some(),
                Unset::TumblingWindowInSeconds,
            ),
        ];
        set.into_iter()
            .filter(|(set, _)| *set)
            .map(|(_, field)| field.path())
            .collect()
    }
}

/// Where a mapping starts to read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Start {
    /// The oldest record kept.
    Trim,
    /// What is put from now on.
    Latest,
    /// What arrived then or later.
    At(prost_types::Timestamp),
}

impl Start {
    /// `trim-horizon` (or `trim`), `latest`, AWS's spellings of them, or a time.
    ///
    /// # Errors
    /// If it is none of these.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().replace('_', "-").as_str() {
            "trim-horizon" | "trim" => Ok(Self::Trim),
            "latest" => Ok(Self::Latest),
            _ => when::parse(text).map(Self::At).map_err(|_| {
                format!(
                    "'{text}' is not a position: trim-horizon, latest, or a time like 2026-11-22T10:00:00Z"
                )
            }),
        }
    }

    /// Puts it into `mapping`.
    pub(crate) fn apply(&self, mapping: &mut v1::Mapping) {
        let (position, time) = match self {
            Self::Trim => (StartingPosition::TrimHorizon, None),
            Self::Latest => (StartingPosition::Latest, None),
            Self::At(time) => (StartingPosition::AtTimestamp, Some(*time)),
        };
        mapping.set_starting_position(position);
        mapping.starting_position_timestamp = time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn parse(line: &str) -> (v1::Mapping, Vec<&'static str>) {
        let line = Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).unwrap();
        let mut mapping = v1::Mapping::default();
        let mask = line.settings.apply(&mut mapping);
        (mapping, mask)
    }

    #[test]
    fn only_what_is_set_is_in_mapping_and_mask() {
        let (mapping, mask) = parse("");
        assert_eq!((mapping, mask.len()), (v1::Mapping::default(), 0));
        let (mapping, mask) = parse("--factor 4 --max-retries -1 --bisect --window 1m --on-failure failed");
        assert_eq!(
            (mapping.parallelization_factor, mapping.maximum_retry_attempts),
            (Some(4), Some(-1))
        );
        assert_eq!(mapping.bisect_batch_on_function_error, Some(true));
        assert_eq!(mapping.maximum_batching_window_seconds, Some(60));
        let to = mapping
            .destination_config
            .unwrap()
            .on_failure
            .unwrap()
            .destination;
        assert_eq!(to, "arn:aws:kinesis:us-east-1:000000000000:stream/failed");
        assert_eq!(
            mask,
            [
                "maximum_batching_window_seconds",
                "parallelization_factor",
                "bisect_batch_on_function_error",
                "maximum_retry_attempts",
                "destination_config"
            ]
        );
    }

    #[test]
    fn a_tumbling_window_is_set_and_switched_off() {
        for (line, seconds) in [
            ("--tumbling-window 2m", 120),
            ("--tumbling-window-in-seconds 30", 30),
            ("--tumbling-window 0", 0),
        ] {
            let (mapping, mask) = parse(line);
            assert_eq!(mapping.tumbling_window_in_seconds, Some(seconds), "{line}");
            assert_eq!(mask, ["tumbling_window_in_seconds"]);
        }
    }

    #[test]
    fn filters_are_set_member_by_member() {
        let (mapping, mask) = parse(r#"--filter {"body":{"a":[1]}} --filter {"x":[2]} --on-unmatched keep"#);
        let criteria = mapping.filter_criteria.unwrap();
        let patterns: Vec<_> = criteria.filters.iter().map(|f| f.pattern.as_str()).collect();
        assert_eq!(patterns, [r#"{"body":{"a":[1]}}"#, r#"{"x":[2]}"#]);
        assert_eq!(
            (criteria.extended, criteria.on_unmatched()),
            (false, OnUnmatched::Keep)
        );
        assert_eq!(mask, ["filter_criteria.filters", "filter_criteria.on_unmatched"]);
        let (mapping, mask) = parse("--extended-filters=false");
        assert_eq!(mapping.filter_criteria, Some(v1::FilterCriteria::default()));
        assert_eq!(mask, ["filter_criteria.extended"]);
        assert!(Line::try_parse_from(["x", "--filter", "@/no/such/file"]).is_err());
    }

    #[test]
    fn switching_off_is_in_the_mask() {
        let (mapping, mask) = parse("--report-batch-item-failures=false --bisect=false");
        assert!(mapping.function_response_types.is_empty());
        assert_eq!(mapping.bisect_batch_on_function_error, Some(false));
        assert_eq!(
            mask,
            ["bisect_batch_on_function_error", "function_response_types"]
        );
        let (mapping, mask) = parse("--max-pollers 20 --metrics event-count --tag a=b --tag c=");
        let pollers = mapping.provisioned_poller_config.unwrap_or_default();
        assert_eq!(
            (pollers.minimum_pollers, pollers.maximum_pollers),
            (None, Some(20))
        );
        assert_eq!(mapping.tags["a"], "b");
        assert_eq!((mapping.tags.len(), mapping.tags["c"].as_str()), (2, ""));
        assert_eq!(mask, ["provisioned_poller_config", "metrics_config", "tags"]);
        let (mapping, _) = parse("--report-batch-item-failures");
        assert_eq!(mapping.function_response_types, [1]);
    }

    #[test]
    fn starts() {
        for (text, want) in [
            ("trim", Some(StartingPosition::TrimHorizon)),
            ("TRIM_HORIZON", Some(StartingPosition::TrimHorizon)),
            ("Latest", Some(StartingPosition::Latest)),
            ("2026-11-22T10:00:00Z", Some(StartingPosition::AtTimestamp)),
            ("now", None),
        ] {
            let got = Start::parse(text).ok().map(|start| {
                let mut mapping = v1::Mapping::default();
                start.apply(&mut mapping);
                assert_eq!(mapping.starting_position_timestamp.is_some(), text.ends_with('Z'));
                mapping.starting_position()
            });
            assert_eq!(got, want, "{text}");
        }
    }
}
