//! Streams read through the ports as the engine reads them: from servers that others wrote, and from a scripted one
//! for what no server does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod double;
mod drive;
mod dynamodb;
mod dynamodb_faults;
mod fan_out;
mod http;
mod kinesis;
mod kinesis_faults;
mod servers;
