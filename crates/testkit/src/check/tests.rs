//! Every checker must let a sound run pass, and must fail where its invariant is broken.

use super::*;
use crate::log::{CallResult, Given, Progress};
use bytes::Bytes;
use millstream_types::durable::DiscardCondition;
use millstream_types::ids::DiscardId;
use millstream_types::{Mark, RequestId, Seq, ShardId};

fn shard(name: &str) -> ShardId {
    ShardId::new(name).unwrap()
}

fn m(n: u128) -> Mark {
    Mark::of(Seq::from_u128(n))
}

fn put(n: u128, key: &'static str) -> Event {
    Event::Produced {
        shard: shard("s"),
        mark: m(n),
        key: Bytes::from_static(key.as_bytes()),
    }
}

fn start_of(call: u64, request: u128, attempt: u32, marks: &[u128]) -> Event {
    let marks = marks.iter().map(|n| m(*n)).collect();
    Event::Started {
        call,
        shard: shard("s"),
        request: RequestId::from_bits(request),
        attempt,
        marks,
    }
}

/// A first attempt whose request has the call's number.
fn start(call: u64, marks: &[u128]) -> Event {
    start_of(call, call.into(), 1, marks)
}

fn end(call: u64, result: CallResult) -> Event {
    Event::Ended { call, result }
}

fn done(call: u64) -> Event {
    end(call, CallResult::Done)
}

fn failed(call: u64) -> Event {
    end(call, CallResult::Failed)
}

fn stored(number: u64, through: &[u128], discards: Vec<Given>) -> Event {
    let lanes = through.iter().map(|n| (*n > 0).then(|| m(*n))).collect();
    let progress = Some(Progress {
        lanes,
        finished: false,
    });
    Event::Stored {
        number,
        shard: shard("s"),
        epoch: 1,
        progress,
        discards,
    }
}

fn given(id: u128, marks: &[u128], invoke_count: u32) -> Given {
    Given {
        id: DiscardId::from_bits(id),
        marks: marks.iter().map(|n| m(*n)).collect(),
        condition: DiscardCondition::RetryAttemptsExhausted,
        invoke_count,
        document: true,
    }
}

fn arrived(id: u128) -> Event {
    Event::Document {
        discard: DiscardId::from_bits(id),
    }
}

fn limit(max_retries: u32) -> Event {
    Event::Configured {
        max_retries: Some(max_retries),
    }
}

const CRASH: Event = Event::Lost {
    shard: None,
    kept: None,
};

fn power_loss(kept: u64) -> Event {
    Event::Lost {
        shard: None,
        kept: Some(kept),
    }
}

/// So many attempts of the part from record 1 are stored as failed.
fn counts(number: u64, attempts: u32) -> Event {
    Event::Counted {
        number,
        shard: shard("s"),
        failed: vec![(m(1), attempts)],
    }
}

/// What is broken first, and how many things are.
fn first(events: &[Event]) -> Option<Invariant> {
    check(events, DuplicateBound::Exact).first().map(|v| v.invariant)
}

type Case = (&'static str, Option<Invariant>, Vec<Event>);

fn judge(cases: Vec<Case>) {
    for (what, expect, events) in cases {
        assert_eq!(
            first(&events),
            expect,
            "{what}: {:?}",
            check(&events, DuplicateBound::Exact)
        );
    }
}

#[test]
fn no_loss() {
    let broken = Some(Invariant::NoLoss);
    judge(vec![
        ("done", None, vec![put(1, "a"), start(1, &[1]), done(1)]),
        (
            "trimmed",
            None,
            vec![
                put(1, "a"),
                Event::Trimmed {
                    shard: shard("s"),
                    through: m(1),
                },
            ],
        ),
        (
            "given up",
            None,
            vec![
                limit(0),
                put(1, "a"),
                stored(1, &[1], vec![given(7, &[1], 1)]),
                arrived(7),
            ],
        ),
        ("never sent", broken, vec![put(1, "a")]),
        (
            "only failed",
            broken,
            vec![put(1, "a"), start(1, &[1]), failed(1)],
        ),
        (
            "the call was lost",
            broken,
            vec![put(1, "a"), start(1, &[1]), CRASH, done(1)],
        ),
        (
            "behind the report",
            broken,
            vec![
                put(1, "a"),
                put(2, "b"),
                start(1, &[1, 2]),
                end(1, CallResult::DoneBefore(1)),
            ],
        ),
        (
            "its discard was lost",
            broken,
            vec![
                limit(0),
                put(1, "a"),
                stored(1, &[1], vec![given(7, &[1], 1)]),
                power_loss(0),
            ],
        ),
    ]);
}

#[test]
fn prefix() {
    let broken = Some(Invariant::Prefix);
    let two = || vec![put(1, "a"), put(2, "b"), start(1, &[1]), done(1)];
    let and = |mut events: Vec<Event>, more: Vec<Event>| {
        events.extend(more);
        events
    };
    let finish = vec![start(2, &[2]), done(2)];
    judge(vec![
        (
            "up to the finished one",
            None,
            and(and(two(), vec![stored(1, &[1], vec![])]), finish.clone()),
        ),
        (
            "past an unfinished one",
            broken,
            and(and(two(), vec![stored(1, &[2], vec![])]), finish.clone()),
        ),
        (
            "given up in the same write",
            None,
            and(
                two(),
                vec![limit(0), stored(1, &[2], vec![given(7, &[2], 1)]), arrived(7)],
            ),
        ),
        (
            "one lane of many past it",
            broken,
            and(two(), vec![stored(1, &[2; 10], vec![]), start(2, &[2]), done(2)]),
        ),
        (
            "said to be finished",
            broken,
            and(
                two(),
                vec![
                    Event::Stored {
                        number: 1,
                        shard: shard("s"),
                        epoch: 1,
                        discards: vec![],
                        progress: Some(Progress {
                            lanes: vec![None],
                            finished: true,
                        }),
                    },
                    start(2, &[2]),
                    done(2),
                ],
            ),
        ),
    ]);
}

#[test]
fn monotonic() {
    let broken = Some(Invariant::Monotonic);
    let done_two = || {
        vec![
            put(1, "a"),
            put(2, "a"),
            start(1, &[1, 2]),
            done(1),
            stored(1, &[1], vec![]),
            stored(2, &[2], vec![]),
        ]
    };
    let then = |more: Vec<Event>| [done_two(), more].concat();
    let epoch = |epoch, number| Event::Stored {
        number,
        shard: shard("s"),
        epoch,
        discards: vec![],
        progress: Some(Progress {
            lanes: vec![Some(m(2))],
            finished: false,
        }),
    };
    judge(vec![
        ("forward", None, then(vec![stored(3, &[2], vec![])])),
        ("back", broken, then(vec![stored(3, &[1], vec![])])),
        (
            "back after a crash that lost no write",
            broken,
            then(vec![CRASH, stored(3, &[1], vec![])]),
        ),
        (
            "back after a write was lost",
            None,
            then(vec![power_loss(1), stored(2, &[1], vec![])]),
        ),
        (
            "back further than that",
            broken,
            then(vec![power_loss(1), stored(2, &[0], vec![])]),
        ),
        (
            "back because an operator said so",
            None,
            then(vec![Event::Sought { shard: shard("s") }, stored(3, &[0], vec![])]),
        ),
        ("an older owner", broken, then(vec![epoch(2, 3), epoch(1, 4)])),
    ]);
}

#[test]
fn key_order() {
    let broken = Some(Invariant::KeyOrder);
    let puts = || vec![put(1, "a"), put(2, "a"), put(3, "b")];
    let with = |more: Vec<Event>| [puts(), more].concat();
    judge(vec![
        ("one batch", None, with(vec![start(1, &[1, 2, 3]), done(1)])),
        (
            "keys side by side",
            None,
            with(vec![start(1, &[1, 2]), start(2, &[3]), done(2), done(1)]),
        ),
        (
            "the second first",
            broken,
            with(vec![start(1, &[2]), done(1), start(2, &[1, 3]), done(2)]),
        ),
        (
            "past a failed one",
            broken,
            with(vec![
                start(1, &[1, 3]),
                failed(1),
                start(2, &[2]),
                done(2),
                start_of(3, 1, 2, &[1, 3]),
                done(3),
            ]),
        ),
        (
            "one key twice at once",
            broken,
            with(vec![start(1, &[1]), start(2, &[1, 2, 3]), done(1), done(2)]),
        ),
        (
            "after a crash nothing runs",
            None,
            with(vec![start(1, &[1]), CRASH, start(2, &[1, 2, 3]), done(2)]),
        ),
        (
            "a batch out of order",
            broken,
            with(vec![start(1, &[2, 1, 3]), done(1)]),
        ),
    ]);
    // Without the start, order at first success still tells.
    let late = with(vec![start(1, &[3]), done(1)]);
    assert_eq!(first(&late), Some(Invariant::NoLoss));
}

#[test]
fn discards() {
    let broken = Some(Invariant::Discards);
    let gone = |number, id| stored(number, &[1], vec![given(id, &[1], 1)]);
    let with = |more: Vec<Event>| [vec![limit(0), put(1, "a")], more].concat();
    judge(vec![
        ("once", None, with(vec![gone(1, 7), arrived(7)])),
        ("document missing", broken, with(vec![gone(1, 7)])),
        (
            "document of nothing",
            broken,
            with(vec![gone(1, 7), arrived(7), arrived(8)]),
        ),
        (
            "document before its discard",
            broken,
            with(vec![arrived(7), gone(1, 7)]),
        ),
        (
            "document again without a crash",
            broken,
            with(vec![gone(1, 7), arrived(7), arrived(7)]),
        ),
        (
            "document again after a crash",
            None,
            with(vec![gone(1, 7), arrived(7), CRASH, arrived(7)]),
        ),
        (
            "given up twice",
            broken,
            with(vec![gone(1, 7), gone(2, 8), arrived(7), arrived(8)]),
        ),
        (
            "given up again after the write was lost",
            None,
            with(vec![gone(1, 7), power_loss(0), gone(1, 8), arrived(8)]),
        ),
    ]);
}

#[test]
fn retries() {
    let broken = Some(Invariant::Retries);
    let tries = |attempts: &[u32]| -> Vec<Event> {
        let of =
            |(call, attempt): (usize, &u32)| [start_of(call as u64, 5, *attempt, &[1]), failed(call as u64)];
        attempts.iter().enumerate().flat_map(of).collect()
    };
    let then_done = |before: Vec<Event>, attempt| {
        [
            vec![limit(2), put(1, "a")],
            before,
            vec![start_of(99, 5, attempt, &[1]), done(99)],
        ]
        .concat()
    };
    judge(vec![
        ("the last allowed attempt", None, then_done(tries(&[1, 2]), 3)),
        ("one too many", broken, then_done(tries(&[1, 2, 3]), 4)),
        ("not counted", broken, then_done(tries(&[1]), 1)),
        (
            "not counted as the count was lost in a crash",
            None,
            then_done([tries(&[1]), vec![CRASH]].concat(), 1),
        ),
        (
            "a lost count that had been used",
            broken,
            then_done([tries(&[1, 2]), vec![CRASH]].concat(), 1),
        ),
        (
            "not counted as the code did not run",
            None,
            then_done(vec![start_of(0, 5, 1, &[1]), end(0, CallResult::NotRun)], 1),
        ),
        (
            "a stored count that a restart forgot",
            broken,
            vec![
                put(1, "a"),
                start(1, &[1]),
                failed(1),
                counts(1, 1),
                CRASH,
                start(2, &[1]),
                done(2),
            ],
        ),
        (
            "a stored count that a restart kept, under another id",
            None,
            vec![
                put(1, "a"),
                start(1, &[1]),
                failed(1),
                counts(1, 1),
                CRASH,
                start_of(2, 9, 2, &[1]),
                done(2),
            ],
        ),
        (
            "a count that was lost with its write",
            None,
            vec![
                put(1, "a"),
                start(1, &[1]),
                failed(1),
                counts(1, 1),
                power_loss(0),
                start(2, &[1]),
                done(2),
            ],
        ),
        (
            "given up too soon",
            broken,
            vec![
                limit(2),
                put(1, "a"),
                stored(1, &[1], vec![given(7, &[1], 2)]),
                arrived(7),
            ],
        ),
        (
            "given up without a limit",
            broken,
            vec![put(1, "a"), stored(1, &[1], vec![given(7, &[1], 2)]), arrived(7)],
        ),
    ]);
}

#[test]
fn lineage() {
    let of = |name: &str, parents: &[&str]| Event::Shard {
        shard: shard(name),
        parents: parents.iter().map(|p| shard(p)).collect(),
    };
    let finished = |name: &str, number| Event::Stored {
        number,
        shard: shard(name),
        epoch: 1,
        discards: vec![],
        progress: Some(Progress {
            lanes: vec![None],
            finished: true,
        }),
    };
    let begin = || vec![of("p", &[]), of("q", &[]), of("s", &["p", "q"]), put(1, "a")];
    let run = |more: Vec<Event>| [begin(), more, vec![start(1, &[1]), done(1)]].concat();
    judge(vec![
        (
            "both parents finished",
            None,
            run(vec![finished("p", 1), finished("q", 2)]),
        ),
        (
            "only one of a merge",
            Some(Invariant::Lineage),
            run(vec![finished("p", 1)]),
        ),
        (
            "one was finished, and that was lost",
            Some(Invariant::Lineage),
            run(vec![finished("p", 1), finished("q", 2), power_loss(1)]),
        ),
    ]);
}

#[test]
fn duplicates() {
    let broken = Some(Invariant::Duplicates);
    let once = || vec![put(1, "a"), put(2, "a"), start(1, &[1, 2]), done(1)];
    let then = |more: Vec<Event>| [once(), more].concat();
    judge(vec![
        (
            "again without a reason",
            broken,
            then(vec![start(2, &[1, 2]), done(2)]),
        ),
        (
            "again after a crash before it was stored",
            None,
            then(vec![CRASH, start(2, &[1, 2]), done(2)]),
        ),
        (
            "twice after one crash",
            broken,
            then(vec![CRASH, start(2, &[1, 2]), done(2), start(3, &[2]), done(3)]),
        ),
        (
            "again though stored",
            broken,
            then(vec![stored(1, &[2], vec![]), CRASH, start(2, &[2]), done(2)]),
        ),
        (
            "again as the write was lost",
            None,
            then(vec![
                stored(1, &[2], vec![]),
                power_loss(0),
                start(2, &[2]),
                done(2),
            ]),
        ),
    ]);
    let again = then(vec![CRASH, start(2, &[1, 2]), done(2)]);
    assert_eq!(check(&again, DuplicateBound::PerLoss(2)), vec![]);
    assert_eq!(
        check(&again, DuplicateBound::PerLoss(1))[0].invariant,
        Invariant::Duplicates
    );
}

const PAUSING: Event = Event::Pausing { lanes: 2 };
/// Of the other one of two lanes than the key `a`.
const OTHER_LANE: &str = "b";

#[test]
fn pause() {
    let broken = Some(Invariant::Pause);
    let with = |more: Vec<Event>| [vec![put(1, "a")], more].concat();
    judge(vec![
        (
            "between pauses",
            None,
            with(vec![Event::Paused, Event::Resumed, start(1, &[1]), done(1)]),
        ),
        (
            "while paused",
            broken,
            with(vec![Event::Paused, start(1, &[1]), done(1)]),
        ),
        (
            "acknowledged too soon",
            broken,
            with(vec![start(1, &[1]), Event::Paused, done(1)]),
        ),
        (
            "what runs at the answer ends",
            None,
            with(vec![start(1, &[1]), PAUSING, done(1), Event::Paused]),
        ),
        (
            "what was let go before the answer begins behind it",
            None,
            with(vec![PAUSING, start(1, &[1]), done(1), Event::Paused]),
        ),
        (
            "the next of a lane behind the answer",
            broken,
            with(vec![
                put(2, "a"),
                start(1, &[1]),
                PAUSING,
                done(1),
                start(2, &[2]),
                done(2),
            ]),
        ),
        (
            "two of a lane behind the answer",
            broken,
            with(vec![
                put(2, "a"),
                PAUSING,
                start(1, &[1]),
                done(1),
                start(2, &[2]),
                done(2),
            ]),
        ),
        (
            "the next once it is over",
            None,
            with(vec![
                put(2, "a"),
                start(1, &[1]),
                PAUSING,
                done(1),
                Event::Resumed,
                start(2, &[2]),
                done(2),
            ]),
        ),
        (
            "one of each lane behind the answer",
            None,
            with(vec![
                put(2, OTHER_LANE),
                PAUSING,
                start(1, &[1]),
                done(1),
                start(2, &[2]),
                done(2),
            ]),
        ),
    ]);
}

#[test]
fn a_violation_says_which_where_and_what() {
    let text = check(&[put(1, "a")], DuplicateBound::Exact)[0].to_string();
    assert_eq!(
        text,
        "I1 (NoLoss) is broken by event 1: neither successful nor discarded: [(s, 1)]"
    );
}
