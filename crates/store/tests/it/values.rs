//! Values survive storing, their form is frozen, and damage is an error and never a panic.

use crate::support::{self, discard, document, ledger, mapping};
use bytes::Bytes;
use millstream_store::schema::Key;
use millstream_store::{Stored, decode, encode};
use millstream_types::durable::older::{DiscardV1, ShardRecordV1};
use millstream_types::durable::{
    AttemptResult, AttemptedMessage, Discard, DiscardCondition, DiscardWindow, HeadRecord, LaneRecord,
    LedgerEntry, OutboxEntry, PriorLanes, QueueAttempt, SegmentRecord, ShardRecord, WindowRecord,
    WindowsRecord,
};
use millstream_types::sequence::Mark;
use millstream_types::{Position, RequestId, ResponseContext, Seq, Wall};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde::Serialize;

fn mark() -> impl Strategy<Value = Mark> {
    ("[0-9]{1,128}", any::<u32>()).prop_map(|(seq, sub)| Mark {
        seq: Seq::parse(seq.as_bytes()).unwrap(),
        sub,
    })
}

fn response() -> impl Strategy<Value = ResponseContext> {
    (any::<u16>(), ".{0,9}", of(".{0,9}")).prop_map(|(status_code, executed_version, function_error)| {
        ResponseContext {
            status_code,
            executed_version,
            function_error,
        }
    })
}

fn segment() -> impl Strategy<Value = SegmentRecord> {
    (
        of(mark()),
        of(mark()),
        any::<u32>(),
        any::<u128>(),
        of(any::<u64>()),
        of(response()),
    )
        .prop_map(
            |(first, last, attempts, id, not_before, last_response)| SegmentRecord {
                first,
                last,
                attempts,
                request_id: RequestId::from_random(id),
                not_before: not_before.map(Wall),
                last_response,
            },
        )
}

fn head() -> impl Strategy<Value = HeadRecord> {
    vec(segment(), 1..4).prop_map(|segments| HeadRecord { segments })
}

fn position() -> impl Strategy<Value = Position> {
    prop_oneof![
        Just(Position::Trim),
        Just(Position::End),
        mark().prop_map(Position::At),
        mark().prop_map(Position::After),
        any::<u64>().prop_map(|at| Position::Timestamp(Wall(at))),
    ]
}

fn record() -> impl Strategy<Value = ShardRecord> {
    let lane = (of(mark()), of(head())).prop_map(|(done_through, head)| LaneRecord { done_through, head });
    let prior = (any::<u8>(), vec(of(mark()), 0..4), vec(of(head()), 0..4)).prop_map(
        |(lane_hash, done_through, heads)| PriorLanes {
            lane_hash,
            done_through,
            heads,
        },
    );
    let rest = (
        any::<u64>(),
        position(),
        any::<u8>(),
        of(mark()),
        any::<bool>(),
        any::<bool>(),
    );
    let rest = (rest, of(windows()));
    (vec(lane, 0..10), vec(prior, 0..3), rest).prop_map(|(lanes, prior, (rest, windows))| {
        let (generation, start, lane_hash, read_through, at_end, finished) = rest;
        ShardRecord {
            generation,
            start,
            lane_hash,
            lanes,
            prior,
            read_through,
            at_end,
            finished,
            windows,
        }
    })
}

fn windows() -> impl Strategy<Value = WindowsRecord> {
    let open = (any::<u64>(), any::<u64>(), vec(any::<u8>(), 0..40), any::<bool>());
    let open = open.prop_map(|(start, end, state, early)| WindowRecord {
        start: Wall(start),
        end: Wall(end),
        state: state.into(),
        early,
    });
    (any::<u64>(), of(open)).prop_map(|(floor, open)| WindowsRecord {
        floor: Wall(floor),
        open,
    })
}

fn of_window() -> impl Strategy<Value = DiscardWindow> {
    (any::<u64>(), any::<u64>(), any::<bool>(), any::<bool>()).prop_map(|(start, end, is_final, early)| {
        DiscardWindow {
            start: Wall(start),
            end: Wall(end),
            is_final,
            terminated_early: early,
        }
    })
}

fn given_up() -> impl Strategy<Value = Discard> {
    let condition = prop_oneof![
        Just(DiscardCondition::RetryAttemptsExhausted),
        Just(DiscardCondition::RecordAgeExceeded),
        Just(DiscardCondition::FilteredOut)
    ];
    (
        any::<u128>(),
        any::<u64>(),
        condition,
        of(response()),
        vec(any::<u8>(), 0..300),
        of(mark()),
        of(of_window()),
    )
        .prop_map(|(id, at, condition, response, payload, last, window)| Discard {
            condition,
            response,
            last,
            window,
            payload: Bytes::from(payload),
            ..discard(mapping(id), id, at)
        })
}

fn attempt() -> impl Strategy<Value = LedgerEntry> {
    let result = prop_oneof![
        Just(AttemptResult::Done),
        Just(AttemptResult::Partial),
        Just(AttemptResult::Retry),
        Just(AttemptResult::Split),
        Just(AttemptResult::Discarded),
        Just(AttemptResult::Expired),
        Just(AttemptResult::Throttled),
    ];
    (any::<u32>(), result, of(mark()), of(".{0,40}"), any::<u64>()).prop_map(
        |(records, result, last, error, age)| LedgerEntry {
            result,
            last,
            error,
            age_ms: age,
            ..ledger(mapping(1), records)
        },
    )
}

fn survives<T>(value: &T) -> Result<(), TestCaseError>
where
    T: Stored + PartialEq + std::fmt::Debug,
{
    let key = Key::Format.encode();
    let stored = encode(value).unwrap();
    prop_assert_eq!(&decode::<T>(&key, &stored).unwrap(), value);
    // Cut anywhere it is an error, not another value.
    for end in 0..stored.len() {
        prop_assert!(decode::<T>(&key, &stored[..end]).is_err());
    }
    Ok(())
}

proptest! {
    #[test]
    fn shard_records_survive(record in record()) {
        survives(&record)?;
    }

    #[test]
    fn discards_survive(discard in given_up()) {
        survives(&discard)?;
        survives(&document(&discard))?;
    }

    #[test]
    fn ledger_entries_survive(entry in attempt()) {
        survives(&entry)?;
    }

    #[test]
    fn attempts_of_queues_survive(slot: u32, error in of(".{0,40}"), names in vec(".{0,40}", 0..5)) {
        let message = |id: String| AttemptedMessage { id, receives: slot, group: None, failed: slot % 2 == 0 };
        let named = names.into_iter().map(message).collect();
        survives(&QueueAttempt { error, named, ..support::attempt(mapping(1), slot) })?;
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let key = Key::Format.encode();
        let _ = decode::<ShardRecord>(&key, &bytes);
        let _ = decode::<Discard>(&key, &bytes);
        let _ = decode::<OutboxEntry>(&key, &bytes);
        let _ = decode::<LedgerEntry>(&key, &bytes);
        let _ = decode::<QueueAttempt>(&key, &bytes);
    }
}

/// A value of version 1, as the release before tumbling windows wrote it.
fn of_version_1(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend(postcard::to_allocvec(value).unwrap());
    bytes
}

proptest! {
    #[test]
    fn records_of_before_windows_are_read(record in record()) {
        let record = ShardRecord { windows: None, ..record };
        let r = record.clone();
        let old = ShardRecordV1 {
            generation: r.generation,
            start: r.start,
            lane_hash: r.lane_hash,
            lanes: r.lanes,
            prior: r.prior,
            read_through: r.read_through,
            at_end: r.at_end,
            finished: r.finished,
        };
        prop_assert_eq!(decode::<ShardRecord>(&Key::Format.encode(), &of_version_1(&old)), Ok(record));
    }

    #[test]
    fn discards_of_before_windows_are_read(discard in given_up()) {
        let discard = Discard { window: None, ..discard };
        let d = discard.clone();
        let old = DiscardV1 {
            id: d.id,
            namespace: d.namespace,
            mapping: d.mapping,
            shard: d.shard,
            condition: d.condition,
            request_id: d.request_id,
            invoke_count: d.invoke_count,
            response: d.response,
            first: d.first,
            last: d.last,
            first_arrival: d.first_arrival,
            last_arrival: d.last_arrival,
            records: d.records,
            at: d.at,
            function_arn: d.function_arn,
            source_arn: d.source_arn,
            payload: d.payload,
        };
        prop_assert_eq!(decode::<Discard>(&Key::Format.encode(), &of_version_1(&old)), Ok(discard));
    }
}

/// What an older release wrote must still be read: these bytes never change.
#[test]
fn the_stored_form_is_frozen() {
    let record = ShardRecord {
        generation: 2,
        start: Position::Trim,
        lane_hash: 1,
        lanes: vec![LaneRecord {
            done_through: Some(Mark::of(Seq::from_u128(7))),
            head: None,
        }],
        prior: vec![],
        read_through: Some(Mark::of(Seq::from_u128(42))),
        at_end: true,
        finished: false,
        windows: None,
    };
    let first = b"\x01\x02\x00\x01\x01\x01\x017\x00\x00\x00\x01\x0242\x00\x01\x00";
    assert_eq!(
        decode::<ShardRecord>(&Key::Format.encode(), first),
        Ok(record.clone())
    );
    let open = WindowRecord {
        start: Wall(60),
        end: Wall(120),
        state: Bytes::from_static(b"[1]"),
        early: true,
    };
    let windowed = ShardRecord {
        windows: Some(WindowsRecord {
            floor: Wall(5),
            open: Some(open),
        }),
        ..record
    };
    let stored = b"\x02\x02\x00\x01\x01\x01\x017\x00\x00\x00\x01\x0242\x00\x01\x00\x01\x05\x01<x\x03[1]\x01";
    assert_eq!(
        encode(&windowed).unwrap().escape_ascii().to_string(),
        stored.escape_ascii().to_string()
    );
    assert_eq!(decode::<ShardRecord>(&Key::Format.encode(), stored), Ok(windowed));
    let attempt = support::attempt(mapping(1), 300);
    let stored = b"\x01\x10\x00\x00\x00\x00\x00\x00@\x00\x80\x00\x00\x00\x00\x00\x00\x01\xac\x02\x10\x00\x00\x00\x00\x00\x00@\x00\x80\x00\x00\x00\x00\x00\x00\t\x01\x01\x00\x02\x05\x06\x01\x01\nValueError\x01\x02m1\x01\x01\x01g\x01";
    assert_eq!(
        encode(&attempt).unwrap().escape_ascii().to_string(),
        stored.escape_ascii().to_string()
    );
    assert_eq!(decode::<QueueAttempt>(&Key::Format.encode(), stored), Ok(attempt));
}
