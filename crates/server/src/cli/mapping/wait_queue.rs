//! Whether a queue's mapping has nothing left to do.

use crate::cli::error::CliError;
use crate::cli::session::Session;
use millstream_api::v1;
use v1::SlotActivity;

/// Why messages of the mapping's queue are still to be finished; none if it is empty and the consumer holds none (as after
/// a purge it may).
pub(super) async fn not_idle(
    session: &Session,
    mapping: &v1::Mapping,
    inside: Option<&v1::QueueInspection>,
) -> Result<Option<String>, CliError> {
    let request = session.request(v1::GetQueueRequest {
        name: queue_of(mapping)?,
    });
    let queue = session.queues().get_queue(request).await?.into_inner();
    Ok(left(&queue, inside))
}

/// The resource name of the queue that a mapping reads.
fn queue_of(mapping: &v1::Mapping) -> Result<String, CliError> {
    let parent = mapping.name.split("/mappings/").next().unwrap_or_default();
    match mapping.source_arn.split_once(":000000000000:") {
        Some((_, queue)) => Ok(format!("{parent}/queues/{queue}")),
        None => Err(CliError::usage(
            format!("{} cannot tell what is left in it", mapping.source_arn),
            "wait for another state, or look at it with `mapping describe`",
        )),
    }
}

fn left(queue: &v1::Queue, inside: Option<&v1::QueueInspection>) -> Option<String> {
    let Some(inside) = inside else {
        return Some("its consumer does not run".to_owned());
    };
    let d = queue.depth.unwrap_or_default();
    let empty = (d.visible_messages, d.hidden_messages, d.delayed_messages) == (0, 0, 0);
    match (empty, inside.messages_in_flight) {
        (true, 0) => return None,
        (true, n) => {
            return Some(format!(
                "its consumer holds {n} messages that are not in its queue any more"
            ));
        }
        (false, _) => {}
    }
    let held = inside.slots.iter().find(|s| s.activity() == SlotActivity::Held);
    let why = held.map_or_else(String::new, |s| {
        format!("; slot {} is held: {}", s.slot, s.reason)
    });
    Some(format!(
        "its queue has {} visible, {} hidden and {} delayed messages{why}",
        d.visible_messages, d.hidden_messages, d.delayed_messages
    ))
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::mapping;
    use super::*;

    #[test]
    fn a_queue_is_idle_when_nothing_is_left_in_any_state() {
        let queue = |visible, hidden, delayed| v1::Queue {
            depth: Some(v1::QueueDepth {
                visible_messages: visible,
                hidden_messages: hidden,
                delayed_messages: delayed,
                oldest_message_seconds: None,
            }),
            ..Default::default()
        };
        let held = v1::QueueInspection {
            slots: vec![v1::SlotInspection {
                activity: SlotActivity::Held.into(),
                reason: "no capacity".to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(left(&queue(0, 0, 0), Some(&held)), None);
        assert!(left(&queue(0, 0, 0), None).unwrap().contains("does not run"));
        let purged = v1::QueueInspection {
            messages_in_flight: 3,
            ..Default::default()
        };
        assert!(left(&queue(0, 0, 0), Some(&purged)).unwrap().contains("holds 3"));
        for (visible, hidden, delayed) in [(1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            let why = left(&queue(visible, hidden, delayed), Some(&purged)).unwrap();
            assert!(why.contains(&format!("{hidden} hidden")), "{why}");
        }
        let why = left(&queue(1, 0, 0), Some(&held)).unwrap();
        assert!(why.ends_with("slot 0 is held: no capacity"), "{why}");
    }

    #[test]
    fn the_queue_is_that_of_the_mappings_namespace() {
        let of = |arn: &str| {
            queue_of(&v1::Mapping {
                source_arn: arn.to_owned(),
                ..mapping("a", v1::MappingState::Active)
            })
        };
        assert_eq!(
            of("arn:aws:sqs:us-east-1:000000000000:jobs").unwrap(),
            "namespaces/default/queues/jobs"
        );
        assert!(of("arn:aws:sqs:us-east-1:123456789012:jobs").is_err());
    }
}
