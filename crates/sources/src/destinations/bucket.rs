//! A bucket of S3: each document, with the records, is an object (semantics, section 9).

use super::timeouts;
use crate::connection::{Fault, FaultKind};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStream;
use millstream_types::DestinationArn;
use millstream_types::durable::OutboxEntry;

/// What the objects are, to S3.
const CONTENT_TYPE: &str = "application/octet-stream";

/// A bucket that is there.
#[derive(Debug)]
pub(super) struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// Asks whether it is there, and in this region.
    pub(super) async fn find(config: &SdkConfig, arn: &DestinationArn) -> Result<Self, Fault> {
        // Whatever is at an endpoint of one's own need not have a name for each bucket.
        let by_path = config.endpoint_url().is_some();
        let built = Builder::from(config)
            .timeout_config(timeouts(config))
            .force_path_style(by_path)
            .build();
        let client = Client::from_conf(built);
        let name = arn.resource_name().to_owned();
        let asked = client.head_bucket().bucket(&name).send().await;
        asked.map_err(|e| {
            let status = e.raw_response().map(|response| response.status().as_u16());
            explained(Fault::of("HeadBucket", &e), status)
        })?;
        Ok(Self { client, name })
    }

    pub(super) async fn put(&self, entry: &OutboxEntry) -> Result<(), Fault> {
        let object = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key(entry))
            .content_type(CONTENT_TYPE)
            .body(ByteStream::from(entry.document.clone()));
        object
            .send()
            .await
            .map(drop)
            .map_err(|e| Fault::of("PutObject", &e))
    }
}

/// The answers to a HEAD have no body, and so no word of their own.
fn explained(fault: Fault, status: Option<u16>) -> Fault {
    let (kind, text) = match status {
        Some(301 | 307 | 400) => (
            FaultKind::Refused,
            "the bucket is in another region: set `region` of its connection",
        ),
        Some(403) => (
            FaultKind::Denied,
            "no permission, or a bucket of somebody else (s3:ListBucket and s3:PutObject are needed)",
        ),
        Some(404) => (FaultKind::Gone, "there is no such bucket"),
        _ => return fault,
    };
    Fault {
        kind,
        text: format!("HeadBucket: {text}"),
        ..fault
    }
}

/// `aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<UUID>`. The time is that of the document, and the UUID its
/// discard's, so that a repetition overwrites what came before.
fn key(entry: &OutboxEntry) -> String {
    let (year, month, day, time) =
        timestamp(&entry.document).unwrap_or(("1970", "01", "01", "00.00.00".into()));
    format!(
        "aws/lambda/{}/{}/{year}/{month}/{day}/{year}-{month}-{day}T{time}-{}",
        entry.mapping, entry.partition_key, entry.discard
    )
}

/// Year, month, day, and the time of day to the second, of a document's `timestamp`.
fn timestamp(document: &[u8]) -> Option<(&str, &str, &str, String)> {
    // Within a JSON text this can only be the member: in a value its quotes would be escaped.
    const MEMBER: &[u8] = br#""timestamp":""#;
    let at = document.windows(MEMBER.len()).position(|w| w == MEMBER)? + MEMBER.len();
    let text = std::str::from_utf8(document.get(at..at + "2026-01-01T00:00:00".len())?).ok()?;
    let (date, time) = text.split_once('T')?;
    let mut parts = date.splitn(3, '-');
    Some((
        parts.next()?,
        parts.next()?,
        parts.next()?,
        time.replace(':', "."),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use millstream_types::ids::DiscardId;
    use millstream_types::{MappingId, Namespace};

    fn entry(document: &'static str) -> OutboxEntry {
        OutboxEntry {
            discard: DiscardId::from_random(1),
            namespace: Namespace::default(),
            mapping: MappingId::from_random(2),
            destination: "arn:aws:s3:::failed".parse().unwrap(),
            partition_key: "shardId-000000000007".to_owned(),
            document: Bytes::from_static(document.as_bytes()),
        }
    }

    #[test]
    fn an_object_lies_where_aws_puts_it() {
        let document = r#"{"version":"1.0","payload":"{\"timestamp\":\"1999-01-01T00:00:00Z\"}","timestamp":"2026-02-03T04:05:06.789Z"}"#;
        let (mapping, discard) = (MappingId::from_random(2), DiscardId::from_random(1));
        assert_eq!(
            key(&entry(document)),
            format!("aws/lambda/{mapping}/shardId-000000000007/2026/02/03/2026-02-03T04.05.06-{discard}")
        );
        assert!(key(&entry("{}")).contains("/1970/01/01/1970-01-01T00.00.00-"));
    }

    #[test]
    fn an_answer_without_words_is_explained() {
        let fault = || Fault {
            kind: FaultKind::Unavailable,
            code: None,
            text: "HeadBucket: ?".to_owned(),
        };
        for (status, kind, part) in [
            (Some(404), FaultKind::Gone, "no such bucket"),
            (Some(403), FaultKind::Denied, "s3:ListBucket"),
            (Some(301), FaultKind::Refused, "another region"),
            (Some(503), FaultKind::Unavailable, "?"),
            (None, FaultKind::Unavailable, "?"),
        ] {
            let told = explained(fault(), status);
            assert_eq!(told.kind, kind, "{status:?}");
            assert!(told.text.contains(part), "{}", told.text);
        }
    }
}
