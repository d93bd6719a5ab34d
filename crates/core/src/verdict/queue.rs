//! The truth table of semantics section 8, for queues.

use super::report::{self, Report};
use super::{cut, error_type};
use millstream_types::{Message, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;

/// What an outcome means for a batch of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueVerdict {
    /// Every message is done, to be deleted.
    Done,
    /// A valid partial failure: these messages, as ascending indices into the batch (at least one), come back; all
    /// others are done. The order of messages plays no part, on FIFO queues neither.
    Partial {
        /// The messages that failed.
        failed: Vec<usize>,
    },
    /// No message is done; all come back.
    Failed {
        /// The error's type, at most 256 bytes: the function's own, or one of this table's (`Sandbox.Timedout`,
        /// `BatchItemFailures.…`).
        error: String,
    },
    /// The code did not run.
    Throttled {
        /// What the target asked for.
        retry_after: Option<Duration>,
        /// Why the function could not be reached, if that was it; at most 256 bytes.
        unreachable: Option<String>,
    },
}

/// Judges one attempt of a batch of messages.
///
/// With `report_item_failures` (semantics 8, `FunctionResponseTypes`), the body is read as that of a
/// [stream's batch](super::verdict) is, and these differ:
///
/// | body | verdict |
/// |---|---|
/// | only ids of messages of this batch, any number of times | the listed come back, others are done |
/// | `[{}]` and whatever else cannot be understood, an unknown id among known ones too | failed |
///
/// Of `[{}]` there are two accounts of AWS (semantics 17.3); this is the one that loses nothing. A message that the
/// queue handed out twice into one batch fails in both places.
#[must_use]
pub fn queue_verdict(outcome: &Outcome, batch: &[Message], report_item_failures: bool) -> QueueVerdict {
    match outcome {
        Outcome::Response(_) if !report_item_failures => QueueVerdict::Done,
        Outcome::Response(body) => of_report(body, batch),
        Outcome::FunctionError(error) => failed(error_type(error)),
        Outcome::Timeout { .. } => failed("Sandbox.Timedout"),
        Outcome::Throttled { retry_after } => QueueVerdict::Throttled {
            retry_after: *retry_after,
            unreachable: None,
        },
        // The code did not run, so no message failed.
        Outcome::Unreachable { reason } => QueueVerdict::Throttled {
            retry_after: None,
            unreachable: Some(cut(reason)),
        },
    }
}

fn of_report(body: &[u8], batch: &[Message]) -> QueueVerdict {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, message) in batch.iter().enumerate() {
        places.entry(&message.id).or_default().push(at);
    }
    let first = |id: &str| places.get(id).and_then(|at| at.first().copied());
    match report::read(body, &first) {
        Report::NoFailure => QueueVerdict::Done,
        Report::Invalid(why) => failed(&why),
        Report::Listed(listed) => {
            let all = |at: usize| batch.get(at).and_then(|m| places.get(&*m.id));
            let mut failed: Vec<usize> = listed.into_iter().filter_map(all).flatten().copied().collect();
            failed.sort_unstable();
            failed.dedup();
            QueueVerdict::Partial { failed }
        }
    }
}

fn failed(error: &str) -> QueueVerdict {
    QueueVerdict::Failed { error: cut(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use millstream_types::message::SystemAttributes;
    use millstream_types::{Receipt, Wall};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn message(id: &str) -> Message {
        Message {
            id: id.into(),
            receipt: Receipt("r".into()),
            body: Bytes::new(),
            attributes: Arc::default(),
            md5_of_body: "".into(),
            md5_of_attributes: None,
            system: SystemAttributes {
                receive_count: 1,
                sent: Wall(0),
                first_received: Wall(0),
                sender: "".into(),
                trace_header: None,
                dead_letter_source: None,
                group: None,
                fifo: None,
            },
            trace: None,
        }
    }

    fn batch(ids: &[&str]) -> Vec<Message> {
        ids.iter().map(|id| message(id)).collect()
    }

    fn judged(body: &str, reports: bool) -> QueueVerdict {
        let outcome = Outcome::Response(Bytes::copy_from_slice(body.as_bytes()));
        queue_verdict(&outcome, &batch(&["a", "b", "c"]), reports)
    }

    fn partial(failed: &[usize]) -> QueueVerdict {
        QueueVerdict::Partial {
            failed: failed.to_vec(),
        }
    }

    /// Semantics 8, the column of SQS.
    #[test]
    fn every_row_of_the_truth_table() {
        let invalid = |why: &str| failed(&format!("BatchItemFailures.{why}"));
        let rows = [
            ("", QueueVerdict::Done),
            ("null", QueueVerdict::Done),
            ("{}", QueueVerdict::Done),
            (r#"{"batchItemFailures":[]}"#, QueueVerdict::Done),
            (r#"{"batchItemFailures":null}"#, QueueVerdict::Done),
            (r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#, partial(&[1])),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"}]}"#,
                partial(&[0, 2]),
            ),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b"}]}"#,
                partial(&[1]),
            ),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
                invalid("InvalidIdentifier"),
            ),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
                invalid("InvalidIdentifier"),
            ),
            (r#"{"batchItemFailures":[{"foo":"a"}]}"#, invalid("InvalidEntry")),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":"z"}]}"#,
                invalid("UnknownIdentifier: 'z'"),
            ),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"z"}]}"#,
                invalid("UnknownIdentifier: 'z'"),
            ),
            ("{nonsense", invalid("InvalidJson")),
            (
                r#"{"batchItemFailures":[{"itemIdentifier":1}]}"#,
                invalid("InvalidIdentifier"),
            ),
            (r#"{"batchItemFailures":"a"}"#, invalid("NotAnArray")),
            (
                r#"{"batchItemFailures":{"itemIdentifier":"a"}}"#,
                invalid("NotAnArray"),
            ),
            (r#"{"batchItemFailures":[{}]}"#, invalid("InvalidEntry")),
        ];
        for (body, expect) in rows {
            assert_eq!(judged(body, true), expect, "{body}");
            assert_eq!(judged(body, false), QueueVerdict::Done, "without reports: {body}");
        }
    }

    #[test]
    fn a_message_twice_in_a_batch_fails_twice() {
        let body = Bytes::from_static(br#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#);
        let verdict = queue_verdict(&Outcome::Response(body), &batch(&["a", "b", "a"]), true);
        assert_eq!(verdict, partial(&[0, 2]));
    }

    #[test]
    fn what_is_no_response_does_not_depend_on_reports() {
        let unreachable = Outcome::Unreachable {
            reason: "gone".to_owned(),
        };
        let rows = [
            (
                Outcome::Timeout {
                    after: Duration::from_secs(3),
                },
                failed("Sandbox.Timedout"),
            ),
            (
                Outcome::Throttled {
                    retry_after: Some(Duration::from_secs(2)),
                },
                QueueVerdict::Throttled {
                    retry_after: Some(Duration::from_secs(2)),
                    unreachable: None,
                },
            ),
            (
                unreachable,
                QueueVerdict::Throttled {
                    retry_after: None,
                    unreachable: Some("gone".to_owned()),
                },
            ),
        ];
        for (outcome, expect) in rows {
            for reports in [false, true] {
                assert_eq!(
                    queue_verdict(&outcome, &batch(&["a"]), reports),
                    expect,
                    "{outcome:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn exactly_the_listed_fail(n in 1usize..40, listed in proptest::collection::vec(0usize..40, 0..60)) {
            let ids: Vec<String> = (0..n).map(|i| format!("id-{i}")).collect();
            let items: Vec<String> =
                listed.iter().map(|i| format!(r#"{{"itemIdentifier":"id-{i}"}}"#)).collect();
            let body = format!(r#"{{"batchItemFailures":[{}]}}"#, items.join(","));
            let messages: Vec<Message> = ids.iter().map(|i| message(i)).collect();
            let mut distinct = listed.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let verdict = queue_verdict(&Outcome::Response(body.into()), &messages, true);
            match distinct.last() {
                None => prop_assert_eq!(verdict, QueueVerdict::Done),
                Some(last) if *last < n => prop_assert_eq!(verdict, partial(&distinct)),
                Some(_) => {
                    let whole = matches!(verdict, QueueVerdict::Failed { .. });
                    prop_assert!(whole, "an unknown id among others");
                }
            }
        }

        #[test]
        fn any_body_is_judged(body: Vec<u8>) {
            let _ = queue_verdict(&Outcome::Response(body.into()), &batch(&["a"]), true);
        }
    }
}
