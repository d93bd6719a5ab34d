//! How functions are reached: closures of the embedding program (`in-process`), child processes that speak the
//! Lambda Runtime API (`process`), and servers that take the event as a POST (`http`). Functions of AWS Lambda
//! (`lambda`) are called by an adapter of their own that the factory is given, so that nobody has to build the AWS SDK.
//!
//! A target tells what happened to one attempt ([`millstream_types::Outcome`]); what that means for the batch
//! is the engine's verdict. Two rules hold for every target here:
//! * lack of capacity is told apart from failure: an attempt whose code never ran ends as `Throttled`;
//! * an attempt that ends as a timeout or a broken protocol has really ended: its process group is dead and
//!   reaped before the outcome is told, so that a retry never overlaps with it. The exceptions are a closure
//!   that blocks its thread, which nothing can stop, and a server of somebody else's: its connection is closed, and
//!   it may take no notice.
//!
//! A function's process is bounded in what it can do by accident. It is **not** a sandbox for hostile code.

mod body;
mod event;
mod factory;
mod http;
mod in_process;
mod limited;
mod places;
mod process;
mod text;

pub use factory::Factory;
pub use http::{HttpOptions, HttpReach};
pub use in_process::{Batch, BoxError, CallContext, InProcess, Item, JsonEvent, Response, Window};
pub use process::PoolOptions;
