//! Connections: which ARNs are reached where, as whom, and with how much patience.
//!
//! [`ConnectionSettings`] is what people write, [`Connections`] is the same checked, and a [`Connector`] makes of it the
//! configuration that a client of the SDK takes. The first connection whose pattern fits an ARN serves it. What the SDK
//! would take from the environment by itself (endpoints, regions, retries) is not taken: what is not said by a connection
//! has the value that is documented here. Only the default chain of credentials looks around, as it is asked to.

mod connector;
mod credentials;
mod endpoint;
mod fault;
mod pattern;
mod settings;

pub use connector::{CONNECT_TIMEOUT, Connector, MAX_ATTEMPTS, OPERATION_TIMEOUT, READ_TIMEOUT};
pub use fault::{Fault, FaultKind};
pub use settings::{Connection, ConnectionProblem, ConnectionSettings, Connections, MAX_CONNECTIONS};
