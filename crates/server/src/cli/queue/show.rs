//! A queue as a row, and as facts.

use crate::cli::names::short;
use crate::cli::output::{Columns, count};
use crate::cli::when;
use crate::units::{show_duration, show_size};
use millstream_api::v1;
use std::time::Duration;

/// The columns of queues.
pub(crate) const COLUMNS: Columns = Columns {
    narrow: &[
        "NAME",
        "VISIBLE",
        "HIDDEN",
        "DELAYED",
        "OLDEST",
        "DEAD-LETTERS",
        "AGE",
    ],
    wide: &[
        "VISIBILITY",
        "RETENTION",
        "DELAY",
        "WAIT",
        "MAX-BYTES",
        "DEDUPLICATION",
        "ARN",
        "ETAG",
    ],
};

/// The cells of a queue.
pub(crate) fn row(q: &v1::Queue) -> Vec<String> {
    let depth = q.depth.unwrap_or_default();
    vec![
        short(&q.name).to_owned(),
        depth.visible_messages.to_string(),
        depth.hidden_messages.to_string(),
        depth.delayed_messages.to_string(),
        oldest(depth.oldest_message_seconds),
        redrive(q),
        when::age(q.create_time.as_ref()),
        seconds(q.visibility_timeout_seconds()),
        seconds(q.message_retention_seconds()),
        seconds(q.delay_seconds()),
        seconds(q.receive_wait_time_seconds()),
        bytes(q.maximum_message_bytes()),
        deduplication(q),
        q.arn.clone(),
        q.etag.clone(),
    ]
}

/// All about a queue, one fact a line.
pub(crate) fn facts(q: &v1::Queue) -> Vec<String> {
    let fifo = q.content_based_deduplication.is_some();
    let kind = if fifo { "FIFO" } else { "standard" };
    let (created, changed) = (
        when::stamp(q.create_time.as_ref()),
        when::stamp(q.update_time.as_ref()),
    );
    let redrive = match redrive(q) {
        none if none.is_empty() => "none: a message is tried until it is too old".to_owned(),
        some => some,
    };
    let mut facts = vec![
        ("Name", q.name.clone()),
        ("Kind", kind.to_owned()),
        ("ARN", q.arn.clone()),
        ("Messages", depth(q.depth.unwrap_or_default())),
        ("Visibility", seconds(q.visibility_timeout_seconds())),
        ("Retention", seconds(q.message_retention_seconds())),
        ("Delay", seconds(q.delay_seconds())),
        ("Wait", seconds(q.receive_wait_time_seconds())),
        ("Max bytes", bytes(q.maximum_message_bytes())),
        ("Dead letters", redrive),
    ];
    if fifo {
        facts.push(("Duplicates", deduplication(q)));
    }
    let sources = &q.dead_letter_sources;
    if !sources.is_empty() {
        let of = count(sources.len(), "queue");
        facts.push((
            "Serves",
            format!("the dead letters of {of}: {}", sources.join(", ")),
        ));
    }
    facts.push(("Version", format!("etag {}", q.etag)));
    facts.push(("Created", format!("{created}, changed {changed}")));
    facts
        .into_iter()
        .map(|(what, value)| format!("{what:<12} {value}"))
        .collect()
}

fn depth(d: v1::QueueDepth) -> String {
    let oldest = match d.oldest_message_seconds {
        None => String::new(),
        some => format!(", the oldest {}", oldest(some)),
    };
    format!(
        "about {} visible, {} hidden, {} delayed{oldest}",
        d.visible_messages, d.hidden_messages, d.delayed_messages
    )
}

/// The age of the oldest message, empty if there is none.
pub(crate) fn oldest(seconds: Option<f64>) -> String {
    let age = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
    age.map_or_else(String::new, when::short)
}

/// Where messages go that are received too often; empty: nowhere.
fn redrive(q: &v1::Queue) -> String {
    q.redrive_policy.as_ref().map_or_else(String::new, |r| {
        format!("{} after {}", r.dead_letter_queue, r.max_receive_count)
    })
}

/// How a FIFO queue knows repetitions; empty for a standard queue.
fn deduplication(q: &v1::Queue) -> String {
    let by = match q.content_based_deduplication {
        None => return String::new(),
        Some(true) => "by id or content",
        Some(false) => "by id",
    };
    let within = match q.deduplication_scope() {
        v1::DeduplicationScope::MessageGroup => "message group",
        _ => "queue",
    };
    format!("{by} within the {within}")
}

fn seconds(n: i32) -> String {
    show_duration(Duration::from_secs(u64::try_from(n).unwrap_or(0)))
}

fn bytes(n: i32) -> String {
    show_size(u64::try_from(n).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{Paint, Table};

    fn queue(name: &str) -> v1::Queue {
        v1::Queue {
            name: format!("namespaces/default/queues/{name}"),
            arn: format!("arn:aws:sqs:us-east-1:000000000000:{name}"),
            etag: "7".to_owned(),
            visibility_timeout_seconds: Some(30),
            message_retention_seconds: Some(345_600),
            delay_seconds: Some(0),
            maximum_message_bytes: Some(1 << 20),
            depth: Some(v1::QueueDepth {
                visible_messages: 12,
                hidden_messages: 3,
                delayed_messages: 0,
                oldest_message_seconds: Some(75.0),
            }),
            ..Default::default()
        }
    }

    fn fifo() -> v1::Queue {
        v1::Queue {
            redrive_policy: Some(v1::RedrivePolicy {
                dead_letter_queue: "dead.fifo".to_owned(),
                max_receive_count: 5,
            }),
            content_based_deduplication: Some(true),
            deduplication_scope: v1::DeduplicationScope::MessageGroup.into(),
            dead_letter_sources: vec!["a.fifo".to_owned(), "b.fifo".to_owned()],
            depth: Some(v1::QueueDepth::default()),
            ..queue("jobs.fifo")
        }
    }

    #[test]
    fn the_table_is_golden() {
        let mut table = Table::new(COLUMNS, false);
        table.row(row(&queue("jobs")));
        table.row(row(&fifo()));
        let mut lines = vec![table.head_line()];
        lines.extend(table.take_lines(Paint::PLAIN));
        assert_eq!(
            lines,
            [
                "NAME       VISIBLE  HIDDEN  DELAYED  OLDEST  DEAD-LETTERS       AGE",
                "jobs       12       3       0        1m15s   -                  -",
                "jobs.fifo  0        0       0        -       dead.fifo after 5  -",
            ]
        );
        assert_eq!(row(&fifo()).len(), COLUMNS.narrow.len() + COLUMNS.wide.len());
    }

    #[test]
    fn facts_tell_kind_settings_and_depth() {
        let text = facts(&queue("jobs")).join("\n");
        for part in [
            "Kind         standard",
            "about 12 visible, 3 hidden, 0 delayed, the oldest 1m15s",
            "Retention    4d",
            "Max bytes    1MiB",
            "Dead letters none",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains("Duplicates") && !text.contains("Serves"), "{text}");
        let text = facts(&fifo()).join("\n");
        for part in [
            "Kind         FIFO",
            "0 delayed\n",
            "Dead letters dead.fifo after 5",
            "Duplicates   by id or content within the message group",
            "Serves       the dead letters of 2 queues: a.fifo, b.fifo",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
