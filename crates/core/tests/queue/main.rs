//! The queue machine from the outside: every rule as a table of exact orders, and a seeded simulation with faults that
//! judges every invariant after every step.

#![allow(unreachable_pub, reason = "modules of one test binary")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    clippy::print_stderr
)]

mod basics;
mod batching;
mod draining;
mod failures;
mod filtering;
mod groups;
mod history;
mod polling;
mod rig;
mod scaling;
mod sim;
mod throttles;
mod timeline;
