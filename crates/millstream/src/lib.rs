//! Millstream inside a Rust program: durable streams and queues mapped to closures, with the semantics of AWS Lambda's event
//! source mappings. Records survive crashes, are batched, retried, split and handled in order per key.
//!
//! ```no_run
//! use millstream::{Batch, Millstream};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let running = Millstream::builder()
//!     .data_dir("./data")
//!     .stream("orders", 4)
//!     .function("bill", |batch: Batch| async move {
//!         println!("{} orders", batch.records().len());
//!         Ok::<_, std::io::Error>(())
//!     })
//!     .mapping("billing", |m| m.stream("orders").function("bill").batch_size(100))
//!     .start()
//!     .await?;
//! running.put("orders", "customer-17", r#"{"item": 3}"#).await?;
//! running.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`Builder`] declares what there is to be, [`Running`] is what runs. Below them [`Assembly`] is the composition
//! root: the one place that names the concrete store, broker and targets. The server uses it too.
//!
//! **Delivery is at least once**: a closure sees a record again after a failure, a crash, or a shutdown that had
//! to cut it off. [`Batch`] carries an idempotency key.

mod assembly;
mod builder;
mod declared;
mod error;
mod mapping;
mod message;
mod metrics;
mod routed;
mod running;
pub mod sample;
mod system;

/// The examples in the documents for people, compiled with this crate's own.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../../docs/embedding.md")]
mod documents {}

// The bugs that the simulation of the engine is to find are for that simulation alone.
const _: () = assert!(
    !millstream_engine::KNOWN_BUGS,
    "the cargo feature `mutants` is on: no program may be made of such an engine"
);

pub use assembly::{Assembly, AssemblyOptions};
pub use builder::{Builder, Millstream};
pub use declared::FunctionSettings;
pub use error::{Invalid, PutFailed, SendFailed, StartError, WaitError};
pub use mapping::MappingSettings;
pub use message::NewMessage;
pub use metrics::Metrics;
pub use running::Running;
pub use system::{NoEntropy, SystemClock, SystemEntropy};

pub use millstream_engine::{Shutdown, failpoint, filter, manage, view};
pub use millstream_ports::{
    HashKey, PutEntry, PutError, PutReceipt, QueueDescription, QueueError, Queues, SendEntry, SendError,
    SendReceipt, ShardDescription, StreamDescription, StreamError, Streams,
};
#[cfg(feature = "aws")]
pub use millstream_sources::{Connection, ConnectionProblem, ConnectionSettings, Connections};
pub use millstream_store::Health;
pub use millstream_targets::{
    Batch, BoxError, CallContext, HttpOptions, HttpReach, InProcess, Item, JsonEvent, PoolOptions, Response,
    Window,
};
pub use millstream_types as types;
pub use millstream_types::queue::Redrive;
pub use millstream_types::{Message, OnUnmatched, QueueSpec, Record, StreamSpec};
