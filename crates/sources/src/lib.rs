//! Streams and queues of AWS, and of what speaks its protocols.
//!
//! [`Connections`] says which ARNs are reached where and as whom. [`Kinesis`] and [`DynamoDbStreams`] are the streams of
//! one connection.

mod connection;
mod dynamodb;
mod kinesis;
mod pace;
mod polled;

pub use connection::{
    CONNECT_TIMEOUT, Connection, ConnectionProblem, ConnectionSettings, Connections, Connector, Fault,
    FaultKind, MAX_ATTEMPTS, MAX_CONNECTIONS, OPERATION_TIMEOUT, READ_TIMEOUT,
};
pub use dynamodb::DynamoDbStreams;
pub use kinesis::Kinesis;
pub use polled::SharedShards;
