//! Amazon Resource Names of sources and functions.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The account number that belongs to the built-in broker (design, section 8).
pub const LOCAL_ACCOUNT: &str = "000000000000";
/// The region of the built-in broker.
pub const LOCAL_REGION: &str = "us-east-1";

/// Which kind of source an ARN names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A Kinesis-shaped stream.
    Kinesis,
    /// The stream of changes of a DynamoDB table.
    DynamoDb,
    /// An SQS-shaped queue.
    Sqs {
        /// Whether it is a FIFO queue: its name ends with `.fifo`.
        fifo: bool,
    },
}

impl SourceKind {
    /// Whether it is a queue.
    #[must_use]
    pub fn is_queue(self) -> bool {
        matches!(self, Self::Sqs { .. })
    }
}

/// The ARN of an event source, checked and taken apart.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceArn {
    text: String,
}

/// Why a text is not the ARN of a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArn {
    /// Not of the form `arn:partition:service:region:account:resource`.
    #[error(
        "'{0}' is not an ARN of a source: want arn:aws:kinesis:REGION:ACCOUNT:stream/NAME, \
         arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL or arn:aws:sqs:REGION:ACCOUNT:NAME"
    )]
    Form(String),
    /// A service that this build reads nothing from.
    #[error(
        "'{arn}' names service '{service}': this build reads Kinesis-shaped streams (arn:aws:kinesis:…:stream/NAME), \
         DynamoDB streams (arn:aws:dynamodb:…:table/NAME/stream/LABEL) and SQS-shaped queues (arn:aws:sqs:…:NAME)"
    )]
    Service {
        /// The ARN.
        arn: String,
        /// Its service part.
        service: String,
    },
}

impl SourceArn {
    /// The ARN of a stream of the built-in broker.
    #[must_use]
    pub fn local_stream(name: &crate::StreamName) -> Self {
        Self {
            text: format!("arn:aws:kinesis:{LOCAL_REGION}:{LOCAL_ACCOUNT}:stream/{name}"),
        }
    }

    /// The ARN of a queue of the built-in broker.
    #[must_use]
    pub fn local_queue(name: &crate::QueueName) -> Self {
        Self {
            text: format!("arn:aws:sqs:{LOCAL_REGION}:{LOCAL_ACCOUNT}:{name}"),
        }
    }

    /// Which kind of source this is.
    #[must_use]
    pub fn kind(&self) -> SourceKind {
        match self.part(2) {
            "sqs" => SourceKind::Sqs {
                fifo: self.text.ends_with(".fifo"),
            },
            "dynamodb" => SourceKind::DynamoDb,
            _ => SourceKind::Kinesis,
        }
    }

    /// The region part.
    #[must_use]
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// The account part.
    #[must_use]
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// The name of the stream, table or queue.
    #[must_use]
    pub fn resource_name(&self) -> &str {
        let resource = self.part(5);
        let name = resource.split_once('/').map_or(resource, |(_, name)| name);
        name.split('/').next().unwrap_or(name)
    }

    /// Whether it names a consumer of a stream (enhanced fan-out), not the stream itself.
    #[must_use]
    pub fn is_consumer(&self) -> bool {
        self.kind() == SourceKind::Kinesis && self.part(5).contains("/consumer/")
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn part(&self, n: usize) -> &str {
        self.text.splitn(6, ':').nth(n).unwrap_or("")
    }
}

impl FromStr for SourceArn {
    type Err = InvalidArn;

    fn from_str(s: &str) -> Result<Self, InvalidArn> {
        let parts: Vec<&str> = s.splitn(6, ':').collect();
        let [arn, partition, service, region, account, resource] = parts[..] else {
            return Err(InvalidArn::Form(s.to_owned()));
        };
        let digits = account.len() == 12 && account.bytes().all(|c| c.is_ascii_digit());
        if arn != "arn" || !partition.starts_with("aws") || region.is_empty() || !digits {
            return Err(InvalidArn::Form(s.to_owned()));
        }
        let named = match service {
            "kinesis" => is_stream(resource),
            "dynamodb" => is_table_stream(resource),
            "sqs" => crate::QueueName::new(resource).is_ok(),
            _ => {
                return Err(InvalidArn::Service {
                    arn: s.to_owned(),
                    service: service.to_owned(),
                });
            }
        };
        if named {
            Ok(Self { text: s.to_owned() })
        } else {
            Err(InvalidArn::Form(s.to_owned()))
        }
    }
}

/// Whether this is `stream/NAME`, or `stream/NAME/consumer/NAME:TIME` with the seconds since the epoch in which the
/// consumer was registered.
fn is_stream(resource: &str) -> bool {
    let parts: Vec<&str> = resource.split('/').collect();
    let named = |name: &str| crate::StreamName::new(name).is_ok();
    match parts[..] {
        ["stream", name] => named(name),
        ["stream", name, "consumer", consumer] => {
            let digits =
                |time: &str| !time.is_empty() && time.len() <= 20 && time.bytes().all(|c| c.is_ascii_digit());
            named(name)
                && consumer
                    .split_once(':')
                    .is_some_and(|(name, time)| named(name) && digits(time))
        }
        _ => false,
    }
}

/// Whether this is `table/NAME/stream/LABEL`, with a table's name of 3 to 255 characters; a label is a time.
fn is_table_stream(resource: &str) -> bool {
    let parts: Vec<&str> = resource.split('/').collect();
    let ["table", name, "stream", label] = parts[..] else {
        return false;
    };
    let allowed = |more: &'static [u8]| move |c: u8| c.is_ascii_alphanumeric() || more.contains(&c);
    (3..=255).contains(&name.len())
        && name.bytes().all(allowed(b"_.-"))
        && (1..=64).contains(&label.len())
        && label.bytes().all(allowed(b":.-"))
}

impl TryFrom<String> for SourceArn {
    type Error = InvalidArn;
    fn try_from(s: String) -> Result<Self, InvalidArn> {
        s.parse()
    }
}

impl From<SourceArn> for String {
    fn from(a: SourceArn) -> String {
        a.text
    }
}

impl fmt::Display for SourceArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SourceArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_stream_is_taken_apart() {
        let arn: SourceArn = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
            .parse()
            .unwrap();
        assert_eq!(
            (arn.region(), arn.account(), arn.resource_name()),
            ("us-east-1", LOCAL_ACCOUNT, "orders")
        );
        assert_eq!(
            SourceArn::local_stream(&crate::StreamName::new("orders").unwrap()),
            arn
        );
    }

    #[test]
    fn a_consumer_of_a_stream_is_told_from_the_stream() {
        let text = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders/consumer/billing:1607497475";
        let arn: SourceArn = text.parse().unwrap();
        assert_eq!((arn.resource_name(), arn.kind()), ("orders", SourceKind::Kinesis));
        assert!(arn.is_consumer());
        let stream: SourceArn = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"
            .parse()
            .unwrap();
        assert!(!stream.is_consumer());
        for wrong in ["", "billing", "billing:", ":1", "billing:x", "a/b:1"] {
            assert!(
                format!("{stream}/consumer/{wrong}").parse::<SourceArn>().is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_local_queue_is_taken_apart() {
        for (name, fifo) in [("orders", false), ("orders.fifo", true)] {
            let text = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
            let arn: SourceArn = text.parse().unwrap();
            assert_eq!(
                (arn.resource_name(), arn.kind()),
                (name, SourceKind::Sqs { fifo })
            );
            assert_eq!(SourceArn::local_queue(&crate::QueueName::new(name).unwrap()), arn);
        }
    }

    #[test]
    fn a_stream_of_a_table_is_taken_apart() {
        let text = "arn:aws:dynamodb:eu-west-1:123456789012:table/my-table/stream/2026-01-01T00:00:00.000";
        let arn: SourceArn = text.parse().unwrap();
        assert_eq!(
            (arn.region(), arn.account(), arn.resource_name(), arn.kind()),
            ("eu-west-1", "123456789012", "my-table", SourceKind::DynamoDb)
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_reason() {
        for (text, part) in [
            ("orders", "is not an ARN"),
            ("arn:aws:kinesis:us-east-1:1:stream/orders", "is not an ARN"),
            ("arn:aws:kinesis:us-east-1:000000000000:stream/", "is not an ARN"),
            ("arn:aws:sqs:us-east-1:000000000000:a.b", "is not an ARN"),
            ("arn:aws:dynamodb:us-east-1:000000000000:table/t", "is not an ARN"),
            (
                "arn:aws:dynamodb:us-east-1:000000000000:table/a/stream/1",
                "is not an ARN",
            ),
            (
                "arn:aws:dynamodb:us-east-1:000000000000:table/abc/stream/",
                "is not an ARN",
            ),
            (
                "arn:aws:dynamodb:us-east-1:000000000000:table/abc/stream/1/2",
                "is not an ARN",
            ),
            ("arn:aws:sns:us-east-1:000000000000:orders", "service 'sns'"),
        ] {
            let e = text.parse::<SourceArn>().unwrap_err().to_string();
            assert!(e.contains(part), "{e}");
        }
    }
}
