//! The span of one attempt: one call of a function with one batch, linked to where its records came from.

use crate::names::{attribute, error, span, verdict};
use crate::origin::{self, Origin};
use millstream_types::arn::SourceKind;
use millstream_types::{MappingId, MappingName, Namespace, RequestId, ShardId, SourceArn, TraceContext};
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Most links of one span; OpenTelemetry's own default.
const MOST_LINKS: usize = 128;
/// Most message groups that are named.
const MOST_GROUPS: usize = 10;

/// What all attempts of one consumer have in common. Made once per consumer, so that an attempt copies pointers.
#[derive(Clone, Debug)]
pub struct Subject {
    name: Arc<str>,
    attributes: Vec<KeyValue>,
}

/// Of what a [`Subject`] is made.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The namespace of mapping and function.
    pub namespace: &'a Namespace,
    /// The mapping's name.
    pub mapping: &'a MappingName,
    /// The mapping's id.
    pub id: MappingId,
    /// Its source.
    pub source: &'a SourceArn,
    /// The shard, of a stream.
    pub shard: Option<&'a ShardId>,
    /// The function's name.
    pub function: &'a str,
    /// The function's ARN.
    pub function_arn: &'a Arc<str>,
}

/// What is particular to one attempt.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The id of the request.
    pub request_id: RequestId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How many records or messages.
    pub records: usize,
    /// The lane, of a shard.
    pub lane: Option<u8>,
}

/// How an attempt ended, in the words of [`crate::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending<'a> {
    /// One of [`verdict`].
    pub verdict: &'static str,
    /// One of [`error`], if it ended badly.
    pub error: Option<&'static str>,
    /// For people: what the function called its error.
    pub description: &'a str,
}

/// The span of an attempt that runs. One that is dropped without [`AttemptSpan::end`] was abandoned.
#[derive(Debug)]
#[must_use = "an attempt that ended is told so"]
pub struct AttemptSpan(Span);

impl Subject {
    /// For a consumer.
    #[must_use]
    pub fn new(about: &About<'_>) -> Self {
        let source: Arc<str> = about.source.resource_name().into();
        let text = |text: &str| StringValue::from(Arc::<str>::from(text));
        let system = match about.source.kind() {
            SourceKind::Kinesis => attribute::SYSTEM_STREAM,
            SourceKind::DynamoDb => attribute::SYSTEM_TABLE,
            SourceKind::Sqs { .. } => attribute::SYSTEM_QUEUE,
        };
        let mut attributes = vec![
            KeyValue::new(attribute::MESSAGING_SYSTEM, system),
            KeyValue::new(attribute::MESSAGING_OPERATION_NAME, span::PROCESS),
            KeyValue::new(attribute::MESSAGING_OPERATION_TYPE, span::PROCESS),
            KeyValue::new(
                attribute::MESSAGING_DESTINATION_NAME,
                StringValue::from(source.clone()),
            ),
            KeyValue::new(attribute::MESSAGING_CONSUMER_GROUP, text(about.mapping.as_str())),
            KeyValue::new(attribute::FAAS_TRIGGER, attribute::TRIGGER_PUBSUB),
            KeyValue::new(attribute::FAAS_INVOKED_NAME, text(about.function)),
            KeyValue::new(
                attribute::LAMBDA_INVOKED_ARN,
                StringValue::from(about.function_arn.clone()),
            ),
            KeyValue::new(attribute::LAMBDA_MAPPING_ID, text(&about.id.to_string())),
            KeyValue::new(attribute::NAMESPACE, text(about.namespace.as_str())),
        ];
        if let Some(shard) = about.shard {
            attributes.push(KeyValue::new(
                attribute::MESSAGING_PARTITION,
                text(shard.as_str()),
            ));
        }
        Self {
            name: format!("{} {source}", span::PROCESS).into(),
            attributes,
        }
    }
}

impl AttemptSpan {
    /// Begins the span of an attempt that is about to be sent, linked to where its records came from; and the context
    /// that the function is to be given.
    ///
    /// That is the span's own. Where spans are not recorded, records that all carry one and the same context pass it
    /// on, so that a trace does not break off at a node without an exporter; others pass on none.
    pub fn begin<'a, I>(subject: &Subject, call: &Call, origins: I) -> (Self, Option<TraceContext>)
    where
        I: IntoIterator<Item = Option<Origin<'a>>>,
    {
        let span = tracing::info_span!(
            target: span::TARGET, parent: None, "attempt",
            otel.name = %subject.name, otel.kind = "consumer"
        );
        if span.is_disabled() {
            return (Self(span), origin::shared(origins));
        }
        for attribute in &subject.attributes {
            span.set_attribute(attribute.key.clone(), attribute.value.clone());
        }
        span.set_attribute(attribute::FAAS_INVOCATION_ID, call.request_id.to_string());
        span.set_attribute(attribute::ATTEMPT, i64::from(call.attempt));
        span.set_attribute(attribute::MESSAGING_BATCH_COUNT, count(call.records));
        if let Some(lane) = call.lane {
            span.set_attribute(attribute::LANE, i64::from(lane));
        }
        let origins: Vec<Option<Origin<'a>>> = origins.into_iter().collect();
        link(&span, &origins);
        // Starts the span: whether it is sampled is decided here.
        let context = span.context();
        let context = context.span().span_context().clone();
        let handed_on = if context.is_valid() {
            Some(origin::to_context(&context))
        } else {
            origin::shared(origins)
        };
        (Self(span), handed_on)
    }

    /// Names the message groups of the batch.
    pub fn message_groups<'a>(&self, groups: impl Iterator<Item = &'a str>) {
        if self.0.is_disabled() {
            return;
        }
        let groups: BTreeSet<&str> = groups.collect();
        if groups.is_empty() {
            return;
        }
        let named = groups.iter().take(MOST_GROUPS);
        let named = named
            .map(|group| StringValue::from((*group).to_owned()))
            .collect();
        self.0
            .set_attribute(attribute::MESSAGE_GROUPS, Value::Array(Array::String(named)));
        self.0
            .set_attribute(attribute::MESSAGE_GROUP_COUNT, count(groups.len()));
    }

    /// The attempt ended.
    pub fn end(mut self, ending: &Ending<'_>) {
        finish(&std::mem::replace(&mut self.0, Span::none()), ending);
    }
}

impl Drop for AttemptSpan {
    fn drop(&mut self) {
        finish(
            &self.0,
            &Ending {
                verdict: verdict::ABANDONED,
                error: Some(error::ABANDONED),
                description: "",
            },
        );
    }
}

fn finish(span: &Span, ending: &Ending<'_>) {
    if span.is_disabled() {
        return;
    }
    span.set_attribute(attribute::VERDICT, ending.verdict);
    if let Some(error) = ending.error {
        span.set_attribute(attribute::ERROR_TYPE, error);
        span.set_status(Status::error(ending.description.to_owned()));
    }
}

/// Links the span to each distinct context, as many as a span may have; one that cannot be read is no context.
fn link(span: &Span, origins: &[Option<Origin<'_>>]) {
    let mut seen = BTreeSet::new();
    let (mut links, mut left_out, mut last) = (0, 0, None);
    for origin in origins.iter().copied().flatten() {
        // Records of one put follow each other.
        if last.replace(origin) == Some(origin) || !seen.insert(origin) {
            continue;
        }
        match origin.span_context() {
            Some(_) if links == MOST_LINKS => left_out += 1,
            Some(context) => {
                span.add_link(context);
                links += 1;
            }
            None => {}
        }
    }
    if left_out > 0 {
        span.set_attribute(attribute::LINKS_LEFT_OUT, count(left_out));
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
