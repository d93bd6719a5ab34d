//! Queues of a server that speaks SQS' protocol and that nobody here wrote.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in a test a panic is the report

mod destinations;
mod ministack;
mod queues;
