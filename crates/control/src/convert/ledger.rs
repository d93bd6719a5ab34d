//! Attempts and discards, out.

use super::{duration, mark, small, timestamp};
use crate::names;
use millstream_api::v1;
use millstream_types::durable::{
    AttemptResult, AttemptedMessage, DeliveryEnd, DeliveryState, Discard, DiscardCondition, LedgerEntry,
    QueueAttempt,
};

pub(crate) fn entry(e: &LedgerEntry) -> v1::LedgerEntry {
    v1::LedgerEntry {
        shard_id: e.shard.to_string(),
        lane: i32::from(e.lane),
        request_id: e.request_id.to_string(),
        attempt: small(e.attempt),
        first_sequence_number: mark(e.first),
        last_sequence_number: mark(e.last),
        record_count: small(e.records),
        finished_count: small(e.finished),
        result: result(e.result).into(),
        start_time: Some(timestamp(e.started)),
        end_time: Some(timestamp(e.ended)),
        age: Some(duration(e.age_ms)),
        error: e.error.clone().unwrap_or_default(),
        messages: Vec::new(),
    }
}

/// An attempt of a queue, which has slots and messages where a stream has shards, lanes and records.
pub(crate) fn attempt(a: &QueueAttempt) -> v1::LedgerEntry {
    let message = |m: &AttemptedMessage| v1::AttemptedMessage {
        message_id: m.id.clone(),
        receive_count: small(m.receives),
        message_group_id: m.group.clone().unwrap_or_default(),
        failed: m.failed,
    };
    v1::LedgerEntry {
        shard_id: String::new(),
        lane: small(a.slot),
        request_id: a.request_id.to_string(),
        attempt: small(a.attempt),
        first_sequence_number: String::new(),
        last_sequence_number: String::new(),
        record_count: small(a.messages),
        finished_count: small(a.finished),
        result: result(a.result).into(),
        start_time: Some(timestamp(a.started)),
        end_time: Some(timestamp(a.ended)),
        age: Some(duration(a.age_ms)),
        error: a.error.clone().unwrap_or_default(),
        messages: a.named.iter().map(message).collect(),
    }
}

fn result(r: AttemptResult) -> v1::AttemptResult {
    match r {
        AttemptResult::Done => v1::AttemptResult::Done,
        AttemptResult::Partial => v1::AttemptResult::Partial,
        AttemptResult::Retry => v1::AttemptResult::Retry,
        AttemptResult::Split => v1::AttemptResult::Split,
        AttemptResult::Discarded => v1::AttemptResult::Discarded,
        AttemptResult::Expired => v1::AttemptResult::Expired,
        AttemptResult::Throttled => v1::AttemptResult::Throttled,
    }
}

pub(crate) fn discard((d, delivery): (Discard, Option<DeliveryState>)) -> v1::Discard {
    let condition = match d.condition {
        DiscardCondition::RetryAttemptsExhausted => v1::DiscardCondition::RetryAttemptsExhausted,
        DiscardCondition::RecordAgeExceeded => v1::DiscardCondition::RecordAgeExceeded,
        DiscardCondition::FilteredOut => v1::DiscardCondition::FilteredOut,
    };
    v1::Discard {
        name: names::full(&d.namespace, names::DISCARDS, d.id),
        mapping_uid: d.mapping.to_string(),
        shard_id: d.shard.to_string(),
        condition: condition.into(),
        request_id: d.request_id.to_string(),
        invoke_count: small(d.invoke_count),
        response: d.response.map(|r| v1::ResponseContext {
            status_code: i32::from(r.status_code),
            executed_version: r.executed_version,
            function_error: r.function_error.unwrap_or_default(),
        }),
        first_sequence_number: mark(d.first),
        last_sequence_number: mark(d.last),
        first_arrival_time: d.first_arrival.map(timestamp),
        last_arrival_time: d.last_arrival.map(timestamp),
        record_count: small(d.records),
        discard_time: Some(timestamp(d.at)),
        function_arn: d.function_arn,
        source_arn: d.source_arn,
        payload: d.payload,
        window: d.window.map(|w| v1::DiscardWindow {
            start_time: Some(timestamp(w.start)),
            end_time: Some(timestamp(w.end)),
            final_invoke: w.is_final,
            terminated_early: w.terminated_early,
        }),
        delivery: delivery.map(of_delivery),
    }
}

fn of_delivery(d: DeliveryState) -> v1::DiscardDelivery {
    let state = match d.end {
        None => v1::DeliveryState::Pending,
        Some(DeliveryEnd::Delivered) => v1::DeliveryState::Delivered,
        Some(DeliveryEnd::Failed) => v1::DeliveryState::Failed,
    };
    let tried = |at| (d.attempts > 0).then(|| timestamp(at));
    v1::DiscardDelivery {
        state: state.into(),
        attempt_count: small(d.attempts),
        first_attempt_time: tried(d.first_attempt),
        last_attempt_time: tried(d.last_attempt),
        error: d.error,
    }
}
