//! Queues: settings in, descriptions out.

use super::mask::Mask;
use super::{applied, count, small, timestamp};
use crate::names;
use crate::refusal::{Refusal, Refusals};
use millstream_api::v1;
use millstream_ports::QueueDescription;
use millstream_types::queue::{DeduplicationScope, QueueSpec, Redrive};
use millstream_types::{Applied, Namespace, QueueName, SourceArn};

/// Where the settings are in a request.
pub(crate) const PREFIX: &str = "queue.";
const DEAD_LETTERS: &str = "redrive_policy.dead_letter_queue";
const RECEIVES: &str = "redrive_policy.max_receive_count";
/// The paths that an update may name.
const PATHS: [&str; 11] = [
    "visibility_timeout_seconds",
    "message_retention_seconds",
    "delay_seconds",
    "receive_wait_time_seconds",
    "maximum_message_bytes",
    "redrive_policy",
    DEAD_LETTERS,
    RECEIVES,
    "content_based_deduplication",
    "deduplication_scope",
    applied::PATH,
];

/// A change of a queue's settings; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueuePatch {
    visibility_timeout_seconds: Option<u32>,
    retention_seconds: Option<u32>,
    delay_seconds: Option<u32>,
    receive_wait_seconds: Option<u32>,
    max_message_bytes: Option<u32>,
    redrive: Option<Option<Redrive>>,
    dead_letter_queue: Option<QueueName>,
    max_receive_count: Option<u32>,
    content_based_deduplication: Option<bool>,
    deduplication_scope: Option<DeduplicationScope>,
    applied: Option<Applied>,
}

impl QueuePatch {
    /// The settings after the change.
    ///
    /// # Errors
    /// If one half of a redrive policy is to be changed and there is none.
    pub(crate) fn apply(self, now: &QueueSpec) -> Result<QueueSpec, Refusal> {
        let mut redrive = self.redrive.unwrap_or_else(|| now.redrive.clone());
        for (set, path) in [
            (self.dead_letter_queue.is_some(), DEAD_LETTERS),
            (self.max_receive_count.is_some(), RECEIVES),
        ] {
            if set && redrive.is_none() {
                let other =
                    "dead_letter_queue and max_receive_count together: the queue has no redrive policy";
                return Err(Refusal::missing(format!("{PREFIX}{path}"), other));
            }
        }
        if let Some(redrive) = &mut redrive {
            redrive.max_receive_count = self.max_receive_count.unwrap_or(redrive.max_receive_count);
            if let Some(name) = self.dead_letter_queue {
                redrive.dead_letter_queue = name;
            }
        }
        Ok(QueueSpec {
            visibility_timeout_seconds: self
                .visibility_timeout_seconds
                .unwrap_or(now.visibility_timeout_seconds),
            retention_seconds: self.retention_seconds.unwrap_or(now.retention_seconds),
            delay_seconds: self.delay_seconds.unwrap_or(now.delay_seconds),
            receive_wait_seconds: self.receive_wait_seconds.unwrap_or(now.receive_wait_seconds),
            max_message_bytes: self.max_message_bytes.unwrap_or(now.max_message_bytes),
            redrive,
            content_based_deduplication: self
                .content_based_deduplication
                .unwrap_or(now.content_based_deduplication),
            deduplication_scope: self.deduplication_scope.unwrap_or(now.deduplication_scope),
            applied: self.applied.unwrap_or_else(|| now.applied.clone()),
        })
    }
}

/// The settings of a new queue; unset ones have their defaults. What cannot be read is refused; ranges and what goes
/// with which kind of queue are the broker's.
pub(crate) fn new_spec(q: &v1::Queue, namespace: &Namespace, refusals: &mut Refusals) -> QueueSpec {
    let default = QueueSpec::default();
    let everything = patch(q, &Mask::All, namespace, refusals);
    // A whole redrive policy has no halves that could be missing.
    everything.apply(&default).unwrap_or(default)
}

/// The change that an update means.
pub(crate) fn update(
    q: &v1::Queue,
    namespace: &Namespace,
    mask: Option<prost_types::FieldMask>,
    refusals: &mut Refusals,
) -> QueuePatch {
    let mask = Mask::read(mask, &PATHS, refusals);
    patch(q, &mask, namespace, refusals)
}

/// The settings that are meant; an unset one goes back to its default.
fn patch(q: &v1::Queue, mask: &Mask, namespace: &Namespace, refusals: &mut Refusals) -> QueuePatch {
    let default = QueueSpec::default();
    let mut number = |path: &str, value: Option<i32>, default: u32, allowed: &str| {
        let meant = mask.means(path, value.is_some());
        meant
            .then(|| refusals.take(unsigned(path, value, default, allowed)))
            .flatten()
    };
    let mut patch = QueuePatch {
        visibility_timeout_seconds: number(
            "visibility_timeout_seconds",
            q.visibility_timeout_seconds,
            default.visibility_timeout_seconds,
            "0 to 43200 seconds",
        ),
        retention_seconds: number(
            "message_retention_seconds",
            q.message_retention_seconds,
            default.retention_seconds,
            "60 to 1209600 seconds",
        ),
        delay_seconds: number(
            "delay_seconds",
            q.delay_seconds,
            default.delay_seconds,
            "0 to 900 seconds",
        ),
        receive_wait_seconds: number(
            "receive_wait_time_seconds",
            q.receive_wait_time_seconds,
            default.receive_wait_seconds,
            "0 to 20 seconds",
        ),
        max_message_bytes: number(
            "maximum_message_bytes",
            q.maximum_message_bytes,
            default.max_message_bytes,
            "1024 to 1048576 bytes",
        ),
        ..QueuePatch::default()
    };
    let path = "content_based_deduplication";
    if mask.means(path, q.content_based_deduplication.is_some()) {
        patch.content_based_deduplication = Some(q.content_based_deduplication());
    }
    if mask.means("deduplication_scope", q.deduplication_scope != 0) {
        patch.deduplication_scope = refusals.take(scope(q.deduplication_scope));
    }
    if mask.means_fixed(applied::PATH, q.applied.is_some()) {
        patch.applied = refusals.take(applied::read("queue.applied", q.applied.as_ref()));
    }
    redrive(q, mask, namespace, &mut patch, refusals);
    patch
}

/// The redrive policy, as a whole or by halves.
fn redrive(
    q: &v1::Queue,
    mask: &Mask,
    namespace: &Namespace,
    patch: &mut QueuePatch,
    refusals: &mut Refusals,
) {
    let set = q.redrive_policy.as_ref();
    let whole = mask.means("redrive_policy", set.is_some());
    let named = |path| matches!(mask, Mask::Named(_)) && mask.means(path, true);
    let policy = set.cloned().unwrap_or_default();
    let queue = || {
        names::queue(
            &format!("{PREFIX}{DEAD_LETTERS}"),
            namespace,
            &policy.dead_letter_queue,
        )
    };
    let count = || unsigned(RECEIVES, Some(policy.max_receive_count), 0, "1 to 1000");
    if whole && set.is_none() {
        patch.redrive = Some(None);
    } else if whole {
        let (queue, count) = (refusals.take(queue()), refusals.take(count()));
        patch.redrive = queue.zip(count).map(|(dead_letter_queue, max_receive_count)| {
            Some(Redrive {
                dead_letter_queue,
                max_receive_count,
            })
        });
    } else {
        if named(DEAD_LETTERS) {
            patch.dead_letter_queue = refusals.take(queue());
        }
        if named(RECEIVES) {
            patch.max_receive_count = refusals.take(count());
        }
    }
}

fn unsigned(path: &str, value: Option<i32>, default: u32, allowed: &str) -> Result<u32, Refusal> {
    let Some(value) = value else { return Ok(default) };
    u32::try_from(value).map_err(|_| Refusal::new(format!("{PREFIX}{path}"), value, allowed))
}

fn scope(number: i32) -> Result<DeduplicationScope, Refusal> {
    match v1::DeduplicationScope::try_from(number) {
        Ok(v1::DeduplicationScope::Unspecified | v1::DeduplicationScope::Queue) => {
            Ok(DeduplicationScope::Queue)
        }
        Ok(v1::DeduplicationScope::MessageGroup) => Ok(DeduplicationScope::MessageGroup),
        Err(_) => Err(Refusal::new(
            "queue.deduplication_scope",
            number,
            "DEDUPLICATION_SCOPE_QUEUE or DEDUPLICATION_SCOPE_MESSAGE_GROUP",
        )),
    }
}

/// A queue, and about how much is in it. Every setting that its kind has is shown, those at their default too.
pub(crate) fn to_api(q: &QueueDescription) -> v1::Queue {
    let spec = &q.spec;
    let fifo = q.name.is_fifo();
    v1::Queue {
        name: names::full(&q.namespace, names::QUEUES, &q.name),
        arn: SourceArn::local_queue(&q.name).to_string(),
        etag: names::etag(q.revision),
        create_time: Some(timestamp(q.created)),
        update_time: Some(timestamp(q.modified)),
        visibility_timeout_seconds: Some(small(spec.visibility_timeout_seconds)),
        message_retention_seconds: Some(small(spec.retention_seconds)),
        delay_seconds: Some(small(spec.delay_seconds)),
        receive_wait_time_seconds: Some(small(spec.receive_wait_seconds)),
        maximum_message_bytes: Some(small(spec.max_message_bytes)),
        redrive_policy: spec.redrive.as_ref().map(|r| v1::RedrivePolicy {
            dead_letter_queue: r.dead_letter_queue.to_string(),
            max_receive_count: small(r.max_receive_count),
        }),
        content_based_deduplication: fifo.then_some(spec.content_based_deduplication),
        deduplication_scope: match (fifo, spec.deduplication_scope) {
            (false, _) => v1::DeduplicationScope::Unspecified,
            (true, DeduplicationScope::Queue) => v1::DeduplicationScope::Queue,
            (true, DeduplicationScope::MessageGroup) => v1::DeduplicationScope::MessageGroup,
        }
        .into(),
        depth: Some(v1::QueueDepth {
            visible_messages: count(q.depth.visible),
            hidden_messages: count(q.depth.in_flight),
            delayed_messages: count(q.depth.delayed),
            oldest_message_seconds: q.depth.oldest.map(|age| age.as_secs_f64()),
        }),
        dead_letter_sources: q.dead_letter_sources.iter().map(ToString::to_string).collect(),
        applied: applied::to_api(&spec.applied),
    }
}

#[cfg(test)]
mod tests;
