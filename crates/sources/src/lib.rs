//! Streams and queues of AWS, and of what speaks its protocols.
//!
//! [`Connections`] says which ARNs are reached where and as whom; [`AwsSources`] finds what an ARN names among them.

mod aws;
mod connection;
mod destinations;
mod lambda;
mod sqs;

pub use aws::AwsSources;
pub use connection::{
    CONNECT_TIMEOUT, Connection, ConnectionProblem, ConnectionSettings, Connections, Connector, Fault,
    FaultKind, MAX_ATTEMPTS, MAX_CONNECTIONS, OPERATION_TIMEOUT, READ_TIMEOUT,
};
pub use destinations::AwsDestinations;
pub use lambda::LambdaFunctions;
