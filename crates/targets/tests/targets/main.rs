//! The targets against real processes and real closures: every outcome, every bound. The functions are small
//! Python programs in `tests/functions`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests: a failure is a failed test

mod bounds;
mod closures;
mod outcomes;
mod output;
mod parent;
mod rig;
