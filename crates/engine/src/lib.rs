//! The engine: actors that own shards and connect the pure machines of `core` with the ports.
//!
//! [`manage`] is what front doors call; [`view`] is what they show; the actors are private.

pub mod manage;
pub mod view;
