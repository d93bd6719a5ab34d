//! Where a record or message came from: the trace context it carries, in whichever form it carries one.

use millstream_types::message::AttributeValue;
use millstream_types::{Message, Record, TraceContext};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use std::str::FromStr;

/// The message attribute that carries a W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// Its companion.
const TRACESTATE: &str = "tracestate";
/// Longest `traceparent` and X-Ray header that are looked at.
const MAX_PARENT_BYTES: usize = 256;
/// Longest `tracestate` that is passed on.
const MAX_STATE_BYTES: usize = 512;

/// A trace context as it was found; not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin<'a> {
    /// W3C Trace Context.
    W3c {
        /// `traceparent`.
        parent: &'a str,
        /// `tracestate`, if there is one.
        state: Option<&'a str>,
    },
    /// AWS X-Ray: `Root=1-…-…;Parent=…;Sampled=…`.
    XRay(&'a str),
}

impl<'a> Origin<'a> {
    /// What a record was put with.
    #[must_use]
    pub fn of_record(record: &'a Record) -> Option<Self> {
        record.trace.as_ref().map(Self::of_context)
    }

    /// What a message was sent with, the first of these that is there: the trace context of the send; the system
    /// attribute `AWSTraceHeader`; the message attribute `traceparent`, with `tracestate`.
    #[must_use]
    pub fn of_message(message: &'a Message) -> Option<Self> {
        let sent = message.trace.as_ref().map(Self::of_context);
        let header = || message.system.trace_header.as_deref().map(Origin::XRay);
        let text = |name| match &message.attributes.get(name)?.value {
            AttributeValue::Text(text) => Some(&**text),
            AttributeValue::Binary(_) => None,
        };
        let attribute = || {
            text(TRACEPARENT).map(|parent| Origin::W3c {
                parent,
                state: text(TRACESTATE),
            })
        };
        sent.or_else(header).or_else(attribute)
    }

    fn of_context(context: &'a TraceContext) -> Self {
        Self::W3c {
            parent: &context.traceparent,
            state: context.tracestate.as_deref(),
        }
    }

    /// The context, if it can be read and names a trace and a span.
    #[must_use]
    pub fn span_context(self) -> Option<SpanContext> {
        let context = match self {
            Self::W3c { parent, state } => w3c(parent, state)?,
            Self::XRay(header) => x_ray(header)?,
        };
        context.is_valid().then_some(context)
    }

    /// The same in the one form in which contexts are handed on, if it can be read.
    #[must_use]
    pub fn context(self) -> Option<TraceContext> {
        self.span_context().map(|context| to_context(&context))
    }
}

/// The context that all of them carry: none if one carries none or another, or if it cannot be read.
pub fn shared<'a>(origins: impl IntoIterator<Item = Option<Origin<'a>>>) -> Option<TraceContext> {
    let mut origins = origins.into_iter();
    let first = origins.next()??;
    origins
        .all(|origin| origin == Some(first))
        .then(|| first.context())?
}

/// A span's context in the form in which contexts are handed on.
pub(crate) fn to_context(context: &SpanContext) -> TraceContext {
    let sampled = u8::from(context.is_sampled());
    let (trace, span) = (context.trace_id(), context.span_id());
    let state = context.trace_state().header();
    TraceContext {
        traceparent: format!("00-{trace}-{span}-{sampled:02x}").into(),
        tracestate: (!state.is_empty()).then(|| state.into()),
    }
}

/// Reads `traceparent` as W3C Trace Context says: any version but `ff`, of which version 00 ends after the flags; lower
/// case only. A `tracestate` that cannot be read is left out, as that recommendation wants it.
fn w3c(parent: &str, state: Option<&str>) -> Option<SpanContext> {
    let parent = parent.trim();
    if parent.len() > MAX_PARENT_BYTES {
        return None;
    }
    let mut parts = parent.split('-');
    let version = lower_hex(parts.next()?, 2)?;
    let trace = lower_hex(parts.next()?, 32)?;
    let span = lower_hex(parts.next()?, 16)?;
    let flags = lower_hex(parts.next()?, 2)?;
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let sampled = u8::from_str_radix(flags, 16).ok()? & TraceFlags::SAMPLED.to_u8();
    let state = state
        .filter(|state| state.len() <= MAX_STATE_BYTES)
        .and_then(|state| TraceState::from_str(state).ok());
    Some(SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(sampled),
        true,
        state.unwrap_or_default(),
    ))
}

fn lower_hex(text: &str, length: usize) -> Option<&str> {
    let lower = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    (text.len() == length && text.bytes().all(lower)).then_some(text)
}

/// Reads the members in any order, and leaves out those it does not know (`Self`, `Lineage`). What nobody decided on
/// (`Sampled=?`, or no such member) counts as not sampled.
fn x_ray(header: &str) -> Option<SpanContext> {
    if header.len() > MAX_PARENT_BYTES {
        return None;
    }
    let (mut trace, mut span, mut flags) = (None, None, TraceFlags::NOT_SAMPLED);
    for (name, value) in header
        .split(';')
        .filter_map(|member| member.trim().split_once('='))
    {
        match name {
            "Root" => trace = Some(x_ray_root(value)?),
            "Parent" => span = Some(SpanId::from_hex(hex(value, 16)?).ok()?),
            "Sampled" if value == "1" => flags = TraceFlags::SAMPLED,
            _ => {}
        }
    }
    Some(SpanContext::new(trace?, span?, flags, true, TraceState::NONE))
}

/// `1-<8 hexadecimal digits>-<24 of them>`.
fn x_ray_root(root: &str) -> Option<TraceId> {
    let (time, rest) = root.strip_prefix("1-")?.split_once('-')?;
    let id = [hex(time, 8)?, hex(rest, 24)?].concat();
    TraceId::from_hex(&id).ok()
}

fn hex(text: &str, length: usize) -> Option<&str> {
    (text.len() == length && text.bytes().all(|c| c.is_ascii_hexdigit())).then_some(text)
}

#[cfg(test)]
mod tests;
