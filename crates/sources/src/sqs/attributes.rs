//! The settings and counts of a queue, from what SQS calls its attributes.

use aws_sdk_sqs::types::QueueAttributeName;
use millstream_ports::{QueueAttributes, QueueDepth};
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;

/// What SQS hides a received message for, if nobody says otherwise.
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);

/// One look at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) attributes: QueueAttributes,
    pub(super) depth: QueueDepth,
}

/// The part of a redrive policy that matters. Some servers write the count as text, as SQS did long ago.
#[derive(Deserialize)]
struct RedrivePolicy {
    #[serde(rename = "maxReceiveCount")]
    max_receive_count: Option<Count>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u32),
    Text(String),
}

impl Look {
    pub(super) fn read(attributes: &HashMap<QueueAttributeName, String>, named_fifo: bool) -> Self {
        let text = |name: &QueueAttributeName| attributes.get(name).map(String::as_str);
        let number = |name: &QueueAttributeName| text(name).and_then(|t| t.parse::<u64>().ok());
        let redrive = text(&QueueAttributeName::RedrivePolicy)
            .and_then(|json| serde_json::from_str::<RedrivePolicy>(json).ok());
        let max_receive_count = match redrive.and_then(|policy| policy.max_receive_count) {
            Some(Count::Number(n)) => Some(n),
            Some(Count::Text(text)) => text.parse().ok(),
            None => None,
        };
        Self {
            attributes: QueueAttributes {
                fifo: named_fifo || text(&QueueAttributeName::FifoQueue) == Some("true"),
                visibility_timeout: number(&QueueAttributeName::VisibilityTimeout)
                    .map_or(DEFAULT_VISIBILITY, Duration::from_secs),
                max_receive_count,
            },
            depth: QueueDepth {
                visible: number(&QueueAttributeName::ApproximateNumberOfMessages).unwrap_or(0),
                in_flight: number(&QueueAttributeName::ApproximateNumberOfMessagesNotVisible).unwrap_or(0),
                delayed: number(&QueueAttributeName::ApproximateNumberOfMessagesDelayed).unwrap_or(0),
                // Only CloudWatch knows it.
                oldest: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(attributes: &[(QueueAttributeName, &str)], fifo: bool) -> Look {
        let attributes = attributes.iter().map(|(k, v)| (k.clone(), (*v).to_owned()));
        Look::read(&attributes.collect(), fifo)
    }

    #[test]
    fn settings_and_counts_are_read() {
        use QueueAttributeName as Name;
        let look = read(
            &[
                (Name::VisibilityTimeout, "45"),
                (
                    Name::RedrivePolicy,
                    r#"{"deadLetterTargetArn":"arn:x","maxReceiveCount":7}"#,
                ),
                (Name::ApproximateNumberOfMessages, "3"),
                (Name::ApproximateNumberOfMessagesNotVisible, "2"),
                (Name::ApproximateNumberOfMessagesDelayed, "1"),
            ],
            false,
        );
        assert_eq!(
            look.attributes,
            QueueAttributes {
                fifo: false,
                visibility_timeout: Duration::from_secs(45),
                max_receive_count: Some(7)
            }
        );
        let depth = look.depth;
        assert_eq!(
            (depth.visible, depth.in_flight, depth.delayed, depth.oldest),
            (3, 2, 1, None)
        );
    }

    #[test]
    fn what_is_missing_or_odd_has_its_default() {
        use QueueAttributeName as Name;
        let look = read(&[], true);
        assert!(look.attributes.fifo);
        assert_eq!(look.attributes.visibility_timeout, Duration::from_secs(30));
        assert_eq!(look.attributes.max_receive_count, None);
        for (policy, expect) in [
            (r#"{"maxReceiveCount":"4"}"#, Some(4)),
            (r#"{"maxReceiveCount":"many"}"#, None),
            ("{}", None),
            ("not json", None),
        ] {
            let look = read(&[(Name::RedrivePolicy, policy)], false);
            assert_eq!(look.attributes.max_receive_count, expect, "{policy}");
        }
        assert!(read(&[(Name::FifoQueue, "true")], false).attributes.fifo);
    }
}
