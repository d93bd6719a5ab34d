//! Export of spans by OTLP: in batches, from a thread of its own, never waited for.
//!
//! The queue is bounded, and full it drops spans. A collector that is gone costs spans, a line in the log a minute,
//! and nothing else.

mod flow;
mod transport;
mod variables;

pub use variables::{Problem, Protocol, Settings};

use crate::metrics::Scrape;
use crate::names::span;
use flow::{Bounded, Flow, Watched};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};
use std::sync::Arc;
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

/// What this service is called unless a variable says otherwise.
const SERVICE: &str = "millstream";

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// OpenTelemetry's exporter cannot be made of what the variables say.
    #[error("spans cannot be exported: {0}")]
    Build(#[from] ExporterBuildError),
}

/// The exporter of this process.
#[derive(Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
    flow: Arc<Flow>,
}

impl Exporter {
    /// Starts exporting, if the variables ask for it; what `settings` does not have is read from them again by
    /// OpenTelemetry's crates.
    ///
    /// Must be called within a tokio runtime of several threads, which lives until [`Exporter::shutdown`].
    ///
    /// # Errors
    /// [`ExportError`], if what the variables say makes no exporter.
    pub fn start(settings: &Settings, version: &'static str) -> Result<Option<Self>, ExportError> {
        if !settings.enabled {
            return Ok(None);
        }
        let flow = Arc::new(Flow::default());
        let exporter = match settings.protocol {
            Protocol::Grpc => SpanExporter::builder().with_tonic().build()?,
            Protocol::HttpProtobuf => SpanExporter::builder()
                .with_http()
                .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
                .with_http_client(transport::OnRuntime::new(settings.timeout, flow.clone()))
                .build()?,
        };
        let batches = BatchSpanProcessor::builder(Watched::new(exporter, flow.clone())).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded::new(batches, flow.clone(), settings.queue))
            .with_resource(resource(version))
            .build();
        Ok(Some(Self { provider, flow }))
    }

    /// What makes spans of `tracing`'s, of those that are to be exported only: libraries have spans too, and the
    /// actors' live as long as the process.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(span::TARGET, tracing::Level::INFO))
    }

    /// What became of spans so far.
    pub fn collect(&self, scrape: &mut Scrape) {
        self.flow.collect(scrape);
    }

    /// Exports what waits, within `deadline`, and ends. Blocks: not to be called on a runtime's thread.
    pub fn shutdown(&self, deadline: Duration) {
        let ended = self.provider.shutdown_with_timeout(deadline);
        let waiting = self.flow.waiting();
        if ended.is_err() || waiting > 0 {
            tracing::warn!(?deadline, waiting, "the last spans could not be exported in time");
        }
    }
}

/// What is told of this process with every batch.
fn resource(version: &'static str) -> Resource {
    let detected = Resource::builder().build();
    let name = detected.get(&Key::from_static_str("service.name"));
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", version));
    // The SDK's own default says that nobody said anything.
    if name.is_none_or(|name| name.as_str().starts_with("unknown_service")) {
        builder.with_service_name(SERVICE).build()
    } else {
        builder.build()
    }
}

#[cfg(test)]
mod tests;
