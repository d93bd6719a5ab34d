//! Checks of what users set, against AWS's ranges (semantics, section 2): all violations at once, in AWS's
//! words where those are known (2.3).

mod filter;
mod function;
mod mapping;
mod pollers;
mod stream;
mod violation;

pub use function::function;
pub use mapping::{mapping, starting_position, update, visibility};
pub use stream::stream;
pub use violation::{Violation, Violations};

#[cfg(test)]
mod tests;
