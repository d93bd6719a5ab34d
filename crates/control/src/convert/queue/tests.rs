//! Settings of queues in and out.

use super::*;
use millstream_ports::QueueDepth;
use millstream_types::Wall;
use prost_types::FieldMask;
use std::time::Duration;

fn ns() -> Namespace {
    Namespace::default()
}

fn name(text: &str) -> QueueName {
    QueueName::new(text).unwrap()
}

fn policy(queue: &str, count: i32) -> Option<v1::RedrivePolicy> {
    Some(v1::RedrivePolicy {
        dead_letter_queue: queue.into(),
        max_receive_count: count,
    })
}

fn redrive(queue: &str, count: u32) -> Option<Redrive> {
    Some(Redrive {
        dead_letter_queue: name(queue),
        max_receive_count: count,
    })
}

fn everything() -> (v1::Queue, QueueSpec) {
    let q = v1::Queue {
        visibility_timeout_seconds: Some(1),
        message_retention_seconds: Some(60),
        delay_seconds: Some(2),
        receive_wait_time_seconds: Some(3),
        maximum_message_bytes: Some(1_024),
        redrive_policy: policy("dead.fifo", 4),
        content_based_deduplication: Some(true),
        deduplication_scope: v1::DeduplicationScope::MessageGroup.into(),
        applied: Some(v1::Applied {
            settings: [("delay_seconds".to_owned(), "2".to_owned())].into(),
        }),
        ..v1::Queue::default()
    };
    let spec = QueueSpec {
        visibility_timeout_seconds: 1,
        retention_seconds: 60,
        delay_seconds: 2,
        receive_wait_seconds: 3,
        max_message_bytes: 1_024,
        redrive: redrive("dead.fifo", 4),
        content_based_deduplication: true,
        deduplication_scope: DeduplicationScope::MessageGroup,
        applied: Applied::new([("delay_seconds".to_owned(), "2".to_owned())].into()).unwrap(),
    };
    (q, spec)
}

fn read(q: &v1::Queue) -> (QueueSpec, Vec<String>) {
    let mut refusals = Refusals::default();
    let spec = new_spec(q, &ns(), &mut refusals);
    (spec, refusals.fields().into_iter().map(Into::into).collect())
}

#[test]
fn unset_is_the_default_and_zero_is_zero() {
    assert_eq!(read(&v1::Queue::default()), (QueueSpec::default(), vec![]));
    let (q, spec) = everything();
    assert_eq!(read(&q), (spec, vec![]));
    let zero = v1::Queue {
        visibility_timeout_seconds: Some(0),
        message_retention_seconds: Some(0),
        ..v1::Queue::default()
    };
    let (spec, _) = read(&zero);
    assert_eq!((spec.visibility_timeout_seconds, spec.retention_seconds), (0, 0));
}

#[test]
fn every_refusal_names_its_field() {
    type Change = fn(&mut v1::Queue);
    let rows: [(Change, &[&str]); 10] = [
        (
            |q| q.visibility_timeout_seconds = Some(-1),
            &["queue.visibility_timeout_seconds"],
        ),
        (
            |q| q.message_retention_seconds = Some(-1),
            &["queue.message_retention_seconds"],
        ),
        (|q| q.delay_seconds = Some(-1), &["queue.delay_seconds"]),
        (
            |q| q.receive_wait_time_seconds = Some(-1),
            &["queue.receive_wait_time_seconds"],
        ),
        (
            |q| q.maximum_message_bytes = Some(-1),
            &["queue.maximum_message_bytes"],
        ),
        (
            |q| q.redrive_policy = policy("", -1),
            &[
                "queue.redrive_policy.dead_letter_queue",
                "queue.redrive_policy.max_receive_count",
            ],
        ),
        (
            |q| q.redrive_policy = policy("namespaces/other/queues/dead", 3),
            &["queue.redrive_policy.dead_letter_queue"],
        ),
        (
            |q| q.redrive_policy = policy("arn:aws:sqs:us-east-1:123456789012:dead", 3),
            &["queue.redrive_policy.dead_letter_queue"],
        ),
        (|q| q.deduplication_scope = 3, &["queue.deduplication_scope"]),
        (
            |q| (q.delay_seconds, q.maximum_message_bytes) = (Some(-1), Some(-1)),
            &["queue.delay_seconds", "queue.maximum_message_bytes"],
        ),
    ];
    for (i, (change, expected)) in rows.into_iter().enumerate() {
        let mut q = v1::Queue::default();
        change(&mut q);
        assert_eq!(read(&q).1, expected, "row {i}");
    }
}

/// What an update of `now` makes of it, or the refused fields.
fn updated(q: &v1::Queue, paths: &[&str], now: &QueueSpec) -> Result<QueueSpec, Vec<String>> {
    let mut refusals = Refusals::default();
    let paths = paths.iter().map(|p| (*p).to_owned()).collect();
    let patch = update(q, &ns(), Some(FieldMask { paths }), &mut refusals);
    let fields: Vec<String> = refusals.fields().into_iter().map(Into::into).collect();
    if fields.is_empty() {
        patch.apply(now).map_err(|r| vec![r.field])
    } else {
        Err(fields)
    }
}

#[test]
fn an_update_means_what_its_mask_names() {
    let (q, full) = everything();
    let default = QueueSpec::default();
    let nothing = v1::Queue::default();
    let halves = |queue: &str, count| v1::Queue {
        redrive_policy: policy(queue, count),
        ..nothing.clone()
    };
    let with = |redrive| QueueSpec {
        redrive,
        ..full.clone()
    };
    for (q, paths, now, expected) in [
        (&q, &[][..], &default, Ok(full.clone())),
        (&q, &["*"], &default, Ok(full.clone())),
        (&nothing, &[], &full, Ok(full.clone())),
        // The note of what is applied is meant only where it is set.
        (
            &nothing,
            &["*"],
            &full,
            Ok(QueueSpec {
                applied: full.applied.clone(),
                ..default.clone()
            }),
        ),
        (
            &nothing,
            &["applied"],
            &full,
            Ok(QueueSpec {
                applied: Applied::default(),
                ..full.clone()
            }),
        ),
        (
            &q,
            &["delay_seconds"],
            &default,
            Ok(QueueSpec {
                delay_seconds: 2,
                ..default.clone()
            }),
        ),
        (&nothing, &["redrive_policy"], &full, Ok(with(None))),
        (
            &halves("other.fifo", 9),
            &["redrive_policy"],
            &full,
            Ok(with(redrive("other.fifo", 9))),
        ),
        (
            &halves("", 9),
            &["redrive_policy.max_receive_count"],
            &full,
            Ok(with(redrive("dead.fifo", 9))),
        ),
        (
            &halves("other.fifo", 0),
            &["redrive_policy.dead_letter_queue"],
            &full,
            Ok(with(redrive("other.fifo", 4))),
        ),
        (
            &halves("", 9),
            &["redrive_policy.max_receive_count"],
            &default,
            Err(vec!["queue.redrive_policy.max_receive_count".to_owned()]),
        ),
        (
            &halves("", 9),
            &["redrive_policy"],
            &full,
            Err(vec!["queue.redrive_policy.dead_letter_queue".to_owned()]),
        ),
        (&q, &["fifo"], &full, Err(vec!["update_mask".to_owned()])),
        (&q, &["name"], &full, Err(vec!["update_mask".to_owned()])),
    ] {
        assert_eq!(updated(q, paths, now), expected, "{paths:?}");
    }
}

fn description(queue: &str, spec: QueueSpec) -> QueueDescription {
    QueueDescription {
        namespace: ns(),
        name: name(queue),
        spec,
        created: Wall(1_000),
        modified: Wall(2_500),
        revision: 7,
        depth: QueueDepth {
            visible: 1,
            in_flight: 2,
            delayed: 3,
            oldest: Some(Duration::from_millis(1_500)),
        },
        dead_letter_sources: vec![name("a.fifo"), name("b.fifo")],
    }
}

#[test]
fn what_is_shown_can_be_sent_back() {
    let fifo = to_api(&description("q.fifo", everything().1));
    assert_eq!(read(&fifo), (everything().1, vec![]));
    let standard = to_api(&description("q", QueueSpec::default()));
    assert_eq!(read(&standard), (QueueSpec::default(), vec![]));
    assert_eq!(
        (standard.content_based_deduplication, standard.deduplication_scope),
        (None, 0),
        "a standard queue has neither"
    );
}

#[test]
fn a_description_tells_names_versions_and_depth() {
    let shown = to_api(&description("q.fifo", QueueSpec::default()));
    assert_eq!(shown.name, "namespaces/default/queues/q.fifo");
    assert_eq!(shown.arn, "arn:aws:sqs:us-east-1:000000000000:q.fifo");
    assert_eq!(
        (shown.etag.as_str(), shown.create_time.unwrap().seconds),
        ("7", 1)
    );
    assert_eq!(shown.update_time.unwrap().nanos, 500_000_000);
    let depth = shown.depth.unwrap();
    assert_eq!(
        (
            depth.visible_messages,
            depth.hidden_messages,
            depth.delayed_messages
        ),
        (1, 2, 3)
    );
    assert_eq!(depth.oldest_message_seconds, Some(1.5));
    assert_eq!(shown.dead_letter_sources, ["a.fifo", "b.fifo"]);
}
