//! What becomes of spans: counted, bounded, and told at a bounded rate.

use crate::metrics::Scrape;
use crate::names::metric::TRACE_SPANS;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines of the log about the same trouble.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The way of spans from their end to the collector.
#[derive(Debug, Default)]
pub(super) struct Flow {
    waiting: AtomicUsize,
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// When the log had a line about spans that were lost; none since they are exported again.
    at: Option<Instant>,
    /// How many were lost by then.
    lost: u64,
    troubled: bool,
    /// The newest cause of a failure.
    cause: Option<String>,
}

impl Flow {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spans that are not exported yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn lost(&self) -> u64 {
        self.failed.load(Ordering::Relaxed) + self.dropped.load(Ordering::Relaxed)
    }

    /// Takes a place for one more span, if fewer than `most` wait.
    fn admit(&self, most: usize) -> bool {
        let fits = |waiting: usize| (waiting < most).then_some(waiting + 1);
        let admitted = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok();
        if !admitted {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// A batch of so many spans was exported, or not.
    fn settle(&self, spans: usize, result: &OTelSdkResult) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let counter = if result.is_ok() {
            &self.exported
        } else {
            &self.failed
        };
        counter.fetch_add(spans as u64, Ordering::Relaxed);
    }

    /// Why a request failed, in more detail than its error has.
    pub(super) fn note_cause(&self, cause: String) {
        self.told().cause = Some(cause);
    }

    /// What the log is told now, if anything: at most one line of each kind a minute.
    fn news(&self, result: &OTelSdkResult, now: Instant) -> Option<News> {
        let lost = self.lost();
        let mut told = self.told();
        let due = told.at.is_none_or(|at| now.duration_since(at) >= TELL_AGAIN);
        let cause = told.cause.take();
        if result.is_ok() && told.troubled && due {
            told.troubled = false;
            told.at = Some(now);
            told.lost = lost;
            return Some(News::Again { lost });
        }
        if lost == told.lost || !due {
            return None;
        }
        let since = lost - std::mem::replace(&mut told.lost, lost);
        told.at = Some(now);
        match result {
            Ok(()) => Some(News::TooMany { lost: since }),
            Err(error) => {
                told.troubled = true;
                let error = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
                Some(News::Failing { lost: since, error })
            }
        }
    }

    pub(super) fn collect(&self, scrape: &mut Scrape) {
        for (result, counter) in [
            ("exported", &self.exported),
            ("failed", &self.failed),
            ("dropped", &self.dropped),
        ] {
            scrape.count(&TRACE_SPANS, &[result], counter.load(Ordering::Relaxed));
        }
    }
}

/// A line of the log.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Failing { lost: u64, error: String },
    TooMany { lost: u64 },
    Again { lost: u64 },
}

impl News {
    fn tell(self) {
        match self {
            Self::Failing { lost, error } => {
                tracing::warn!(
                    lost,
                    error,
                    "spans cannot be exported, and are lost; records are not"
                );
            }
            Self::TooMany { lost } => {
                tracing::warn!(
                    lost,
                    "more spans than can be exported: some are lost; records are not"
                );
            }
            Self::Again { lost } => tracing::info!(lost, "spans are exported again"),
        }
    }
}

/// Lets no more spans wait than were asked for. The processor behind it has a bound of its own and does not say what it
/// drops, so its bound is never reached.
#[derive(Debug)]
pub(super) struct Bounded<P> {
    next: P,
    flow: Arc<Flow>,
    most: usize,
}

impl<P> Bounded<P> {
    pub(super) fn new(next: P, flow: Arc<Flow>, most: usize) -> Self {
        Self { next, flow, most }
    }
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.next.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.flow.admit(self.most) {
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// An exporter whose results are counted and told.
#[derive(Debug)]
pub(super) struct Watched<E> {
    next: E,
    flow: Arc<Flow>,
}

impl<E> Watched<E> {
    pub(super) fn new(next: E, flow: Arc<Flow>) -> Self {
        Self { next, flow }
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.next.export(batch).await;
        self.flow.settle(spans, &result);
        if let Some(news) = self.flow.news(&result, Instant::now()) {
            news.tell();
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_sdk::error::OTelSdkError;

    fn failure() -> OTelSdkResult {
        Err(OTelSdkError::InternalFailure("refused".to_owned()))
    }

    #[test]
    fn no_more_wait_than_were_asked_for() {
        let flow = Flow::default();
        assert_eq!([flow.admit(2), flow.admit(2), flow.admit(2)], [true, true, false]);
        flow.settle(2, &Ok(()));
        assert!(flow.admit(2));
        flow.settle(1, &failure());
        let mut scrape = Scrape::default();
        flow.collect(&mut scrape);
        let text = scrape.text();
        for line in [
            "{result=\"exported\"} 2",
            "{result=\"failed\"} 1",
            "{result=\"dropped\"} 1",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(flow.waiting(), 0);
    }

    #[test]
    fn a_dead_collector_is_told_once_a_minute() {
        let (flow, start) = (Flow::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let fail = |seconds: u64, cause: Option<&str>| {
            assert!(flow.admit(9));
            flow.settle(1, &failure());
            cause.into_iter().for_each(|c| flow.note_cause(c.to_owned()));
            flow.news(&failure(), at(seconds))
        };
        let failing = |lost, error: &str| {
            let error = format!("Operation failed: {error}");
            Some(News::Failing { lost, error })
        };
        assert_eq!(
            fail(0, Some("nobody listens")),
            failing(1, "refused: nobody listens")
        );
        for second in 1..60 {
            assert_eq!(fail(second, None), None, "{second}");
        }
        assert_eq!(fail(60, None), failing(60, "refused"));
        assert_eq!(flow.news(&Ok(()), at(61)), None, "not sooner than a minute after");
        assert_eq!(flow.news(&Ok(()), at(120)), Some(News::Again { lost: 61 }));
        assert_eq!(flow.news(&Ok(()), at(500)), None);
        assert!(!flow.admit(0));
        assert_eq!(flow.news(&Ok(()), at(501)), Some(News::TooMany { lost: 1 }));
    }
}
