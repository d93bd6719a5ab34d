//! The inside of a mapping, out.

use super::{count, mapping, mark, small, timestamp};
use millstream_api::v1;
use millstream_engine::view::{
    BatchInspection, LaneInspection, MappingInspection, MappingView, QueueInspection, ShardActivity,
    ShardInspection, SlotActivity, SlotInspection,
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
    let depth = q.depth.unwrap_or_default();
    v1::QueueInspection {
        concurrency: small(s.concurrency),
        concurrency_reason: s.concurrency_reason.as_str().to_owned(),
        visible_messages: count(depth.visible),
        hidden_messages: count(depth.in_flight),
        delayed_messages: count(depth.delayed),
        oldest_message_seconds: depth.oldest.map(|age| age.as_secs_f64()),
        messages_in_flight: small(s.messages_in_flight),
        batches_in_flight: small(s.batches_in_flight),
        active_groups: small(s.active_groups),
        receives_last_hour: count(s.receives_last_hour),
        slots: s.slots.iter().map(slot).collect(),
        last_error: s
            .queue_trouble
            .clone()
            .or_else(|| s.function_trouble.clone())
            .unwrap_or_default(),
        draining: s.draining,
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
            queue: None,
        }
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
}
