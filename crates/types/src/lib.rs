//! Values only: what every part of Millstream says to every other part.
//!
//! Nothing here decides, waits or does I/O. A type moves down into this crate when its second user
//! appears; what is written to disk lives in [`durable`].

pub mod applied;
pub mod arn;
pub mod commit;
pub mod destination;
pub mod durable;
pub mod filter;
pub mod function;
pub mod ids;
pub mod invocation;
pub mod lambda;
pub mod lease;
pub mod mapping;
pub mod message;
pub mod net;
pub mod queue;
pub mod record;
pub mod reference;
pub mod sequence;
pub mod stream;
pub mod tags;
pub mod time;

pub use applied::Applied;
pub use arn::SourceArn;
pub use destination::{DestinationArn, DestinationKind};
pub use filter::{FilterCriteria, OnUnmatched};
pub use function::{Function, FunctionSpec, HttpTarget, LambdaTarget, ProcessTarget, Target};
pub use ids::{
    FunctionName, Incarnation, MappingId, MappingName, Namespace, QueueName, RequestId, ShardId, StreamName,
};
pub use invocation::{Invocation, Outcome, Payload, ResponseContext, WindowEnvelope};
pub use lease::{Epoch, Lease};
pub use mapping::{Desired, Mapping, MappingSpec, ProvisionedPollers, StartPin, StartingPosition};
pub use message::{Message, Receipt};
pub use queue::QueueSpec;
pub use record::{Record, TraceContext};
pub use reference::{FoundFunction, FunctionRef, LambdaFunction};
pub use sequence::{Mark, Position, Seq};
pub use stream::{ShardInfo, StreamSpec};
pub use tags::Tags;
pub use time::{Mono, Now, Wall};
