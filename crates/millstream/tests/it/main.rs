//! The embedding facade from outside, on a real data directory.
#![allow(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute only, not their helpers"
)]

mod example;
mod facade;
mod http;
mod queues;
mod windows;
