//! The inside of a mapping, out.

use super::{count, mapping, mark, small, timestamp};
use millstream_api::v1;
use millstream_engine::view::{
    BatchInspection, LaneInspection, MappingInspection, MappingView, QueueCounters, QueueInspection,
    ShardActivity, ShardInspection, SlotActivity, SlotInspection, WindowInspection,
};
use millstream_types::Position;
use v1::position::Kind;

pub(crate) fn to_api(inspection: MappingInspection) -> v1::MappingInspection {
    let MappingInspection {
        mapping,
        status,
        shards,
        queue,
    } = inspection;
    v1::MappingInspection {
        mapping: Some(mapping::to_api(&MappingView { mapping, status })),
        shards: shards.iter().map(shard).collect(),
        queue: queue.as_ref().map(self::queue),
    }
}

fn queue(q: &QueueInspection) -> v1::QueueInspection {
    let s = &q.snapshot;
    v1::QueueInspection {
        concurrency: small(s.concurrency),
        concurrency_reason: s.concurrency_reason.as_str().to_owned(),
        visible_messages: q.depth.map(|d| count(d.visible)),
        hidden_messages: q.depth.map(|d| count(d.in_flight)),
        delayed_messages: q.depth.map(|d| count(d.delayed)),
        oldest_message_seconds: q.depth.and_then(|d| d.oldest).map(|age| age.as_secs_f64()),
        messages_in_flight: small(s.messages_in_flight),
        batches_in_flight: small(s.batches_in_flight),
        active_groups: small(s.active_groups),
        requests_last_hour: count(s.requests_last_hour),
        slots: s.slots.iter().map(slot).collect(),
        last_error: [&s.queue_trouble, &s.function_trouble]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("; "),
        draining: s.draining,
        buffered_bytes: count(s.buffered_bytes),
        counters: Some(counters(&s.counters)),
    }
}

fn counters(c: &QueueCounters) -> v1::QueueConsumerCounters {
    v1::QueueConsumerCounters {
        empty_receives: count(c.empty_receives),
        failed_receives: count(c.receive_faults),
        messages_failed: count(c.failed),
        messages_deleted: count(c.deleted),
        messages_undeleted: count(c.undeleted),
        messages_returned: count(c.returned),
        messages_dropped: count(c.dropped),
        messages_left: count(c.left),
        renewals: count(c.renewals),
    }
}

fn slot(s: &SlotInspection) -> v1::SlotInspection {
    let activity = match s.activity {
        SlotActivity::Receiving => v1::SlotActivity::Receiving,
        SlotActivity::Filling => v1::SlotActivity::Filling,
        SlotActivity::Invoking => v1::SlotActivity::Invoking,
        SlotActivity::Held => v1::SlotActivity::Held,
        SlotActivity::Settling => v1::SlotActivity::Settling,
    };
    v1::SlotInspection {
        slot: small(s.slot),
        activity: activity.into(),
        message_count: small(s.messages),
        group_count: small(s.groups),
        request_id: s.request_id.map_or_else(String::new, |id| id.to_string()),
        since: Some(timestamp(s.since)),
        next_time: s.next.map(timestamp),
        reason: s.reason.clone().unwrap_or_default(),
    }
}

fn shard(s: &ShardInspection) -> v1::ShardInspection {
    v1::ShardInspection {
        shard_id: s.shard.to_string(),
        activity: activity(s.activity).into(),
        lease: s.lease.map(|(epoch, incarnation)| v1::ShardLease {
            epoch: count(epoch.0),
            incarnation: incarnation.to_string(),
        }),
        checkpoint: Some(position(s.checkpoint)),
        read_through: mark(s.read_through),
        lag_records: s.lag_records.map(count),
        #[allow(clippy::cast_precision_loss)] // exact up to 285,000 years
        lag_seconds: s.lag_ms.map(|ms| ms as f64 / 1000.0),
        buffered_bytes: count(s.buffered_bytes),
        lanes: s.lanes.iter().map(lane).collect(),
        last_error: s.last_error.clone().unwrap_or_default(),
        window: s.window.as_ref().map(window),
    }
}

fn window(w: &WindowInspection) -> v1::WindowInspection {
    v1::WindowInspection {
        start_time: Some(timestamp(w.start)),
        end_time: Some(timestamp(w.end)),
        state_bytes: count(w.state_bytes),
        ending: w.ending,
        terminated_early: w.early,
    }
}

fn activity(a: ShardActivity) -> v1::ShardActivity {
    match a {
        ShardActivity::WaitingForParents => v1::ShardActivity::WaitingForParents,
        ShardActivity::Starting => v1::ShardActivity::Starting,
        ShardActivity::Running => v1::ShardActivity::Running,
        ShardActivity::Draining => v1::ShardActivity::Draining,
        ShardActivity::Paused => v1::ShardActivity::Paused,
        ShardActivity::Restarting => v1::ShardActivity::Restarting,
        ShardActivity::Finished => v1::ShardActivity::Finished,
    }
}

fn position(p: Position) -> v1::Position {
    let kind = match p {
        Position::Trim => Kind::TrimHorizon(v1::TrimHorizon {}),
        Position::At(m) => Kind::AtSequenceNumber(m.to_string()),
        Position::After(m) => Kind::AfterSequenceNumber(m.to_string()),
        Position::Timestamp(at) => Kind::AtTime(timestamp(at)),
        Position::End => Kind::ShardEnd(v1::ShardEnd {}),
    };
    v1::Position { kind: Some(kind) }
}

fn lane(l: &LaneInspection) -> v1::LaneInspection {
    v1::LaneInspection {
        lane: i32::from(l.lane),
        done_through: mark(l.done_through),
        buffered_records: small(l.buffered),
        lagging: l.lagging,
        batch: l.batch.as_ref().map(batch),
    }
}

fn batch(b: &BatchInspection) -> v1::BatchInspection {
    v1::BatchInspection {
        request_id: b.request_id.to_string(),
        first_sequence_number: mark(b.first),
        last_sequence_number: mark(b.last),
        record_count: small(b.records),
        attempt: small(b.attempt),
        in_flight: b.in_flight,
        next_attempt_time: b.next_attempt.map(timestamp),
        parts_waiting: small(b.parts_waiting),
        last_error: b.last_error.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_engine::view::{QueueSnapshot, ScaleReason};
    use millstream_ports::QueueDepth;
    use millstream_types::{Epoch, Incarnation, Mark, RequestId, Seq, ShardId, Wall};

    fn inspected() -> ShardInspection {
        ShardInspection {
            shard: ShardId::new("shardId-000000000000").unwrap(),
            activity: ShardActivity::Running,
            lease: Some((Epoch(3), Incarnation::from_random(1))),
            checkpoint: Position::After(Mark::of(Seq::from_u128(5))),
            read_through: Some(Mark {
                seq: Seq::from_u128(9),
                sub: 2,
            }),
            lag_ms: None,
            lag_records: None,
            buffered_bytes: 10,
            lanes: Vec::new(),
            last_error: None,
            window: None,
            queue: None,
        }
    }

    #[test]
    fn an_open_window_is_shown() {
        let open = WindowInspection {
            start: Wall(60_000),
            end: Wall(120_000),
            state_bytes: 7,
            ending: true,
            early: false,
        };
        let shown = shard(&ShardInspection {
            window: Some(open),
            ..inspected()
        });
        let window = shown.window.unwrap();
        assert_eq!(
            (
                window.start_time.unwrap().seconds,
                window.end_time.unwrap().seconds
            ),
            (60, 120)
        );
        assert_eq!(
            (window.state_bytes, window.ending, window.terminated_early),
            (7, true, false)
        );
        assert!(shard(&inspected()).window.is_none());
    }

    #[test]
    fn not_known_is_not_zero() {
        let unknown = shard(&inspected());
        assert_eq!((unknown.lag_records, unknown.lag_seconds), (None, None));
        let zero = shard(&ShardInspection {
            lag_ms: Some(0),
            lag_records: Some(0),
            ..inspected()
        });
        assert_eq!((zero.lag_records, zero.lag_seconds), (Some(0), Some(0.0)));
        let some = shard(&ShardInspection {
            lag_ms: Some(1_500),
            lag_records: Some(3),
            ..inspected()
        });
        assert_eq!((some.lag_records, some.lag_seconds), (Some(3), Some(1.5)));
    }

    #[test]
    fn positions_and_lanes() {
        let got = shard(&ShardInspection {
            lanes: vec![LaneInspection {
                lane: 1,
                done_through: None,
                buffered: 4,
                lagging: true,
                batch: Some(BatchInspection {
                    request_id: RequestId::from_random(2),
                    first: None,
                    last: None,
                    records: 0,
                    attempt: 2,
                    in_flight: false,
                    next_attempt: Some(Wall(1_000)),
                    parts_waiting: 1,
                    last_error: Some("boom".into()),
                }),
            }],
            ..inspected()
        });
        assert_eq!(got.read_through, "9.2");
        assert_eq!(
            got.checkpoint.unwrap().kind,
            Some(Kind::AfterSequenceNumber("5".into()))
        );
        assert_eq!(got.lease.unwrap().epoch, 3);
        let lane = &got.lanes[0];
        assert_eq!(
            (
                lane.lane,
                lane.buffered_records,
                lane.lagging,
                lane.done_through.as_str()
            ),
            (1, 4, true, "")
        );
        let batch = lane.batch.as_ref().unwrap();
        assert_eq!(
            (batch.attempt, batch.parts_waiting, batch.last_error.as_str()),
            (2, 1, "boom")
        );
        assert_eq!(batch.next_attempt_time.unwrap().seconds, 1);
    }

    fn consumer() -> QueueInspection {
        let snapshot = QueueSnapshot {
            concurrency: 5,
            concurrency_reason: ScaleReason::MaximumConcurrency,
            messages_in_flight: 7,
            batches_in_flight: 2,
            active_groups: 3,
            requests_last_hour: 180,
            slots: Vec::new(),
            buffered_bytes: 99,
            counters: QueueCounters {
                empty_receives: 1,
                receive_faults: 2,
                failed: 3,
                deleted: 4,
                undeleted: 5,
                returned: 6,
                dropped: 7,
                left: 8,
                renewals: 9,
                ..QueueCounters::default()
            },
            last_attempt_failed: None,
            queue_trouble: None,
            function_trouble: Some("boom".into()),
            draining: true,
        };
        QueueInspection {
            snapshot,
            depth: None,
        }
    }

    #[test]
    fn the_depth_of_a_queue_that_does_not_tell_is_not_zero() {
        let unknown = queue(&consumer());
        let depth = |q: &v1::QueueInspection| (q.visible_messages, q.hidden_messages, q.delayed_messages);
        assert_eq!(depth(&unknown), (None, None, None));
        let depth_of = Some(QueueDepth {
            delayed: 4,
            ..QueueDepth::default()
        });
        let told = queue(&QueueInspection {
            depth: depth_of,
            ..consumer()
        });
        assert_eq!(depth(&told), (Some(0), Some(0), Some(4)));
        assert_eq!(told.oldest_message_seconds, None);
    }

    #[test]
    fn a_consumer_tells_limits_counts_and_trouble() {
        let got = queue(&consumer());
        assert_eq!(
            (got.concurrency, got.concurrency_reason.as_str(), got.draining),
            (5, "maximum_concurrency", true)
        );
        assert_eq!(
            (got.messages_in_flight, got.batches_in_flight, got.active_groups),
            (7, 2, 3)
        );
        assert_eq!((got.requests_last_hour, got.buffered_bytes), (180, 99));
        let c = got.counters.unwrap();
        let counts = [
            c.empty_receives,
            c.failed_receives,
            c.messages_failed,
            c.messages_deleted,
            c.messages_undeleted,
            c.messages_returned,
            c.messages_dropped,
            c.messages_left,
            c.renewals,
        ];
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(got.last_error, "boom");
        let mut both = consumer();
        both.snapshot.queue_trouble = Some("gone".into());
        assert_eq!(queue(&both).last_error, "gone; boom");
    }

    #[test]
    fn a_held_slot_says_why_and_until_when() {
        let got = slot(&SlotInspection {
            slot: 3,
            activity: SlotActivity::Held,
            messages: 10,
            groups: 2,
            request_id: Some(RequestId::from_random(4)),
            since: Wall(1_000),
            next: Some(Wall(2_000)),
            reason: Some("no capacity".into()),
        });
        assert_eq!(
            (got.slot, got.activity(), got.message_count, got.group_count),
            (3, v1::SlotActivity::Held, 10, 2)
        );
        assert_eq!(
            (got.since.unwrap().seconds, got.next_time.unwrap().seconds),
            (1, 2)
        );
        assert_eq!(got.request_id, RequestId::from_random(4).to_string());
        assert_eq!(got.reason, "no capacity");
    }
}
