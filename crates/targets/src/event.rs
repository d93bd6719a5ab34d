//! One invocation as a function outside this program gets it: the event, and what goes beside it as headers.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use millstream_types::{Epoch, Invocation, MappingId, Payload, RequestId, TraceContext};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const FUNCTION_ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
const TRACE_ID: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
// Ours; Lambda's runtimes ignore them, a runtime of one's own can fence and deduplicate with them.
const ATTEMPT: HeaderName = HeaderName::from_static("millstream-attempt");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("millstream-idempotency-key");
const LEASE_EPOCH: HeaderName = HeaderName::from_static("millstream-lease-epoch");
// For http functions, beside the ones above.
const MAPPING: HeaderName = HeaderName::from_static("millstream-mapping-id");
const STANDARD_IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What is handed to a process or posted to a server.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) request_id: RequestId,
    /// The request id as the process sends it back.
    pub(crate) id_text: String,
    pub(crate) timeout: Duration,
    pub(crate) body: Bytes,
    function_arn: Arc<str>,
    trace: Option<TraceContext>,
    attempt: u32,
    idempotency_key: Arc<str>,
    epoch: Option<Epoch>,
    mapping: Option<MappingId>,
}

impl Event {
    /// None if the batch is not JSON.
    pub(crate) fn new(invocation: Invocation) -> Option<Self> {
        let Payload::Json(body) = invocation.payload else {
            return None;
        };
        Some(Self {
            request_id: invocation.request_id,
            id_text: invocation.request_id.to_string(),
            timeout: invocation.timeout,
            body,
            function_arn: invocation.function_arn,
            trace: invocation.trace,
            attempt: invocation.attempt,
            idempotency_key: invocation.idempotency_key,
            mapping: invocation.mapping,
            epoch: invocation.lease.map(|lease| lease.epoch),
        })
    }

    /// The headers of the answer to `/next`, for a deadline in milliseconds since the Unix epoch. Runtimes expect a
    /// trace: without one the request id stands in, not sampled.
    pub(crate) fn runtime_headers(&self, deadline_ms: u64) -> HeaderMap {
        let mut headers = self.common_headers(deadline_ms);
        let stand_in = || {
            let id = self.request_id.0.simple().to_string();
            let (time, rest) = id.split_at_checked(8).unwrap_or((&id, ""));
            format!("Root=1-{time}-{rest};Sampled=0")
        };
        put(
            &mut headers,
            TRACE_ID,
            &self.amazon_trace_id().unwrap_or_else(stand_in),
        );
        headers
    }

    /// The headers of a POST of the event. A trace goes along in both forms, and only if there is one.
    pub(crate) fn request_headers(&self, deadline_ms: u64) -> HeaderMap {
        let mut headers = self.common_headers(deadline_ms);
        put(&mut headers, STANDARD_IDEMPOTENCY_KEY, &self.idempotency_key);
        if let Some(mapping) = &self.mapping {
            put(&mut headers, MAPPING, &mapping.to_string());
        }
        if let Some(id) = self.amazon_trace_id() {
            put(&mut headers, TRACE_ID, &id);
        }
        headers
    }

    fn common_headers(&self, deadline_ms: u64) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        put(&mut headers, REQUEST_ID, &self.id_text);
        put(&mut headers, FUNCTION_ARN, &self.function_arn);
        put(&mut headers, IDEMPOTENCY_KEY, &self.idempotency_key);
        if let Some(trace) = &self.trace {
            put(&mut headers, TRACEPARENT, &trace.traceparent);
            if let Some(state) = &trace.tracestate {
                put(&mut headers, TRACESTATE, state);
            }
        }
        headers.insert(DEADLINE, HeaderValue::from(deadline_ms));
        headers.insert(ATTEMPT, HeaderValue::from(self.attempt));
        if let Some(epoch) = self.epoch {
            headers.insert(LEASE_EPOCH, HeaderValue::from(epoch.0));
        }
        headers
    }

    /// The trace in AWS's form.
    fn amazon_trace_id(&self) -> Option<String> {
        self.trace.as_ref().and_then(TraceContext::amazon_trace_id)
    }
}

/// A name or key that no header can carry is left out rather than failing the invocation.
fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// `deadline` in milliseconds since the Unix epoch.
pub(crate) fn since_epoch_ms(deadline: Instant) -> u64 {
    let at = SystemTime::now() + deadline.saturating_duration_since(Instant::now());
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use millstream_types::{Incarnation, Lease, ShardId};

    pub(crate) fn invocation(id: u128) -> Invocation {
        Invocation {
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
            payload: Payload::Json(Bytes::from_static(b"{}")),
            window: None,
            request_id: RequestId::from_random(id),
            attempt: 2,
            timeout: Duration::from_secs(3),
            trace: None,
            idempotency_key: "m/shard/1-2".into(),
            mapping: Some(MappingId::from_random(1)),
            lease: Some(Lease {
                mapping: MappingId::from_random(1),
                shard: ShardId::new("shardId-000000000000").unwrap(),
                epoch: Epoch(7),
                incarnation: Incarnation::from_random(2),
            }),
        }
    }

    #[test]
    fn the_headers_that_runtimes_die_without_are_there() {
        let event = Event::new(invocation(5)).unwrap();
        let headers = event.runtime_headers(1_700_000_000_123);
        let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(text("Lambda-Runtime-Aws-Request-Id"), Some(event.id_text.clone()));
        assert_eq!(
            text("Lambda-Runtime-Deadline-Ms").as_deref(),
            Some("1700000000123")
        );
        assert_eq!(
            text("Lambda-Runtime-Invoked-Function-Arn").as_deref(),
            Some(&*event.function_arn)
        );
        assert!(text("Lambda-Runtime-Trace-Id").unwrap().starts_with("Root=1-"));
        assert_eq!(text("Millstream-Attempt").as_deref(), Some("2"));
        assert_eq!(text("Millstream-Lease-Epoch").as_deref(), Some("7"));
        assert_eq!(text("traceparent"), None);
    }

    #[test]
    fn a_runtime_gets_a_trace_in_both_forms() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let traced = Invocation {
            trace: Some(TraceContext {
                traceparent: parent.into(),
                tracestate: Some("a=1".into()),
            }),
            ..invocation(5)
        };
        let headers = Event::new(traced).unwrap().runtime_headers(0);
        let amazon = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
        for (name, value) in [
            ("lambda-runtime-trace-id", amazon),
            ("traceparent", parent),
            ("tracestate", "a=1"),
        ] {
            assert_eq!(headers[name], value);
        }
    }

    #[test]
    fn a_post_carries_what_a_server_needs_and_a_trace_only_if_there_is_one() {
        let mut sent = invocation(5);
        let names = |sent: &Invocation| {
            let headers = Event::new(sent.clone()).unwrap().request_headers(1);
            let text = |name: &HeaderName| headers[name].to_str().unwrap().to_owned();
            let mut all: Vec<_> = headers.keys().map(|n| (n.to_string(), text(n))).collect();
            all.sort();
            all
        };
        let id = sent.request_id.to_string();
        let mapping = MappingId::from_random(1).to_string();
        let mut expected: Vec<(String, String)> = [
            ("content-type", "application/json"),
            ("idempotency-key", "m/shard/1-2"),
            ("lambda-runtime-aws-request-id", &id),
            ("lambda-runtime-deadline-ms", "1"),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:000000000000:function:f",
            ),
            ("millstream-attempt", "2"),
            ("millstream-idempotency-key", "m/shard/1-2"),
            ("millstream-lease-epoch", "7"),
            ("millstream-mapping-id", &mapping),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        assert_eq!(names(&sent), expected);

        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        sent.trace = Some(TraceContext {
            traceparent: parent.into(),
            tracestate: Some("a=b".into()),
        });
        let amazon = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
        for (name, value) in [
            ("traceparent", parent),
            ("tracestate", "a=b"),
            ("lambda-runtime-trace-id", amazon),
        ] {
            expected.push((name.to_owned(), value.to_owned()));
        }
        expected.sort();
        assert_eq!(names(&sent), expected);

        // Queues are not leased.
        sent.lease = None;
        expected.retain(|(name, _)| name != "millstream-lease-epoch");
        assert_eq!(names(&sent), expected);
        sent.mapping = None;
        expected.retain(|(name, _)| name != "millstream-mapping-id");
        assert_eq!(names(&sent), expected);

        sent.idempotency_key = "no\nheader".into();
        assert!(
            !names(&sent)
                .iter()
                .any(|(name, _)| name.ends_with("idempotency-key"))
        );
    }
}
