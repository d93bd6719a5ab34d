//! Traces and metrics: what they are called, and how they leave the process.
//!
//! [`names`] has every span, attribute and metric name. [`origin`] reads the trace contexts that records and messages
//! came with, [`attempt`] is the span of one attempt, [`metrics`] turns values into Prometheus' text. Behind the
//! feature `export`, `export` sends spans by OTLP, switched on by the standard `OTEL_…` variables.
//!
//! Nothing here decides anything, and nothing here is waited for: without an exporter a span costs one comparison, and
//! with one that cannot keep up, spans are lost and records are not.

pub mod attempt;
#[cfg(feature = "export")]
pub mod export;
pub mod metrics;
pub mod names;
pub mod origin;
