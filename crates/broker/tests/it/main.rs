//! The broker on a real database: everything that needs RocksDB under it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod destination;
mod faults;
mod model;
mod pin;
mod positions;
mod put;
mod queue;
mod reshard;
mod retention;
mod rig;
mod streams;
mod wake;
