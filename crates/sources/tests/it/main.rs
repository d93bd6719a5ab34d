//! Queues, topics and buckets of a server that speaks the protocols of AWS and that nobody here wrote.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in a test a panic is the report

mod destinations;
mod faults;
mod ministack;
mod queues;
