//! What is observed of an attempt while it runs: its span, and its place in the mapping's counts.

use crate::meter::{End, Meter};
use millstream_core::verdict::{QueueVerdict, Verdict};
use millstream_telemetry::attempt::{About, AttemptSpan, Call, Ending, Subject};
use millstream_telemetry::names::{error, log, verdict};
use millstream_telemetry::origin::Origin;
use millstream_types::invocation::FunctionErrorKind;
use millstream_types::{FunctionRef, Mapping, MappingName, Mono, Outcome, ShardId, TraceContext};
use std::sync::Arc;

/// What all attempts of one consumer have in common.
#[derive(Clone, Debug)]
pub(crate) struct Observer {
    pub(crate) meter: Arc<Meter>,
    subject: Subject,
    mapping: MappingName,
    function: FunctionRef,
}

/// An attempt that runs. One that is dropped was abandoned, because its owner ended.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    observer: &'a Observer,
    call: Call,
    begun: Mono,
    span: Option<AttemptSpan>,
}

impl Observer {
    /// For a consumer of a mapping: of this shard, or of its queue.
    pub(crate) fn new(mapping: &Mapping, shard: Option<&ShardId>, meter: Arc<Meter>) -> Self {
        let subject = Subject::new(&About {
            namespace: &mapping.namespace,
            mapping: &mapping.name,
            id: mapping.id,
            source: &mapping.spec.source,
            shard,
            function: mapping.spec.function.as_str(),
            function_arn: &mapping.spec.function.arn().into(),
        });
        Self {
            meter,
            subject,
            mapping: mapping.name.clone(),
            function: mapping.spec.function.clone(),
        }
    }

    /// An attempt is about to be sent; with the trace context that the function is to be given.
    pub(crate) fn begin<'a, 'o>(
        &'a self,
        call: &Call,
        origins: impl IntoIterator<Item = Option<Origin<'o>>>,
        now: Mono,
    ) -> (Running<'a>, Option<TraceContext>) {
        self.meter.begun(call.records, call.attempt > 1);
        let (span, context) = AttemptSpan::begin(&self.subject, call, origins);
        let running = Running {
            observer: self,
            call: *call,
            begun: now,
            span: Some(span),
        };
        (running, context)
    }
}

impl Running<'_> {
    /// Its span.
    pub(crate) fn span(&self) -> Option<&AttemptSpan> {
        self.span.as_ref()
    }

    /// It ended so.
    pub(crate) fn end(mut self, outcome: &Outcome, judged: &Judged<'_>, now: Mono) {
        let (meter, took) = (&self.observer.meter, now.since(self.begun));
        if !matches!(outcome, Outcome::Throttled { .. } | Outcome::Unreachable { .. }) {
            meter.seconds.observe(took.as_secs_f64());
        }
        meter.ended(judged.end, judged.failed);
        let (about, call) = (self.observer, &self.call);
        tracing::debug!(
            target: log::ATTEMPT, mapping = %about.mapping, function = %about.function,
            request_id = %call.request_id, attempt = call.attempt, records = call.records,
            failed = judged.failed, verdict = judged.ending.verdict, error = judged.ending.error,
            took_ms = took.as_secs_f64() * 1000.0, "{}", judged.ending.description
        );
        if let Some(span) = self.span.take() {
            span.end(&judged.ending);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Without a span it has ended, and is counted.
        if self.span.is_some() {
            self.observer.meter.ended(End::Abandoned, self.call.records);
        }
    }
}

/// What an outcome came to, in the words of counts and spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged<'a> {
    end: End,
    /// Records that failed.
    failed: usize,
    ending: Ending<'a>,
}

impl<'a> Judged<'a> {
    /// Of a batch of a shard.
    pub(crate) fn of_shard(outcome: &'a Outcome, judged: &'a Verdict, records: usize) -> Self {
        match judged {
            Verdict::Done => Self::done(),
            Verdict::FailedFrom { index, reported, .. } => Self::items(*index == 0, *reported),
            Verdict::Failed { error, .. } => Self::failed(outcome, error, records),
            Verdict::Throttled { .. } => Self::throttled(outcome, records),
        }
    }

    /// Of a batch of a queue.
    pub(crate) fn of_queue(outcome: &'a Outcome, judged: &'a QueueVerdict, records: usize) -> Self {
        match judged {
            QueueVerdict::Done => Self::done(),
            QueueVerdict::Partial { failed } => Self::items(failed.len() == records, failed.len()),
            QueueVerdict::Failed { error } => Self::failed(outcome, error, records),
            QueueVerdict::Throttled { .. } => Self::throttled(outcome, records),
        }
    }

    fn done() -> Self {
        Self {
            end: End::Done,
            failed: 0,
            ending: Ending {
                verdict: verdict::DONE,
                error: None,
                description: "",
            },
        }
    }

    /// The function reported items; `all` if that leaves nothing done.
    fn items(all: bool, reported: usize) -> Self {
        let (end, verdict) = if all {
            (End::Failed, verdict::FAILED)
        } else {
            (End::Partial, verdict::PARTIAL)
        };
        Self {
            end,
            failed: reported,
            ending: Ending {
                verdict,
                error: Some(error::ITEM_FAILURES),
                description: "",
            },
        }
    }

    fn failed(outcome: &Outcome, description: &'a str, records: usize) -> Self {
        let (end, error) = match outcome {
            Outcome::Timeout { .. } => (End::Timeout, error::TIMEOUT),
            Outcome::FunctionError(e) => (End::Failed, kind(e.kind)),
            // It returned, and what it returned cannot be understood.
            _ => (End::Failed, error::INVALID_REPORT),
        };
        Self {
            end,
            failed: records,
            ending: Ending {
                verdict: verdict::FAILED,
                error: Some(error),
                description,
            },
        }
    }

    fn throttled(outcome: &'a Outcome, records: usize) -> Self {
        let (end, error, description) = match outcome {
            Outcome::Unreachable { reason } => (End::Unreachable, Some(error::UNREACHABLE), reason.as_str()),
            // Want of capacity is no error.
            _ => (End::Throttled, None, ""),
        };
        Self {
            end,
            failed: records,
            ending: Ending {
                verdict: verdict::THROTTLED,
                error,
                description,
            },
        }
    }
}

fn kind(kind: FunctionErrorKind) -> &'static str {
    match kind {
        FunctionErrorKind::Raised => error::FUNCTION,
        FunctionErrorKind::Exited => error::EXITED,
        FunctionErrorKind::Crashed => error::CRASHED,
        FunctionErrorKind::Garbage => error::PROTOCOL,
        FunctionErrorKind::ResponseTooLarge => error::RESPONSE_TOO_LARGE,
        FunctionErrorKind::Init => error::INIT,
        FunctionErrorKind::InitTimeout => error::INIT_TIMEOUT,
        FunctionErrorKind::Disconnected => error::DISCONNECTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_core::verdict;
    use millstream_types::Seq;
    use millstream_types::invocation::FunctionError;
    use std::time::Duration;

    #[test]
    fn outcomes_are_told_apart() {
        let batch: Vec<Seq> = (1..=4).map(Seq::from_u128).collect();
        let response = |body: &'static str| Outcome::Response(body.into());
        let failed = |kind| {
            Outcome::FunctionError(FunctionError {
                kind,
                error_type: "ValueError".to_owned(),
                message: String::new(),
            })
        };
        let one = r#"{"batchItemFailures":[{"itemIdentifier":"3"}]}"#;
        let first = r#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#;
        for (outcome, end, records, word, error) in [
            (response("{}"), End::Done, 0, "done", None),
            (
                response(one),
                End::Partial,
                1,
                "partial",
                Some("batch_item_failures"),
            ),
            (
                response(first),
                End::Failed,
                1,
                "failed",
                Some("batch_item_failures"),
            ),
            (response("17"), End::Failed, 4, "failed", Some("invalid_report")),
            (
                failed(FunctionErrorKind::Raised),
                End::Failed,
                4,
                "failed",
                Some("function_error"),
            ),
            (
                failed(FunctionErrorKind::Crashed),
                End::Failed,
                4,
                "failed",
                Some("crashed"),
            ),
            (
                Outcome::Timeout {
                    after: Duration::ZERO,
                },
                End::Timeout,
                4,
                "failed",
                Some("timeout"),
            ),
            (
                Outcome::Throttled { retry_after: None },
                End::Throttled,
                4,
                "throttled",
                None,
            ),
            (
                Outcome::Unreachable {
                    reason: "gone".to_owned(),
                },
                End::Unreachable,
                4,
                "throttled",
                Some("unreachable"),
            ),
        ] {
            let judged = verdict::verdict(&outcome, &batch, true);
            let told = Judged::of_shard(&outcome, &judged, batch.len());
            assert_eq!((told.end, told.failed), (end, records), "{outcome:?}");
            assert_eq!(
                (told.ending.verdict, told.ending.error),
                (word, error),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn a_queue_reports_messages() {
        let outcome = Outcome::Response("".into());
        for (failed, end) in [(vec![0, 2], End::Partial), (vec![0, 1, 2], End::Failed)] {
            let judged = QueueVerdict::Partial {
                failed: failed.clone(),
            };
            let told = Judged::of_queue(&outcome, &judged, 3);
            assert_eq!((told.end, told.failed), (end, failed.len()));
        }
    }
}
