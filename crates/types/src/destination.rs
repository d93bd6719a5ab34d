//! Amazon Resource Names of failure destinations.

use crate::SourceArn;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which kind of destination an ARN names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DestinationKind {
    /// A Kinesis-shaped stream; of the built-in broker only.
    Stream,
    /// The stream of changes of a table, which takes nothing.
    TableStream,
    /// An SQS-shaped queue.
    Queue {
        /// Whether it is a FIFO queue: its name ends with `.fifo`.
        fifo: bool,
    },
    /// A topic of SNS.
    Topic {
        /// Whether it is a FIFO topic: its name ends with `.fifo`.
        fifo: bool,
    },
    /// A bucket of S3.
    Bucket,
}

/// The ARN of a failure destination, checked and taken apart.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DestinationArn {
    text: String,
}

/// A text is not the ARN of a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an ARN of a failure destination: want arn:aws:sqs:REGION:ACCOUNT:NAME, \
     arn:aws:sns:REGION:ACCOUNT:NAME, arn:aws:s3:::BUCKET, or arn:aws:kinesis:REGION:ACCOUNT:stream/NAME"
)]
pub struct InvalidDestination(String);

impl DestinationArn {
    /// Which kind of destination this is.
    #[must_use]
    pub fn kind(&self) -> DestinationKind {
        let fifo = self.text.ends_with(".fifo");
        match self.part(2) {
            "sqs" => DestinationKind::Queue { fifo },
            "sns" => DestinationKind::Topic { fifo },
            "s3" => DestinationKind::Bucket,
            "dynamodb" => DestinationKind::TableStream,
            _ => DestinationKind::Stream,
        }
    }

    /// The region part; none of a bucket.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        Some(self.part(3)).filter(|region| !region.is_empty())
    }

    /// The account part; empty of a bucket.
    #[must_use]
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// The name of the stream, queue, topic or bucket.
    #[must_use]
    pub fn resource_name(&self) -> &str {
        let resource = self.part(5);
        resource.split_once('/').map_or(resource, |(_, name)| name)
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

impl FromStr for DestinationArn {
    type Err = InvalidDestination;

    fn from_str(s: &str) -> Result<Self, InvalidDestination> {
        let parts: Vec<&str> = s.splitn(6, ':').collect();
        let named = match parts[..] {
            ["arn", partition, "s3", "", "", bucket] => partition.starts_with("aws") && is_bucket(bucket),
            ["arn", partition, "sns", region, account, topic] => {
                let digits = account.len() == 12 && account.bytes().all(|c| c.is_ascii_digit());
                partition.starts_with("aws") && !region.is_empty() && digits && is_topic(topic)
            }
            _ => s.parse::<SourceArn>().is_ok_and(|arn| !arn.is_consumer()),
        };
        if named {
            Ok(Self { text: s.to_owned() })
        } else {
            Err(InvalidDestination(s.to_owned()))
        }
    }
}

/// The rules of a bucket's name, but for those that no request can break.
fn is_bucket(name: &str) -> bool {
    let ok = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.');
    let end = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let bytes = name.as_bytes();
    (3..=63).contains(&name.len())
        && bytes.iter().all(|c| ok(*c))
        && end(bytes.first())
        && end(bytes.last())
        && !name.contains("..")
}

fn is_topic(name: &str) -> bool {
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    let ok = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    !plain.is_empty() && name.len() <= 256 && plain.bytes().all(ok)
}

impl From<SourceArn> for DestinationArn {
    fn from(arn: SourceArn) -> Self {
        Self { text: arn.into() }
    }
}

impl TryFrom<String> for DestinationArn {
    type Error = InvalidDestination;
    fn try_from(s: String) -> Result<Self, InvalidDestination> {
        s.parse()
    }
}

impl From<DestinationArn> for String {
    fn from(a: DestinationArn) -> String {
        a.text
    }
}

impl fmt::Display for DestinationArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for DestinationArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_taken_apart() {
        let one = "123456789012";
        for (text, kind, region, account, name) in [
            (
                "arn:aws:sqs:eu-west-1:123456789012:failed",
                DestinationKind::Queue { fifo: false },
                Some("eu-west-1"),
                one,
                "failed",
            ),
            (
                "arn:aws:sqs:eu-west-1:123456789012:failed.fifo",
                DestinationKind::Queue { fifo: true },
                Some("eu-west-1"),
                one,
                "failed.fifo",
            ),
            (
                "arn:aws-cn:sns:cn-north-1:123456789012:failed",
                DestinationKind::Topic { fifo: false },
                Some("cn-north-1"),
                one,
                "failed",
            ),
            (
                "arn:aws:sns:eu-west-1:123456789012:failed.fifo",
                DestinationKind::Topic { fifo: true },
                Some("eu-west-1"),
                one,
                "failed.fifo",
            ),
            (
                "arn:aws:s3:::my.bucket-1",
                DestinationKind::Bucket,
                None,
                "",
                "my.bucket-1",
            ),
            (
                "arn:aws:kinesis:us-east-1:000000000000:stream/dead",
                DestinationKind::Stream,
                Some("us-east-1"),
                "000000000000",
                "dead",
            ),
        ] {
            let arn: DestinationArn = text.parse().unwrap();
            assert_eq!(
                (arn.kind(), arn.region(), arn.account(), arn.resource_name()),
                (kind, region, account, name)
            );
        }
    }

    #[test]
    fn what_takes_no_documents_is_refused() {
        for text in [
            "",
            "failed",
            "arn:aws:s3:us-east-1:123456789012:bucket",
            "arn:aws:s3:::Bucket",
            "arn:aws:s3:::ab",
            "arn:aws:s3:::a..b",
            "arn:aws:s3:::bucket/key",
            "arn:aws:sns:us-east-1:1:topic",
            "arn:aws:sns::123456789012:topic",
            "arn:aws:sns:us-east-1:123456789012:topic:subscription",
            "arn:aws:lambda:us-east-1:123456789012:function:f",
        ] {
            let error = text.parse::<DestinationArn>().unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("is not an ARN of a failure destination"),
                "{error}"
            );
        }
    }
}
