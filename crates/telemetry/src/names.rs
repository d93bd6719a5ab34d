//! Every span, attribute and metric name there is.
//!
//! Names that OpenTelemetry's semantic conventions define are taken from there (messaging, FaaS and AWS Lambda, all
//! of them still in development); what is ours begins with `millstream.`, or `millstream_` in Prometheus. The names
//! that AWS gives its own metrics of event source mappings are there too, as `aws_lambda_…`.

/// Spans.
pub mod span {
    /// The `tracing` target of everything that is exported: exporters take it, log lines leave it out.
    pub const TARGET: &str = "millstream::trace";
    /// What a consumer's span does; its name is this and the source's, e.g. `process orders`.
    pub const PROCESS: &str = "process";
}

/// Log lines that other programs, or other parts of this one, look for by their target.
pub mod log {
    /// One for each attempt that ended, at level debug.
    pub const ATTEMPT: &str = "millstream::attempt";
    /// One for each line that a function's process printed, at level info.
    pub const FUNCTION: &str = "millstream::function";
}

/// Attributes of spans, and their fixed values.
pub mod attribute {
    /// What kind of source: [`SYSTEM_STREAM`], [`SYSTEM_TABLE`] or [`SYSTEM_QUEUE`].
    pub const MESSAGING_SYSTEM: &str = "messaging.system";
    /// Kinesis-shaped streams. The conventions have no value for them.
    pub const SYSTEM_STREAM: &str = "aws_kinesis";
    /// Streams of DynamoDB tables. The conventions have no value for them either.
    pub const SYSTEM_TABLE: &str = "aws_dynamodb_streams";
    /// SQS-shaped queues.
    pub const SYSTEM_QUEUE: &str = "aws_sqs";
    /// Always [`super::span::PROCESS`].
    pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
    /// Always [`super::span::PROCESS`].
    pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
    /// The stream's or queue's name.
    pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
    /// The shard; of streams only.
    pub const MESSAGING_PARTITION: &str = "messaging.destination.partition.id";
    /// The mapping's name.
    pub const MESSAGING_CONSUMER_GROUP: &str = "messaging.consumer.group.name";
    /// How many records or messages the batch has.
    pub const MESSAGING_BATCH_COUNT: &str = "messaging.batch.message_count";
    /// Always `pubsub`.
    pub const FAAS_TRIGGER: &str = "faas.trigger";
    /// The value of [`FAAS_TRIGGER`].
    pub const TRIGGER_PUBSUB: &str = "pubsub";
    /// The request id, which the function sees too.
    pub const FAAS_INVOCATION_ID: &str = "faas.invocation_id";
    /// The function's name.
    pub const FAAS_INVOKED_NAME: &str = "faas.invoked_name";
    /// The function's ARN.
    pub const LAMBDA_INVOKED_ARN: &str = "aws.lambda.invoked_arn";
    /// The mapping's id.
    pub const LAMBDA_MAPPING_ID: &str = "aws.lambda.resource_mapping.id";
    /// Why it failed: one of [`super::error`].
    pub const ERROR_TYPE: &str = "error.type";
    /// The namespace of mapping and function.
    pub const NAMESPACE: &str = "millstream.namespace";
    /// Which attempt of the batch, from 1; of a queue, how often its message was received that was most often.
    pub const ATTEMPT: &str = "millstream.attempt";
    /// The lane of the shard, from 0; of streams only.
    pub const LANE: &str = "millstream.lane";
    /// Message groups of the batch, the first ten; of FIFO queues only.
    pub const MESSAGE_GROUPS: &str = "millstream.message_groups";
    /// How many message groups the batch has; of FIFO queues only.
    pub const MESSAGE_GROUP_COUNT: &str = "millstream.message_group.count";
    /// What the outcome means for the batch: one of [`super::verdict`].
    pub const VERDICT: &str = "millstream.verdict";
    /// How many distinct contexts of records there was no link left for; absent if there was for all.
    pub const LINKS_LEFT_OUT: &str = "millstream.links.left_out";
}

/// Values of [`attribute::VERDICT`], and of the label `outcome`.
pub mod verdict {
    /// Every record is done.
    pub const DONE: &str = "done";
    /// Some are done, some are not.
    pub const PARTIAL: &str = "partial";
    /// None is done.
    pub const FAILED: &str = "failed";
    /// The function's code did not run, and nothing is spent.
    pub const THROTTLED: &str = "throttled";
    /// The attempt ended without an outcome: its owner ended first.
    pub const ABANDONED: &str = "abandoned";
}

/// Values of [`attribute::ERROR_TYPE`]: ways to fail, never what a function says of itself.
pub mod error {
    /// The function returned or threw an error.
    pub const FUNCTION: &str = "function_error";
    /// Its process ended by itself.
    pub const EXITED: &str = "exited";
    /// A signal ended its process.
    pub const CRASHED: &str = "crashed";
    /// Its runtime broke the protocol.
    pub const PROTOCOL: &str = "protocol_error";
    /// Its response is too large.
    pub const RESPONSE_TOO_LARGE: &str = "response_too_large";
    /// Its process did not start.
    pub const INIT: &str = "init_error";
    /// Its process did not start in time.
    pub const INIT_TIMEOUT: &str = "init_timeout";
    /// The connection to it broke off before it had answered.
    pub const DISCONNECTED: &str = "disconnected";
    /// It did not return in time.
    pub const TIMEOUT: &str = "timeout";
    /// It could not be reached.
    pub const UNREACHABLE: &str = "unreachable";
    /// It reported items that failed.
    pub const ITEM_FAILURES: &str = "batch_item_failures";
    /// Its report cannot be understood.
    pub const INVALID_REPORT: &str = "invalid_report";
    /// See [`super::verdict::ABANDONED`].
    pub const ABANDONED: &str = "abandoned";
}

/// Metrics.
pub mod metric {
    /// What kind of number a metric is.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub enum Kind {
        /// Only grows, from zero at the start of the process.
        Counter,
        /// Now.
        Gauge,
        /// Values by size, with the upper bounds of the buckets.
        Histogram(&'static [f64]),
    }

    /// What is known of a metric besides its values.
    #[derive(Clone, Copy, Debug)]
    pub struct Metric {
        /// The name.
        pub name: &'static str,
        /// The kind.
        pub kind: Kind,
        /// The labels of each value, in their order.
        pub labels: &'static [&'static str],
        /// One sentence, without its full stop.
        pub help: &'static str,
    }

    /// What belongs to one mapping.
    const MAPPING: &[&str] = &["namespace", "mapping", "source", "function"];
    const STATE: &[&str] = &["namespace", "mapping", "source", "function", "state"];
    const OUTCOME: &[&str] = &["namespace", "mapping", "source", "function", "outcome"];
    const PATTERN: &[&str] = &["namespace", "mapping", "source", "function", "pattern"];
    const OPERATION: &[&str] = &["namespace", "mapping", "source", "function", "operation"];
    /// What belongs to one shard of one mapping.
    const SHARD: &[&str] = &["namespace", "mapping", "source", "function", "shard"];
    /// What belongs to one function.
    const FUNCTION: &[&str] = &["namespace", "function"];
    /// What belongs to the process.
    const PROCESS: &[&str] = &[];

    /// From a quarter of a millisecond to the longest timeout of a function.
    const CALL_SECONDS: Kind = Kind::Histogram(&[
        0.000_25, 0.001, 0.004, 0.016, 0.064, 0.25, 1.0, 4.0, 15.0, 60.0, 240.0, 900.0,
    ]);
    /// From a millisecond to a day.
    const AGE_SECONDS: Kind = Kind::Histogram(&[
        0.001, 0.004, 0.016, 0.064, 0.25, 1.0, 4.0, 15.0, 60.0, 300.0, 3_600.0, 86_400.0,
    ]);
    /// Up to the largest batch there can be.
    const RECORDS: Kind = Kind::Histogram(&[1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0]);

    macro_rules! metrics {
        ($($id:ident = $kind:path, $name:literal, $labels:ident, $help:literal;)*) => {
            $(
                #[doc = $help]
                pub const $id: Metric = Metric { name: $name, kind: $kind, labels: $labels, help: $help };
            )*
            /// All of them, in the order in which they are told.
            pub const ALL: &[Metric] = &[$($id),*];
        };
    }

    use Kind::{Counter, Gauge};
    const VERSION: &[&str] = &["version"];
    const RESULT: &[&str] = &["result"];

    metrics! {
        BUILD = Gauge, "millstream_build_info", VERSION,
            "Always 1; which version runs";

        MAPPING_STATE = Gauge, "millstream_mapping_state", STATE,
            "1 for the state that the mapping is in";
        MAPPING_SHARDS = Gauge, "millstream_mapping_shards", MAPPING,
            "Shards that are worked on";
        LAG_RECORDS = Gauge, "millstream_source_lag_records", MAPPING,
            "Records in the stream that are not finished, whether read or not; absent while that is not known of all shards";
        LAG_SECONDS = Gauge, "millstream_source_lag_seconds", MAPPING,
            "Age of the oldest record that is not finished, or of the oldest message in the queue; 0 if there is none, absent while that is not known";
        SHARD_LAG_RECORDS = Gauge, "millstream_shard_lag_records", SHARD,
            "As millstream_source_lag_records, of one shard; with the setting metrics_per_shard only";
        SHARD_LAG_SECONDS = Gauge, "millstream_shard_lag_seconds", SHARD,
            "As millstream_source_lag_seconds, of one shard; with the setting metrics_per_shard only";
        BUFFERED_BYTES = Gauge, "millstream_mapping_buffered_bytes", MAPPING,
            "Memory of records that were read and are not finished";
        IN_FLIGHT = Gauge, "millstream_attempts_in_flight", MAPPING,
            "Attempts that run";
        ATTEMPTS = Counter, "millstream_attempts_total", OUTCOME,
            "Attempts that ended: done, partial, failed, timeout, throttled, unreachable or abandoned";
        RETRIES = Counter, "millstream_retries_total", MAPPING,
            "Attempts with records that had failed before, or messages that had been received before";
        ATTEMPT_SECONDS = CALL_SECONDS, "millstream_attempt_duration_seconds", MAPPING,
            "How long attempts took in which the function's code ran";
        BATCH_RECORDS = RECORDS, "millstream_batch_records", MAPPING,
            "Records or messages per attempt";
        BATCH_WAIT = AGE_SECONDS, "millstream_batch_wait_seconds", MAPPING,
            "How long the first record of a batch waited for the batch to be made; of batches sent for the first time";
        RECORDS_READ = Counter, "millstream_records_read_total", MAPPING,
            "Records read, or messages received";
        RECORDS_DONE = Counter, "millstream_records_done_total", MAPPING,
            "Records or messages finished by success";
        RECORDS_DISCARDED = Counter, "millstream_records_discarded_total", MAPPING,
            "Records given up, whether a destination hears of them or not";
        FILTERED = Counter, "millstream_filtered_total", PATTERN,
            "Records and messages that went through the filters, by the first that they matched, from 1; none: filtered out";
        SPLITS = Counter, "millstream_batches_split_total", MAPPING,
            "Batches cut in two after a failure";
        REQUESTS = Counter, "millstream_source_requests_total", OPERATION,
            "Requests to the source: read, receive, delete or change_visibility";
        QUEUE_VISIBLE = Gauge, "millstream_queue_visible_messages", MAPPING,
            "Messages that can be received; absent while the queue does not tell";
        QUEUE_HIDDEN = Gauge, "millstream_queue_hidden_messages", MAPPING,
            "Messages received and neither deleted nor visible again; absent while the queue does not tell";
        QUEUE_DELAYED = Gauge, "millstream_queue_delayed_messages", MAPPING,
            "Messages whose delay has not ended; absent while the queue does not tell";

        AWS_POLLED = Counter, "aws_lambda_polled_event_count_total", MAPPING,
            "AWS's PolledEventCount: records read, or messages received";
        AWS_FILTERED = Counter, "aws_lambda_filtered_out_event_count_total", MAPPING,
            "AWS's FilteredOutEventCount: records and messages that matched no filter";
        AWS_INVOKED = Counter, "aws_lambda_invoked_event_count_total", MAPPING,
            "AWS's InvokedEventCount: records and messages sent to the function, throttled ones and each retry included";
        AWS_FAILED = Counter, "aws_lambda_failed_invoke_event_count_total", MAPPING,
            "AWS's FailedInvokeEventCount: records and messages of attempts that failed or were throttled, and those that a partial response reported";
        AWS_DROPPED = Counter, "aws_lambda_dropped_event_count_total", MAPPING,
            "AWS's DroppedEventCount: records given up by mappings that have no destination for them";
        AWS_DELIVERED = Counter, "aws_lambda_on_failure_destination_delivered_event_count_total", MAPPING,
            "AWS's OnFailureDestinationDeliveredEventCount: records given up whose document was delivered";
        UNDELIVERABLE = Counter, "millstream_records_undeliverable_total", MAPPING,
            "Records given up whose document could not be delivered in time; their discards are kept";
        AWS_DELETED = Counter, "aws_lambda_deleted_event_count_total", MAPPING,
            "AWS's DeletedEventCount: messages deleted because they were done or filtered out";
        AWS_ITERATOR_AGE = AGE_SECONDS, "aws_lambda_iterator_age_seconds", MAPPING,
            "AWS's IteratorAge, in seconds: age of the last record of a batch as it is sent";

        FUNCTION_PROCESSES = Gauge, "millstream_function_processes", FUNCTION,
            "Processes alive";
        FUNCTION_IN_FLIGHT = Gauge, "millstream_function_in_flight", FUNCTION,
            "Invocations that run";
        FUNCTION_STARTS = Counter, "millstream_function_process_starts_total", FUNCTION,
            "Processes started since the function was last changed";
        FUNCTION_CRASHES = Counter, "millstream_function_process_crashes_total", FUNCTION,
            "Processes that ended without being asked, since the function was last changed";

        BUFFER_BYTES = Gauge, "millstream_buffer_bytes", PROCESS,
            "Memory of records read ahead, of all mappings";
        BUFFER_LIMIT_BYTES = Gauge, "millstream_buffer_limit_bytes", PROCESS,
            "The setting byte_budget";
        STORE_HEALTHY = Gauge, "millstream_store_healthy", PROCESS,
            "1 if the database can be used, 0 while it is being opened again after an error";
        STORE_QUEUE_REQUESTS = Gauge, "millstream_store_write_queue_requests", PROCESS,
            "Writes that wait for the writer";
        STORE_QUEUE_BYTES = Gauge, "millstream_store_write_queue_bytes", PROCESS,
            "Bytes of writes that wait for the writer";
        STORE_WRITES = Counter, "millstream_store_writes_total", PROCESS,
            "Writes to the database";
        STORE_GROUPS = Counter, "millstream_store_write_groups_total", PROCESS,
            "Groups in which writes were written";
        STORE_SYNCS = Counter, "millstream_store_syncs_total", PROCESS,
            "Syncs of the database's log";
        STORE_REOPENS = Counter, "millstream_store_reopens_total", PROCESS,
            "How often the database was opened again after an error";
        STORE_GROUP_SECONDS = Counter, "millstream_store_write_group_seconds_total", PROCESS,
            "How long the writer took for all groups, with their syncs where they have one";
        STORE_FREE_BYTES = Gauge, "millstream_store_free_bytes", PROCESS,
            "Free space of the database's file system; absent while that is not known";
        STORE_FLOOR_BYTES = Gauge, "millstream_store_free_floor_bytes", PROCESS,
            "Free space below which puts are refused";
        TRACE_SPANS = Counter, "millstream_trace_spans_total", RESULT,
            "Spans by what became of them: exported, failed (the collector did not take them) or dropped (too many waited); absent without an exporter";
    }
}

#[cfg(test)]
mod tests {
    use super::metric::{ALL, Kind, Metric};
    use std::collections::BTreeSet;

    const MAPPING: [&str; 4] = ["namespace", "mapping", "source", "function"];

    #[test]
    fn metrics_are_named_as_prometheus_asks() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(seen.insert(name), "{name} is there twice");
            assert!(
                name.starts_with("millstream_") || name.starts_with("aws_lambda_"),
                "{name}"
            );
            assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(!metric.help.ends_with('.'), "{name}: {}", metric.help);
        }
    }

    /// A metric's line in the document.
    fn row(metric: &Metric) -> String {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let quoted = |labels: &[&str], by: &str| {
            let quoted: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            quoted.join(by)
        };
        let of = match metric.labels {
            labels if labels == MAPPING => "mapping".to_owned(),
            labels if labels.starts_with(&MAPPING) => format!("mapping + {}", quoted(&labels[4..], " + ")),
            ["namespace", "function"] => "function".to_owned(),
            labels => quoted(labels, ", "),
        };
        format!("| `{}` | {kind} | {of} | {} |", metric.name, metric.help)
    }

    #[test]
    fn the_document_has_every_metric_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/telemetry.md");
        let text = std::fs::read_to_string(path).unwrap();
        let ours = |line: &&str| line.starts_with("| `millstream_") || line.starts_with("| `aws_lambda_");
        let found: Vec<&str> = text.lines().filter(ours).collect();
        let wanted: Vec<String> = ALL.iter().map(row).collect();
        assert!(
            found == wanted,
            "the table in docs/telemetry.md should be:\n{}",
            wanted.join("\n")
        );
    }

    #[test]
    fn the_document_has_every_attribute() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/telemetry.md");
        let (text, source) = (std::fs::read_to_string(path).unwrap(), include_str!("names.rs"));
        let start = source.find("pub mod attribute").unwrap();
        let end = source.find("/// Metrics.").unwrap();
        let values = source[start..end].split('"').skip(1).step_by(2);
        for value in values {
            assert!(
                text.contains(&format!("`{value}`")),
                "{value} is not in docs/telemetry.md"
            );
        }
    }
}
