//! The built binary from outside: what users run, killed, stopped, misused, and judged by what it left behind.
//!
//! The binary is `millstream` next to these tests, or the one that `MILLSTREAM_BIN` names.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in a test a panic is the report
#![allow(clippy::print_stdout, clippy::print_stderr)] // shown only if a test fails, or if asked for

mod apply;
mod aws;
mod aws_lambda;
mod cli;
mod client;
mod collector;
mod completion;
mod connections;
mod dev;
mod disturb;
mod docs;
mod drain;
mod durability;
mod fan_out_real;
mod filters;
mod foreign;
mod full_disk;
mod function;
mod http;
mod idle;
mod kill;
mod kinesis_local;
mod linters;
mod many;
mod million;
mod ministack;
mod misbehave;
mod notify;
mod operations;
mod panic;
mod powertools;
mod proxy;
mod queues;
mod semantics;
mod server;
mod sqs_kill;
mod sqs_real;
mod strace;
mod streams_kill;
mod streams_real;
mod traces;
mod wait;
mod windows;
