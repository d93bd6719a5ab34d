//! Streams and queues of AWS, and of what speaks its protocols.
//!
//! [`Connections`] says which ARNs are reached where and as whom; [`AwsSources`] finds what an ARN names among them.
//! [`Kinesis`] and [`DynamoDbStreams`] are the streams of one connection.

mod aws;
mod clock;
mod connection;
mod destinations;
mod dynamodb;
mod kinesis;
mod lambda;
mod pace;
mod polled;
mod sqs;

pub use aws::AwsSources;
pub use connection::{
    CONNECT_TIMEOUT, Connection, ConnectionProblem, ConnectionSettings, Connections, Connector, Fault,
    FaultKind, MAX_ATTEMPTS, MAX_CONNECTIONS, OPERATION_TIMEOUT, READ_TIMEOUT,
};
pub use destinations::AwsDestinations;
pub use dynamodb::DynamoDbStreams;
pub use kinesis::Kinesis;
pub use lambda::LambdaFunctions;
pub use polled::SharedShards;
