//! The invoker of Lambda functions over the real SDK, against a server that answers as a script says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod script;
mod wire;
