//! Millstream, to embed: durable streams mapped to functions with the semantics of AWS Lambda's event source
//! mappings.
//!
//! [`System`] is the composition root: one node with its own durable streams, as the server runs it.

mod clock;
mod system;

pub use clock::{SystemClock, SystemEntropy};
pub use millstream_engine::failpoint;
pub use millstream_engine::{NodeOptions, Shutdown, manage, view};
pub use millstream_store::{DbOptions, Health, JournalOptions};
pub use millstream_targets::{InProcess, PoolOptions};
pub use system::{StartError, System, SystemOptions};
