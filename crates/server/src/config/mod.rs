//! The server's settings: defaults < file < environment < flags, every problem reported at once.
//!
//! One table, [`KEYS`], holds name, default and meaning of each; flags, environment variables, the check of the
//! file and the reference in `docs/configuration.md` all come from it, so that none of them can be forgotten.

mod aws;
mod connections;
mod file;
mod keys;
mod problem;
mod reference;
mod resolve;
mod server;
mod suggest;

pub(crate) use keys::KEYS;
pub(crate) use problem::Problems;
pub(crate) use reference::reference;
pub(crate) use resolve::{Inputs, Resolved, resolve};
pub(crate) use server::{LogFormat, ServerConfig};
pub(crate) use suggest::hint;
