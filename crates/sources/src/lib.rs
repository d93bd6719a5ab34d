//! Streams and queues of AWS, and of what speaks its protocols.

mod dynamodb;
mod kinesis;
mod pace;
mod polled;

pub use dynamodb::DynamoDbStreams;
pub use kinesis::Kinesis;
pub use pace::Paces;
