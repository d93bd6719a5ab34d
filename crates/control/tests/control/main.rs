//! The services over a real loopback connection, on fakes of the ports.

#![allow(clippy::unwrap_used, clippy::expect_used)] // tests, their helpers included, fail by panicking

mod aws;
mod fake_queues;
mod fakes;
mod functions;
mod history;
mod limits;
mod mappings;
mod ops;
mod queues;
mod reflection;
mod streams;
mod watch;
