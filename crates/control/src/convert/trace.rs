//! Trace contexts of records and messages, in and out.

use crate::refusal::Refusal;
use millstream_api::v1;
use millstream_types::TraceContext;

const MAX_TRACEPARENT: usize = 256;
const MAX_TRACESTATE: usize = 512;

/// The trace at `field`, if there is one.
pub(crate) fn read(field: &str, t: Option<&v1::TraceContext>) -> Result<Option<TraceContext>, Refusal> {
    let Some(t) = t else { return Ok(None) };
    let refused = |name, value, allowed| Err(Refusal::new(format!("{field}.{name}"), value, allowed));
    if t.traceparent.is_empty() || t.traceparent.len() > MAX_TRACEPARENT {
        return refused("traceparent", &t.traceparent, "1 to 256 bytes");
    }
    if t.tracestate.len() > MAX_TRACESTATE {
        return refused("tracestate", &t.tracestate, "at most 512 bytes");
    }
    let tracestate = (!t.tracestate.is_empty()).then(|| t.tracestate.as_str().into());
    Ok(Some(TraceContext {
        traceparent: t.traceparent.as_str().into(),
        tracestate,
    }))
}

/// The same, out.
pub(crate) fn to_api(t: Option<&TraceContext>) -> Option<v1::TraceContext> {
    t.map(|t| v1::TraceContext {
        traceparent: t.traceparent.to_string(),
        tracestate: t.tracestate.as_deref().unwrap_or_default().to_owned(),
    })
}
