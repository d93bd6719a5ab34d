//! `millstream generate-event`: events to call functions with, as mappings would send them.

mod dynamodb;

use super::error::CliError;
use super::names::{queue_arn, stream_arn};
use super::output::{Format, Screen};
use super::queue::attribute;
use clap::{Args, Subcommand};
use millstream::SendEntry;
use millstream::sample::{self, MAX_EVENT_BYTES, SampleError};
use millstream::types::SourceArn;
use millstream::types::arn::SourceKind;
use millstream::types::message::{AttributeValue, MessageAttribute, MessageAttributes};
use millstream_api::v1;
use v1::message_attribute::Value;

pub(super) const HELP: &str = "\
The event is written by what writes the events of mappings: the same members in the same order.

Examples:
    millstream generate-event sqs --body '{\"item\": 1}' | millstream function invoke hello --payload -
    millstream generate-event sqs --queue jobs.fifo --group alice --records 3
    millstream generate-event kinesis --stream orders --key alice --data one --data two
    millstream generate-event kinesis --records 100 > event.json
    millstream generate-event dynamodb --table orders --key '{\"id\": {\"S\": \"7\"}}' --event-name REMOVE";

/// Everything behind `millstream generate-event`.
#[derive(Args, Debug)]
pub(crate) struct GenerateArgs {
    #[command(subcommand)]
    source: Source,
}

#[derive(Subcommand, Debug)]
enum Source {
    /// The event of a batch of a stream.
    #[command(visible_alias = "stream")]
    Kinesis(Kinesis),
    /// The event of a batch of a queue, standard or FIFO.
    #[command(visible_alias = "queue")]
    Sqs(Sqs),
    /// The event of a batch of changes of a table.
    #[command(name = "dynamodb", visible_alias = "table")]
    DynamoDb(dynamodb::DynamoDb),
}

/// A batch of a stream.
#[derive(Args, Debug)]
struct Kinesis {
    /// The stream, by its name or ARN.
    #[arg(long, alias = "source-arn", value_name = "STREAM", default_value = "orders")]
    stream: String,
    /// How many records, 1 to 10000 [default: one for each --data].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    records: Option<u64>,
    /// The data of a record; several are taken in turn [default: {"id": 1}, {"id": 2}, ...].
    #[arg(long, value_name = "TEXT")]
    data: Vec<String>,
    /// The partition key of a record; several are taken in turn.
    #[arg(
        long,
        visible_alias = "partition-key",
        value_name = "KEY",
        default_value = "key-1"
    )]
    key: Vec<String>,
}

/// A batch of a queue.
#[derive(Args, Debug)]
struct Sqs {
    /// The queue, by its name or ARN; one that ends with .fifo is a FIFO queue.
    #[arg(long, alias = "source-arn", value_name = "QUEUE", default_value = "jobs")]
    queue: String,
    /// How many messages, 1 to 10000 [default: one for each --body].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    records: Option<u64>,
    /// The body of a message; several are taken in turn [default: {"id": 1}, {"id": 2}, ...].
    #[arg(long, value_name = "TEXT")]
    body: Vec<String>,
    /// The message group of a message; several are taken in turn [default of a FIFO queue: group-1].
    #[arg(long, visible_alias = "message-group-id", value_name = "ID")]
    group: Vec<String>,
    /// An attribute of every message, NAME=VALUE or NAME:TYPE=VALUE with String, Number or Binary (in Base64).
    #[arg(long, short, value_name = "ATTRIBUTE", value_parser = attribute)]
    attribute: Vec<(String, v1::MessageAttribute)>,
    /// The system attribute AWSTraceHeader of every message.
    #[arg(long, visible_alias = "aws-trace-header", value_name = "HEADER")]
    trace_header: Option<String>,
    /// As of a mapping with a batching window: the digest of no attributes is null.
    #[arg(long)]
    window: bool,
}

/// Prints the event, on one line.
///
/// # Errors
/// If there is no such event.
pub(crate) fn run(args: GenerateArgs) -> Result<(), CliError> {
    let event = match args.source {
        Source::Kinesis(of) => of.event()?,
        Source::Sqs(of) => of.event()?,
        Source::DynamoDb(of) => of.event()?,
    };
    if event.len() > MAX_EVENT_BYTES {
        return Err(wrong(format!(
            "the event has {} bytes: no event has more than {MAX_EVENT_BYTES}",
            event.len()
        )));
    }
    let mut screen = Screen::new(Format::Table, false);
    screen.bytes(&event)?;
    screen.line("")
}

impl Kinesis {
    fn event(self) -> Result<bytes::Bytes, CliError> {
        let source = source(&stream_arn(&self.stream), "--stream", "a stream", |kind| {
            kind == SourceKind::Kinesis
        })?;
        let data = texts(&self.data, self.records);
        let keys = self.key.into_iter().map(bytes::Bytes::from);
        let keys: Vec<_> = keys.collect();
        let records = keys.iter().cloned().cycle().zip(data.into_iter().map(Into::into));
        Ok(sample::stream_event(&source, records))
    }
}

impl Sqs {
    fn event(self) -> Result<bytes::Bytes, CliError> {
        let source = source(
            &queue_arn(&self.queue),
            "--queue",
            "a queue",
            SourceKind::is_queue,
        )?;
        let fifo = source.kind() == SourceKind::Sqs { fifo: true };
        let mut groups = self.group;
        if fifo && groups.is_empty() {
            groups.push("group-1".to_owned());
        }
        let attributes: MessageAttributes = self
            .attribute
            .into_iter()
            .filter_map(|(name, attribute)| Some((name.into(), of_api(attribute)?)))
            .collect();
        let groups: Vec<Option<String>> = match groups.is_empty() {
            true => vec![None],
            false => groups.into_iter().map(Some).collect(),
        };
        let bodies = texts(&self.body, self.records);
        let messages = groups.iter().cycle().zip(bodies).map(|(group, body)| SendEntry {
            body: body.into(),
            attributes: attributes.clone(),
            delay: None,
            group: group.clone(),
            deduplication: None,
            trace_header: self.trace_header.clone(),
            trace: None,
        });
        sample::queue_event(&source, self.window, messages).map_err(|e| match e {
            SampleError::Message(e) => wrong(e.to_string()),
            SampleError::Entropy(e) => CliError::failed("INTERNAL", e.to_string(), ""),
        })
    }
}

/// As many texts as are wanted.
fn texts(given: &[String], wanted: Option<u64>) -> Vec<String> {
    let number = wanted.map_or(given.len().max(1), |n| usize::try_from(n).unwrap_or(usize::MAX));
    let made = |i: usize| match given.len() {
        0 => format!("{{\"id\": {}}}", i + 1),
        n => given.get(i % n).cloned().unwrap_or_default(),
    };
    (0..number).map(made).collect()
}

fn source(
    arn: &str,
    flag: &str,
    wanted: &str,
    fits: impl Fn(SourceKind) -> bool,
) -> Result<SourceArn, CliError> {
    let source: SourceArn = arn.parse().map_err(|e| wrong(format!("{flag}: {e}")))?;
    if fits(source.kind()) {
        Ok(source)
    } else {
        Err(wrong(format!("{flag} '{arn}' is not valid: {wanted} is wanted")))
    }
}

fn of_api(attribute: v1::MessageAttribute) -> Option<MessageAttribute> {
    Some(MessageAttribute {
        data_type: attribute.data_type.into(),
        value: match attribute.value? {
            Value::StringValue(text) => AttributeValue::Text(text.into()),
            Value::BinaryValue(bytes) => AttributeValue::Binary(bytes),
        },
    })
}

fn wrong(message: String) -> CliError {
    CliError::usage(message, "see `millstream generate-event --help`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;
    use serde_json::{Value as Json, json};

    fn generated(line: &str) -> Result<Json, String> {
        let words = ["millstream", "generate-event"]
            .into_iter()
            .chain(line.split(' '));
        let crate::cli::Command::GenerateEvent(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("{line}");
        };
        let event = match args.source {
            Source::Kinesis(of) => of.event(),
            Source::Sqs(of) => of.event(),
            Source::DynamoDb(of) => of.event(),
        };
        let event = event.map_err(|e| e.lines().join(" "))?;
        Ok(serde_json::from_slice(&event).unwrap())
    }

    #[test]
    fn a_batch_of_a_stream() {
        let event = generated("kinesis --stream s --data a --data b --records 3 --key k --key l").unwrap();
        let records = event["Records"].as_array().unwrap();
        let of = |i: usize| {
            let k = &records[i]["kinesis"];
            (k["partitionKey"].clone(), k["data"].clone())
        };
        assert_eq!(records.len(), 3);
        assert_eq!(
            [of(0), of(1), of(2)],
            [("k", "YQ=="), ("l", "Yg=="), ("k", "YQ==")].map(|(k, d)| (json!(k), json!(d)))
        );
        assert_eq!(records[0]["eventSource"], "aws:kinesis");
        assert_eq!(
            records[0]["eventSourceARN"],
            "arn:aws:kinesis:us-east-1:000000000000:stream/s"
        );
        let mut numbers: Vec<_> = records
            .iter()
            .map(|r| r["kinesis"]["sequenceNumber"].clone().to_string())
            .collect();
        numbers.dedup();
        assert!(numbers.len() == 3 && numbers.is_sorted(), "{numbers:?}");
    }

    #[test]
    fn a_batch_of_a_queue() {
        let event = generated("sqs --records 2 --attribute n:Number=1 --trace-header Root=1").unwrap();
        let first = &event["Records"][0];
        assert_eq!(first["body"], "{\"id\": 1}");
        assert_eq!(event["Records"][1]["body"], "{\"id\": 2}");
        assert_eq!(first["messageAttributes"]["n"]["stringValue"], "1");
        assert_eq!(first["attributes"]["AWSTraceHeader"], "Root=1");
        assert!(first["attributes"].get("MessageGroupId").is_none());
        assert_ne!(first["messageId"], event["Records"][1]["messageId"]);

        let event = generated("queue --queue q.fifo --group g --group h --records 3").unwrap();
        let groups: Vec<_> = (0..3)
            .map(|i| event["Records"][i]["attributes"]["MessageGroupId"].clone())
            .collect();
        assert_eq!(groups, ["g", "h", "g"]);
        assert!(event["Records"][0].get("md5OfMessageAttributes").is_none());
        let windowed = generated("sqs --window").unwrap();
        assert_eq!(windowed["Records"][0]["md5OfMessageAttributes"], Json::Null);
        assert!(windowed["Records"][0].get("md5OfMessageAttributes").is_some());
    }

    #[test]
    fn a_batch_of_a_table() {
        let event = generated(
            r#"dynamodb --table tab --key {"id":{"S":"a"}} --key {"id":{"S":"b"}} --new-image {"id":{"S":"a"},"l":{"L":[{"NULL":true}]}}"#,
        )
        .unwrap();
        let records = event["Records"].as_array().unwrap();
        assert_eq!(records.len(), 2);
        let change = &records[0]["dynamodb"];
        assert_eq!(
            (&records[0]["eventName"], &records[0]["eventVersion"]),
            (&json!("INSERT"), &json!("1.1"))
        );
        assert_eq!(change["Keys"], json!({"id": {"S": "a"}}));
        assert_eq!(change["NewImage"]["l"], json!({"L": [{"NULL": true}]}));
        assert_eq!(
            (change.get("OldImage"), &change["SizeBytes"]),
            (None, &json!(3 + 3 + 2))
        );
        assert_ne!(change["SequenceNumber"], records[1]["dynamodb"]["SequenceNumber"]);
        assert!(
            records[0]["eventSourceARN"]
                .as_str()
                .unwrap()
                .contains(":table/tab/stream/")
        );
        let gone = generated("table --table orders --event-name remove --records 3").unwrap();
        let change = &gone["Records"][2]["dynamodb"];
        assert_eq!(change["OldImage"], json!({"id": {"N": "3"}}));
        assert_eq!(change.get("NewImage"), None);
    }

    #[test]
    fn attributes_are_written_as_dynamodb_does() {
        let words = |value: &str| {
            let line = [
                "millstream",
                "generate-event",
                "dynamodb",
                "--table",
                "orders",
                "--key",
                value,
            ];
            Cli::try_parse_from(line).err().map(|e| e.to_string())
        };
        assert_eq!(words(r#"{"id":{"B":"YQ=="},"n":{"NS":["1"]}}"#), None);
        for value in [
            r#"{"id":"x"}"#,
            r#"{"id":{"X":"x"}}"#,
            r#"{"id":{"N":1}}"#,
            "{}",
            "[]",
            "id",
        ] {
            assert!(words(value).is_some(), "{value}");
        }
    }

    #[test]
    fn what_no_queue_or_stream_has_is_refused() {
        for (line, part) in [
            (
                "sqs --queue arn:aws:kinesis:us-east-1:000000000000:stream/s",
                "a queue is wanted",
            ),
            (
                "kinesis --stream arn:aws:sqs:us-east-1:000000000000:q",
                "a stream is wanted",
            ),
            ("sqs --attribute n:Number=x", "n"),
            (
                r#"dynamodb --event-name INSERT --old-image {"id":{"S":"a"}}"#,
                "--old-image",
            ),
            ("dynamodb --table arn:aws:sqs:us-east-1:000000000000:q", "a table"),
        ] {
            let said = generated(line).unwrap_err();
            assert!(said.contains(part), "{line}: {said}");
        }
    }
}
