//! The shard machine from the outside: every observation of semantics 4 to 8 as a table of exact invocations,
//! what it keeps over restarts, and a seeded simulation with faults that judges every invariant after every step.

#![allow(unreachable_pub, reason = "modules of one test binary")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    clippy::print_stderr
)]

mod age;
mod batching;
mod commits;
mod failures;
mod filtering;
mod held;
mod lanes;
mod reports;
mod restart;
mod rig;
mod sim;
mod windows;
mod windows_change;
mod windows_failures;
