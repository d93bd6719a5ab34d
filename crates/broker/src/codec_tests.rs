//! The record-batch form: a fixed example, and laws over random ones.

use super::*;
use proptest::prelude::*;

fn entries() -> impl Strategy<Value = Vec<PutEntry>> {
    let trace =
        ("[ -~]{0,80}", proptest::option::of("[ -~]{0,80}")).prop_map(|(parent, state)| TraceContext {
            traceparent: parent.as_str().into(),
            tracestate: state.map(|s| s.as_str().into()),
        });
    let hash_key = prop_oneof![
        Just(HashKey::OfPartitionKey),
        any::<u128>().prop_map(HashKey::Explicit)
    ];
    let data = proptest::collection::vec(any::<u8>(), 0..300);
    let entry =
        (".{1,40}", hash_key, data, proptest::option::of(trace)).prop_map(|(key, hash_key, data, trace)| {
            PutEntry {
                partition_key: key,
                hash_key,
                data: data.into(),
                trace,
            }
        });
    proptest::collection::vec(entry, 1..40)
}

fn encode(entries: &[PutEntry], base: u64, arrival: Wall) -> Vec<u8> {
    let mut builder = BatchBuilder::default();
    entries.iter().for_each(|e| builder.push(e));
    builder.finish(base, arrival)
}

fn decode(value: &[u8]) -> Result<Vec<Record>, BadBatch> {
    let batch = Batch::parse(value)?;
    let mut out = Vec::new();
    batch.take(3, 0, batch.count, &mut out)?;
    Ok(out)
}

/// The bytes are frozen: this must never need a change.
#[test]
fn version_one_is_written_as_documented() {
    let entry = |key: &str, hash_key, data: &'static [u8]| PutEntry {
        partition_key: key.into(),
        hash_key,
        data: Bytes::from_static(data),
        trace: None,
    };
    let value = encode(
        &[
            entry("k", HashKey::OfPartitionKey, b"xyz"),
            entry("", HashKey::Explicit(258), b""),
        ],
        300,
        Wall(1),
    );
    let mut want = vec![1, 0, 2, 0xac, 0x02, 1, 6, 0, 0, 0, 24, 0, 0, 0];
    want.extend_from_slice(&[0, 1, b'k', b'x', b'y', b'z']);
    want.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(value, want);
}

#[test]
fn an_unknown_version_or_flag_is_refused() {
    let mut value = encode(
        &[PutEntry {
            partition_key: "k".into(),
            hash_key: HashKey::OfPartitionKey,
            data: Bytes::new(),
            trace: None,
        }],
        0,
        Wall(0),
    );
    value[1] = 4;
    assert_eq!(Batch::parse(&value).unwrap_err(), BadBatch::Flags(4));
    value[0] = 2;
    assert_eq!(Batch::parse(&value).unwrap_err(), BadBatch::Version(2));
}

proptest! {
    #[test]
    fn records_survive(entries in entries(), base in 0..u64::MAX / 2, arrival: u64) {
        let value = encode(&entries, base, Wall(arrival));
        let records = decode(&value).unwrap();
        prop_assert_eq!(records.len(), entries.len());
        for (i, (record, entry)) in records.iter().zip(&entries).enumerate() {
            prop_assert_eq!(record.mark, Mark::of(seq_of(3, base + i as u64)));
            prop_assert_eq!(record.arrival, Wall(arrival));
            prop_assert_eq!(&record.partition_key[..], entry.partition_key.as_bytes());
            prop_assert_eq!(&record.data, &entry.data);
            prop_assert_eq!(&record.trace, &entry.trace);
        }
    }

    #[test]
    fn any_part_can_be_taken(entries in entries(), from: prop::sample::Index, count in 0u32..50) {
        let value = encode(&entries, 9, Wall(1));
        let (batch, all) = (Batch::parse(&value).unwrap(), decode(&value).unwrap());
        let from = from.index(entries.len());
        let count = (count as usize).min(entries.len() - from);
        let mut part = Vec::new();
        batch.take(3, from as u32, count as u32, &mut part).unwrap();
        prop_assert_eq!(&part[..], &all[from..from + count]);
    }

    #[test]
    fn what_fits_is_the_longest_prefix_within_credit(
        entries in entries(), from: prop::sample::Index, records in 0usize..50, bytes in 0usize..4_000,
    ) {
        let value = encode(&entries, 0, Wall(1));
        let batch = Batch::parse(&value).unwrap();
        let from = from.index(entries.len()) as u32;
        let n = batch.fitting(from, records, bytes).unwrap();
        prop_assert!(n as usize <= records && batch.bytes_of(from, n).unwrap() <= bytes);
        if (n as usize) < records && from + n < batch.count {
            prop_assert!(batch.bytes_of(from, n + 1).unwrap() > bytes);
        }
        let payload: usize = entries.iter().skip(from as usize).take(n as usize)
            .map(|e| e.partition_key.len() + e.data.len()).sum();
        prop_assert!(payload <= bytes);
    }

    #[test]
    fn garbage_is_refused_or_read_but_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let mut versioned = vec![1, 0];
        versioned.extend_from_slice(&bytes);
        let _ = decode(&versioned);
    }

    #[test]
    fn a_cut_batch_is_refused(entries in entries(), cut: prop::sample::Index) {
        let mut value = encode(&entries, 5, Wall(1));
        value.truncate(cut.index(value.len()));
        prop_assert!(decode(&value).is_err());
    }

    #[test]
    fn damage_never_panics(entries in entries(), at: prop::sample::Index, byte: u8) {
        let mut value = encode(&entries, 5, Wall(1));
        let i = at.index(value.len());
        value[i] = byte;
        let _ = decode(&value);
        if let Ok(batch) = Batch::parse(&value) {
            for from in 0..batch.count.min(50) {
                let _ = batch.fitting(from, 10, 100);
                let _ = batch.bytes_of(from, 1);
            }
        }
    }
}
