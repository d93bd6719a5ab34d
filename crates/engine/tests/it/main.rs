//! The whole tree of actors over in-memory ports.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on shall fail there"
)]

mod faults;
mod filters;
mod life;
mod pause;
mod queue;
mod table;
mod windows;
mod world;
