//! What may be put and how large streams may be. The numbers are Kinesis' where it has them.

use millstream_ports::{PutEntry, PutError, StreamError};
use millstream_types::StreamSpec;

/// Most entries of one put.
pub const MAX_PUT_ENTRIES: usize = 500;
/// Most bytes of partition key and payload of one record: 10 MiB.
pub const MAX_RECORD_BYTES: usize = 10 * 1024 * 1024;
/// Most bytes of partition keys and payloads of one put: 10 MiB, counted over its valid entries.
pub const MAX_PUT_BYTES: usize = 10 * 1024 * 1024;
/// Most characters of a partition key.
pub const MAX_KEY_CHARS: usize = 256;
/// Most shards of a new stream.
pub const MAX_NEW_SHARDS: u32 = 256;
/// Most shards, open and closed, that a stream may come to by splits.
pub const MAX_SHARDS_KEPT: usize = 4_096;
/// Longest retention: a year.
pub const MAX_RETENTION_HOURS: u32 = 8_760;
/// Most records of a page read by hand.
pub const MAX_PAGE_RECORDS: usize = 10_000;
/// Most bytes of a page read by hand.
pub const MAX_PAGE_BYTES: usize = 10 * 1024 * 1024;

const MAX_TRACE_PARENT_BYTES: usize = 256;
const MAX_TRACE_STATE_BYTES: usize = 512;
const VALUE_CHARS: usize = 64;

fn shortened(value: &str) -> String {
    value.chars().take(VALUE_CHARS).collect()
}

/// Bytes of an entry that count.
pub(crate) fn entry_bytes(entry: &PutEntry) -> usize {
    entry.partition_key.len().saturating_add(entry.data.len())
}

/// Checks one entry of a put.
pub(crate) fn check_entry(entry: &PutEntry) -> Result<(), PutError> {
    let chars = entry.partition_key.chars().take(MAX_KEY_CHARS + 1).count();
    if chars == 0 || chars > MAX_KEY_CHARS {
        return Err(PutError::Invalid {
            field: "partition_key",
            value: shortened(&entry.partition_key),
            allowed: format!("1 to {MAX_KEY_CHARS} characters"),
        });
    }
    let bytes = entry_bytes(entry);
    if bytes > MAX_RECORD_BYTES {
        return Err(PutError::Invalid {
            field: "data",
            value: format!("{bytes} bytes with its partition key"),
            allowed: format!("at most {MAX_RECORD_BYTES} bytes with the partition key"),
        });
    }
    let Some(trace) = &entry.trace else { return Ok(()) };
    let state = trace.tracestate.as_deref().unwrap_or_default();
    for (field, text, most) in [
        ("trace.traceparent", &*trace.traceparent, MAX_TRACE_PARENT_BYTES),
        ("trace.tracestate", state, MAX_TRACE_STATE_BYTES),
    ] {
        if text.len() > most {
            let allowed = format!("at most {most} bytes");
            return Err(PutError::Invalid {
                field,
                value: shortened(text),
                allowed,
            });
        }
    }
    Ok(())
}

/// Checks how many entries a put has.
pub(crate) fn check_entry_count(entries: usize) -> Result<(), StreamError> {
    if (1..=MAX_PUT_ENTRIES).contains(&entries) {
        return Ok(());
    }
    let allowed = format!("1 to {MAX_PUT_ENTRIES} entries");
    Err(StreamError::Invalid {
        field: "entries",
        value: format!("{entries} entries"),
        allowed,
    })
}

/// Checks how large a put is.
pub(crate) fn check_put_bytes(bytes: usize) -> Result<(), StreamError> {
    if bytes <= MAX_PUT_BYTES {
        return Ok(());
    }
    let allowed = format!("at most {MAX_PUT_BYTES} bytes of partition keys and data");
    Err(StreamError::Invalid {
        field: "entries",
        value: format!("{bytes} bytes"),
        allowed,
    })
}

/// Checks the settings of a new stream.
pub(crate) fn check_spec(spec: &StreamSpec) -> Result<(), StreamError> {
    if !(1..=MAX_NEW_SHARDS).contains(&spec.shards) {
        let allowed = format!("1 to {MAX_NEW_SHARDS}");
        return Err(StreamError::Invalid {
            field: "shards",
            value: spec.shards.to_string(),
            allowed,
        });
    }
    check_retention(spec.retention_hours)
}

/// Checks how long records are to be kept.
pub(crate) fn check_retention(hours: u32) -> Result<(), StreamError> {
    if (1..=MAX_RETENTION_HOURS).contains(&hours) {
        return Ok(());
    }
    let allowed = format!("1 to {MAX_RETENTION_HOURS}");
    Err(StreamError::Invalid {
        field: "retention_hours",
        value: hours.to_string(),
        allowed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use millstream_ports::HashKey;
    use millstream_types::TraceContext;

    fn entry(key: &str, bytes: usize) -> PutEntry {
        let data = Bytes::from(vec![0; bytes]);
        PutEntry {
            partition_key: key.into(),
            hash_key: HashKey::OfPartitionKey,
            data,
            trace: None,
        }
    }

    #[test]
    fn an_entry_is_measured_as_kinesis_does() {
        let umlauts = "ä".repeat(MAX_KEY_CHARS);
        for (entry, field) in [
            (entry("k", 0), None),
            (entry(&umlauts, 1), None),
            (entry("k", MAX_RECORD_BYTES - 1), None),
            (entry("", 1), Some("partition_key")),
            (entry(&"k".repeat(MAX_KEY_CHARS + 1), 1), Some("partition_key")),
            (entry("k", MAX_RECORD_BYTES), Some("data")),
        ] {
            let refused = check_entry(&entry).err();
            let got = refused.as_ref().map(|e| match e {
                PutError::Invalid { field, .. } => *field,
                other => panic!("{other}"),
            });
            assert_eq!(got, field);
        }
    }

    #[test]
    fn a_refusal_names_field_value_and_what_is_allowed() {
        let mut long = entry("k", 1);
        long.trace = Some(TraceContext {
            traceparent: "0".repeat(300).as_str().into(),
            tracestate: None,
        });
        let text = check_entry(&long).unwrap_err().to_string();
        assert!(
            text.contains("trace.traceparent") && text.contains("at most 256 bytes"),
            "{text}"
        );
        assert!(text.len() < 200, "the value is shortened: {text}");
        for (e, part) in [
            (check_entry_count(0), "1 to 500"),
            (check_entry_count(501), "'501 entries'"),
            (check_put_bytes(MAX_PUT_BYTES + 1), "'10485761 bytes'"),
            (
                check_spec(&StreamSpec {
                    shards: 0,
                    retention_hours: 24,
                    ..StreamSpec::default()
                }),
                "shards '0'",
            ),
            (
                check_spec(&StreamSpec {
                    shards: 257,
                    retention_hours: 24,
                    ..StreamSpec::default()
                }),
                "1 to 256",
            ),
            (check_retention(8_761), "1 to 8760"),
        ] {
            let text = e.unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
    }
}
