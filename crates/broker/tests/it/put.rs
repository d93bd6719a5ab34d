//! What a put answers, entry by entry, and how few syncs it costs.

use crate::rig::{Rig, START, drain, entry, keyed, ns, number, numbers, shard, stream};
use bytes::Bytes;
use millstream_broker::{MAX_KEY_CHARS, MAX_PUT_BYTES, MAX_RECORD_BYTES};
use millstream_ports::{PutError, StreamError, Streams};
use millstream_types::{Position, TraceContext, Wall};

#[tokio::test]
async fn records_go_to_the_shard_of_their_hash_key() {
    let rig = Rig::new().await;
    rig.create("s", 4).await;
    let quarter = 1u128 << 126;
    // Partition keys with the first byte of their MD5 as md5sum prints it, then explicit keys at the borders.
    for (entry, index) in [
        (entry("a", ""), 0),              // 0c
        (entry("hello", ""), 1),          // 5d
        (entry("abc", ""), 2),            // 90
        (entry("message digest", ""), 3), // f9
        (keyed("abc", 0, ""), 0),
        (keyed("abc", quarter - 1, ""), 0),
        (keyed("abc", quarter, ""), 1),
        (keyed("abc", 3 * quarter - 1, ""), 2),
        (keyed("abc", u128::MAX, ""), 3),
    ] {
        assert_eq!(rig.put("s", vec![entry]).await[0].shard, shard(index));
    }
}

#[tokio::test]
async fn what_was_put_is_read_in_order_with_all_its_parts() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let trace = TraceContext {
        traceparent: "00-1-2-01".into(),
        tracestate: Some("a=b".into()),
    };
    let mut first = entry("k", "one");
    first.trace = Some(trace.clone());
    let receipts = rig.put("s", vec![first, entry("ü", "two")]).await;
    rig.clock.set(START - 500);
    rig.put("s", vec![entry("k", "three")]).await;
    rig.clock.set(START + 500);
    rig.put("s", vec![entry("k", Bytes::new())]).await;

    let records = rig.read_all("s", 0, Position::Trim).await;
    let data: Vec<_> = records.iter().map(|r| r.data.clone()).collect();
    assert_eq!(data, ["one", "two", "three", ""].map(Bytes::from));
    // One arrival for a put, and never back.
    let arrivals: Vec<_> = records.iter().map(|r| r.arrival.0 - START).collect();
    assert_eq!(arrivals, [0, 0, 0, 500]);
    assert_eq!((&records[0].trace, &records[1].trace), (&Some(trace), &None));
    assert_eq!(&records[1].partition_key[..], "ü".as_bytes());
    for (offset, record) in records.iter().enumerate() {
        assert_eq!(
            record.mark.to_string(),
            format!("49{}{offset:042}", "0".repeat(12))
        );
    }
    assert_eq!(records[1].mark.seq, receipts[1].seq);
}

#[tokio::test]
async fn invalid_entries_are_refused_and_the_others_stored() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let entries = vec![
        entry("k", number(1)),
        entry("", number(2)),
        entry(&"ü".repeat(MAX_KEY_CHARS + 1), number(3)),
        entry("k", vec![0; MAX_RECORD_BYTES]),
        entry("k", number(5)),
    ];
    let answers = rig.broker.put(&ns(), &stream("s"), entries).await.unwrap();
    let fields: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(_) => "",
            Err(PutError::Invalid { field, .. }) => field,
            Err(e) => panic!("{e}"),
        })
        .collect();
    assert_eq!(fields, ["", "partition_key", "partition_key", "data", ""]);
    assert_eq!(numbers(&rig.read_all("s", 0, Position::Trim).await), [1, 5]);
}

#[tokio::test]
async fn a_request_that_breaks_a_rule_stores_nothing() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let half = vec![0u8; MAX_PUT_BYTES / 2];
    for (entries, part) in [
        (vec![], "'0 entries'"),
        ((0..501).map(|_| entry("k", "")).collect(), "1 to 500"),
        (
            vec![entry("k", half.clone()), entry("k", half)],
            "at most 10485760 bytes",
        ),
    ] {
        let e = rig.broker.put(&ns(), &stream("s"), entries).await.unwrap_err();
        assert!(
            matches!(e, StreamError::Invalid { .. }) && e.to_string().contains(part),
            "{e}"
        );
    }
    let e = rig
        .broker
        .put(&ns(), &stream("other"), vec![entry("k", "")])
        .await
        .unwrap_err();
    assert_eq!(e.to_string(), "stream other does not exist");
    assert_eq!(rig.describe("s").await.shards[0].records, 0);
}

#[tokio::test]
async fn the_largest_record_is_taken_and_read() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    rig.put("s", vec![entry("k", vec![7; MAX_RECORD_BYTES - 1])])
        .await;
    let records = rig.read_all("s", 0, Position::Trim).await;
    assert_eq!(records[0].data.len(), MAX_RECORD_BYTES - 1);
}

#[tokio::test]
async fn a_full_disk_refuses_puts_and_nothing_else() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    rig.put("s", vec![entry("k", number(1))]).await;
    rig.faults.set_free_bytes(Some(1));
    let entries = vec![entry("k", number(2)), entry("", number(3))];
    let answers = rig.broker.put(&ns(), &stream("s"), entries).await.unwrap();
    assert!(
        matches!(answers[0], Err(PutError::DiskFull { free: 1, floor }) if floor > 1),
        "{answers:?}"
    );
    assert!(matches!(answers[1], Err(PutError::Invalid { .. })));
    let e = rig
        .broker
        .split(&ns(), &stream("s"), &shard(0), None)
        .await
        .unwrap_err();
    assert!(matches!(e, StreamError::DiskFull { .. }), "{e}");
    let e = rig
        .broker
        .create(&ns(), &stream("t"), Default::default(), false)
        .await
        .unwrap_err();
    assert!(matches!(e, StreamError::DiskFull { .. }), "{e}");
    assert_eq!(numbers(&rig.read_all("s", 0, Position::Trim).await), [1]);
    rig.clock.advance(25 * crate::rig::HOUR);
    assert_eq!(rig.broker.trim().await.shards, 1);
    rig.faults.set_free_bytes(None);
    rig.put("s", vec![entry("k", number(4))]).await;
    assert_eq!(numbers(&rig.read_all("s", 0, Position::Trim).await), [4]);
}

/// Issue: 64 concurrent writers need fewer than a quarter of a sync per put.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_puts_share_syncs() {
    const WRITERS: u64 = 64;
    const PUTS: u64 = 20;
    let rig = Rig::new().await;
    rig.create("s", 8).await;
    let before = rig.db.stats();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let broker = rig.broker.clone();
            tokio::spawn(async move {
                for n in 0..PUTS {
                    let entries = vec![entry(&format!("w{writer}"), number(n))];
                    broker.put(&ns(), &stream("s"), entries).await.unwrap()[0]
                        .as_ref()
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let (puts, syncs) = (WRITERS * PUTS, rig.db.stats().syncs - before.syncs);
    assert!(syncs * 4 < puts, "{syncs} syncs for {puts} puts");
    let mut per_key = std::collections::BTreeMap::<_, Vec<u64>>::new();
    for index in 0..8 {
        for record in rig.read_all("s", index, Position::Trim).await {
            let n = numbers(std::slice::from_ref(&record))[0];
            per_key.entry(record.partition_key).or_default().push(n);
        }
    }
    assert_eq!(per_key.len(), WRITERS as usize);
    assert!(per_key.values().all(|ns| *ns == (0..PUTS).collect::<Vec<_>>()));
}

/// A put is not acknowledged, and not readable, before the writer has written it.
#[tokio::test]
async fn nothing_is_read_before_it_is_written() {
    let rig = Rig::new().await;
    rig.create("s", 1).await;
    let mut reader = rig.reader("s", 0, Position::Trim).await;
    let hold = rig.faults.hold();
    let broker = rig.broker.clone();
    let put = tokio::spawn(async move { broker.put(&ns(), &stream("s"), vec![entry("k", number(1))]).await });
    tokio::task::yield_now().await;
    assert!(drain(reader.as_mut()).await.records.is_empty());
    assert!(!put.is_finished());
    drop(hold);
    reader.wait().await;
    let records = drain(reader.as_mut()).await.records;
    assert_eq!((numbers(&records), records[0].arrival), (vec![1], Wall(START)));
    assert!(put.await.unwrap().unwrap()[0].is_ok());
}
