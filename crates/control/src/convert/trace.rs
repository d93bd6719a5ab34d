//! Trace contexts of records and messages, in and out.

use crate::refusal::Refusal;
use millstream_api::v1;
use millstream_telemetry::origin::Origin;
use millstream_types::TraceContext;
use tonic::metadata::MetadataMap;

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

/// The context in the call's metadata, as instrumented clients send it. One that cannot be read is none, as W3C Trace
/// Context wants it: whatever stands between client and server may have written it.
pub(crate) fn of_call(metadata: &MetadataMap) -> Option<TraceContext> {
    let text = |name| metadata.get(name).and_then(|value| value.to_str().ok());
    let origin = Origin::W3c {
        parent: text("traceparent")?,
        state: text("tracestate"),
    };
    origin.context()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_is_taken() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (headers, expected) in [
            (&[][..], None),
            (&[("traceparent", parent)][..], Some((parent, None))),
            (
                &[("traceparent", parent), ("tracestate", "a=1")][..],
                Some((parent, Some("a=1"))),
            ),
            (&[("tracestate", "a=1")][..], None),
            (&[("traceparent", "00-0-0-0"), ("tracestate", "a=1")][..], None),
        ] {
            let mut metadata = MetadataMap::new();
            for (name, value) in headers {
                metadata.insert(*name, value.parse().unwrap());
            }
            let found = of_call(&metadata);
            let found = found.as_ref().map(|c| (&*c.traceparent, c.tracestate.as_deref()));
            assert_eq!(found, expected, "{headers:?}");
        }
    }
}
