//! The inside of a queue's mapping, for people.

use crate::cli::error::CliError;
use crate::cli::output::{Columns, Format, Screen, Table, count};
use crate::cli::when;
use millstream_api::v1;
use std::time::Duration;

const SLOTS: Columns = Columns {
    narrow: &["SLOT", "ACTIVITY", "MESSAGES", "GROUPS", "FOR", "NEXT", "REASON"],
    wide: &["REQUEST-ID", "SINCE"],
};

/// Shows what the consumer does: facts, and its slots.
///
/// # Errors
/// If nobody reads it.
pub(super) fn show(screen: &mut Screen, queue: Option<&v1::QueueInspection>) -> Result<(), CliError> {
    let Some(q) = queue else {
        return screen.line("Queue        nothing is known: its consumer does not run");
    };
    for line in facts(q) {
        screen.line(&line)?;
    }
    if q.slots.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(SLOTS, screen.format() == Format::Wide);
    q.slots.iter().for_each(|s| table.row(row(s)));
    screen.line("")?;
    screen.table(&mut table)
}

fn facts(q: &v1::QueueInspection) -> Vec<String> {
    let draining = if q.draining {
        "; lets what runs end, starts nothing"
    } else {
        ""
    };
    let mut facts = vec![
        ("Queue", depth(q)),
        (
            "Concurrency",
            format!("{} ({}){draining}", q.concurrency, q.concurrency_reason),
        ),
        ("In flight", in_flight(q)),
        ("Requests", requests(q)),
    ];
    facts.extend(q.counters.as_ref().map(|c| ("Messages", messages(c))));
    if !q.last_error.is_empty() {
        facts.push(("Last error", q.last_error.clone()));
    }
    facts
        .into_iter()
        .map(|(what, value)| format!("{what:<12} {value}"))
        .collect()
}

fn depth(q: &v1::QueueInspection) -> String {
    let number = |n: Option<i64>| n.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
    let oldest = q
        .oldest_message_seconds
        .and_then(|s| Duration::try_from_secs_f64(s).ok());
    format!(
        "about {} visible, {} hidden, {} delayed{}",
        number(q.visible_messages),
        number(q.hidden_messages),
        number(q.delayed_messages),
        oldest.map_or_else(String::new, |age| format!(", the oldest {}", when::short(age)))
    )
}

fn in_flight(q: &v1::QueueInspection) -> String {
    let many = |n: i32, one| count(usize::try_from(n).unwrap_or(0), one);
    let groups = match q.active_groups {
        0 => String::new(),
        n => format!(" of {}", many(n, "group")),
    };
    format!(
        "{} running, {} received and not finished{groups}, {} KiB",
        many(q.batches_in_flight, "invocation"),
        many(q.messages_in_flight, "message"),
        q.buffered_bytes.div_euclid(1024)
    )
}

fn requests(q: &v1::QueueInspection) -> String {
    let mut text = format!("{} in the last hour", q.requests_last_hour);
    if let Some(c) = &q.counters {
        text += &format!(
            "; since start {} receives were empty, {} failed",
            c.empty_receives, c.failed_receives
        );
    }
    text
}

fn messages(c: &v1::QueueConsumerCounters) -> String {
    let rare = [
        (c.messages_undeleted, "could not be deleted and come again"),
        (c.messages_returned, "given back untried"),
        (c.messages_dropped, "came back untried"),
        (c.messages_left, "left because of their group"),
        (c.renewals, "timeouts extended"),
    ];
    let mut text = format!(
        "{} deleted, {} failed and come again",
        c.messages_deleted, c.messages_failed
    );
    for (n, what) in rare.into_iter().filter(|(n, _)| *n > 0) {
        text += &format!(", {n} {what}");
    }
    text
}

fn row(s: &v1::SlotInspection) -> Vec<String> {
    vec![
        s.slot.to_string(),
        s.activity()
            .as_str_name()
            .trim_start_matches("SLOT_ACTIVITY_")
            .to_owned(),
        s.message_count.to_string(),
        if s.group_count > 0 {
            s.group_count.to_string()
        } else {
            String::new()
        },
        when::age(s.since.as_ref()),
        s.next_time.as_ref().map_or_else(String::new, when::until),
        s.reason.clone(),
        s.request_id.clone(),
        when::stamp(s.since.as_ref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside() -> v1::QueueInspection {
        v1::QueueInspection {
            concurrency: 5,
            concurrency_reason: "maximum_concurrency".to_owned(),
            visible_messages: Some(3),
            hidden_messages: Some(20),
            delayed_messages: Some(0),
            oldest_message_seconds: Some(12.0),
            messages_in_flight: 20,
            batches_in_flight: 2,
            active_groups: 4,
            requests_last_hour: 180,
            counters: Some(v1::QueueConsumerCounters {
                messages_deleted: 90,
                messages_failed: 10,
                renewals: 2,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn facts_tell_depth_limits_and_counts() {
        let text = facts(&inside()).join("\n");
        for part in [
            "Queue        about 3 visible, 20 hidden, 0 delayed, the oldest 12s",
            "Concurrency  5 (maximum_concurrency)",
            "2 invocations running, 20 messages received and not finished of 4 groups",
            "Requests     180 in the last hour; since start 0 receives were empty, 0 failed",
            "Messages     90 deleted, 10 failed and come again, 2 timeouts extended",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(
            !text.contains("Last error") && !text.contains("untried"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let q = v1::QueueInspection {
            visible_messages: None,
            oldest_message_seconds: None,
            last_error: "gone".to_owned(),
            draining: true,
            ..inside()
        };
        let text = facts(&q).join("\n");
        for part in ["about unknown visible", "starts nothing", "Last error   gone"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains("oldest"), "{text}");
    }

    #[test]
    fn a_held_slot_says_why() {
        let slot = v1::SlotInspection {
            slot: 1,
            activity: v1::SlotActivity::Held.into(),
            message_count: 10,
            next_time: Some(prost_types::Timestamp::default()),
            reason: "no capacity".to_owned(),
            ..Default::default()
        };
        let cells = row(&slot);
        assert_eq!(cells.len(), SLOTS.narrow.len() + SLOTS.wide.len());
        assert_eq!(cells[..7], ["1", "HELD", "10", "", "-", "now", "no capacity"]);
    }
}
