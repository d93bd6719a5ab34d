//! How the records of one shard are written (semantics, section 14).

use super::EncodedEvent;
use crate::civil::iso_seconds;
use crate::json::{escaped_len, write_escaped, write_string};
use bytes::Bytes;
use millstream_types::arn::SourceKind;
use millstream_types::{Record, ShardId, SourceArn, Wall, WindowEnvelope};
use std::sync::Arc;

pub(super) const OPEN: &[u8] = br#"{"Records":["#;
pub(super) const CLOSE_RECORDS: &[u8] = b"]";
pub(super) const CLOSE: &[u8] = b"}";

const RECORD_OPEN: &[u8] = br#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":""#;
const SEQUENCE: &[u8] = br#"","sequenceNumber":""#;
const DATA: &[u8] = br#"","data":""#;
const ARRIVAL: &[u8] = br#"","approximateArrivalTimestamp":"#;
/// `.` and the milliseconds.
const FRACTION_LEN: usize = 4;

/// The constant parts of the events of one shard, escaped once. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventShape {
    /// Whether the payload of a record is the record.
    verbatim: bool,
    /// From the end of the arrival time to the number in `eventID`.
    id: Arc<[u8]>,
    /// From the end of that number to the end of the record.
    tail: Arc<[u8]>,
    /// Shard and source in a window.
    window: Arc<[u8]>,
}

impl EventShape {
    /// Bytes of an event without records and window: `{"Records":[]}`.
    pub const ENVELOPE_LEN: usize = OPEN.len() + CLOSE_RECORDS.len() + CLOSE.len();

    /// The shape of the events of a shard of a stream; `role` is that of the function, if it is known.
    #[must_use]
    pub fn of_stream(source: &SourceArn, shard: &ShardId, role: Option<&str>) -> Self {
        if source.kind() == SourceKind::DynamoDb {
            return Self::verbatim(source.as_str(), shard);
        }
        Self::kinesis(source.as_str(), source.region(), shard, &role_arn(source, role))
    }

    /// The shape of Kinesis events. `role_arn` is shown as `invokeIdentityArn`.
    #[must_use]
    pub fn kinesis(source_arn: &str, region: &str, shard: &ShardId, role_arn: &str) -> Self {
        let mut id = br#"},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":""#.to_vec();
        write_escaped(shard.as_str().as_bytes(), &mut id);
        id.push(b':');

        let mut tail = br#"","eventName":"aws:kinesis:record","invokeIdentityArn":"#.to_vec();
        write_string(role_arn, &mut tail);
        tail.extend_from_slice(br#","awsRegion":"#);
        write_string(region, &mut tail);
        tail.extend_from_slice(br#","eventSourceARN":"#);
        write_string(source_arn, &mut tail);
        tail.push(b'}');

        Self {
            verbatim: false,
            id: id.into(),
            tail: tail.into(),
            window: window_tail(source_arn, shard),
        }
    }

    /// The shape of events whose records their source has written already: DynamoDB's.
    #[must_use]
    pub fn verbatim(source_arn: &str, shard: &ShardId) -> Self {
        Self {
            verbatim: true,
            id: Arc::default(),
            tail: Arc::default(),
            window: window_tail(source_arn, shard),
        }
    }

    /// How many bytes the record takes in an event, exactly, without a comma.
    #[must_use]
    pub fn record_len(&self, record: &Record) -> usize {
        if self.verbatim {
            return record.data.len();
        }
        RECORD_OPEN.len()
            + escaped_len(&record.partition_key)
            + SEQUENCE.len()
            + 2 * record.mark.seq.len()
            + DATA.len()
            + base64_len(record.data.len())
            + ARRIVAL.len()
            + digits(record.arrival.0 / 1_000)
            + FRACTION_LEN
            + self.id.len()
            + self.tail.len()
    }

    /// How many bytes an event without window takes, exactly, whose records have these
    /// [lengths](Self::record_len).
    #[must_use]
    pub fn event_len(record_lens: impl IntoIterator<Item = usize>) -> usize {
        let (records, bytes) = record_lens
            .into_iter()
            .fold((0usize, 0usize), |(n, sum), len| (n + 1, sum + len));
        Self::ENVELOPE_LEN + bytes + records.saturating_sub(1)
    }

    /// How many bytes a window adds to an event, exactly.
    #[must_use]
    pub fn window_len(&self, window: &WindowEnvelope) -> usize {
        let mut around = Vec::new();
        self.write_window(
            &WindowEnvelope {
                state: Bytes::new(),
                ..window.clone()
            },
            &mut around,
        );
        around.len() + window.state.len()
    }

    /// Appends the event to `out`.
    pub fn encode(&self, records: &[Record], window: Option<&WindowEnvelope>, out: &mut Vec<u8>) {
        out.extend_from_slice(OPEN);
        for (i, record) in records.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            self.write_record(record, out);
        }
        self.close(window, out);
    }

    /// Writes the event into `buffer` and keeps where each record ends.
    ///
    /// The buffer is cleared, not freed: give a used one, or one with the capacity that
    /// [`EventShape::event_len`] tells, and nothing is allocated on the way.
    #[must_use]
    pub fn encode_indexed<'a>(
        &self,
        records: impl IntoIterator<Item = &'a Record>,
        mut buffer: Vec<u8>,
    ) -> EncodedEvent {
        let records = records.into_iter();
        let mut ends = Vec::with_capacity(records.size_hint().0);
        buffer.clear();
        buffer.extend_from_slice(OPEN);
        for record in records {
            if !ends.is_empty() {
                buffer.push(b',');
            }
            self.write_record(record, &mut buffer);
            ends.push(buffer.len());
        }
        self.close(None, &mut buffer);
        EncodedEvent::new(buffer, ends)
    }

    /// Appends all that follows the last record.
    pub(super) fn close(&self, window: Option<&WindowEnvelope>, out: &mut Vec<u8>) {
        out.extend_from_slice(CLOSE_RECORDS);
        if let Some(window) = window {
            self.write_window(window, out);
        }
        out.extend_from_slice(CLOSE);
    }

    fn write_record(&self, record: &Record, out: &mut Vec<u8>) {
        if self.verbatim {
            out.extend_from_slice(&record.data);
            return;
        }
        out.extend_from_slice(RECORD_OPEN);
        write_escaped(&record.partition_key, out);
        out.extend_from_slice(SEQUENCE);
        let number = out.len();
        record.mark.seq.write_to(out);
        let number = number..out.len();
        out.extend_from_slice(DATA);
        // The codec reserves exactly what it needs; without this a growing buffer would move for every record.
        out.reserve(base64_len(record.data.len()));
        base64_simd::STANDARD.encode_append(&record.data, out);
        out.extend_from_slice(ARRIVAL);
        write_seconds(record.arrival, out);
        out.extend_from_slice(&self.id);
        out.extend_from_within(number);
        out.extend_from_slice(&self.tail);
    }

    fn write_window(&self, window: &WindowEnvelope, out: &mut Vec<u8>) {
        out.extend_from_slice(br#","window":{"start":"#);
        write_string(&iso_seconds(window.start), out);
        out.extend_from_slice(br#","end":"#);
        write_string(&iso_seconds(window.end), out);
        out.extend_from_slice(br#"},"state":"#);
        out.extend_from_slice(&window.state);
        out.extend_from_slice(&self.window);
        out.extend_from_slice(br#","isFinalInvokeForWindow":"#);
        out.extend_from_slice(truth(window.is_final));
        out.extend_from_slice(br#","isWindowTerminatedEarly":"#);
        out.extend_from_slice(truth(window.terminated_early));
    }
}

/// Shard and source in a window.
fn window_tail(source_arn: &str, shard: &ShardId) -> Arc<[u8]> {
    let mut window = br#","shardId":"#.to_vec();
    write_string(shard.as_str(), &mut window);
    window.extend_from_slice(br#","eventSourceARN":"#);
    write_string(source_arn, &mut window);
    window.into()
}

/// Seconds with exactly three decimals: `1607497475.000`.
fn write_seconds(at: Wall, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(at.0 / 1_000).as_bytes());
    let ms = (at.0 % 1_000) as u16;
    let digit = |n: u16| b'0' + (n % 10) as u8;
    out.extend_from_slice(&[b'.', digit(ms / 100), digit(ms / 10), digit(ms)]);
}

/// `invokeIdentityArn`: the execution role of the function. What is registered here has none, and one is made up.
pub(crate) fn role_arn(source: &SourceArn, role: Option<&str>) -> String {
    let made_up = || format!("arn:aws:iam::{}:role/millstream", source.account());
    role.map_or_else(made_up, str::to_owned)
}

/// `approximateArrivalTimestamp` as it is written.
pub(crate) fn arrival_seconds(at: Wall) -> String {
    let mut text = Vec::new();
    write_seconds(at, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn truth(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

/// The length of padded base64.
pub(super) fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// How many decimal digits `n` has.
pub(super) fn digits(n: u64) -> usize {
    n.checked_ilog10().map_or(1, |log| log as usize + 1)
}
