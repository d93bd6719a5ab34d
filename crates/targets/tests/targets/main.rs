//! The targets against real processes, real closures and real servers: every outcome, every bound. The functions are small
//! Python programs in `tests/functions`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests: a failure is a failed test

mod bounds;
mod closures;
mod http;
mod outcomes;
mod output;
mod parent;
mod rig;
