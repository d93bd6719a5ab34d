//! The whole tree of actors over in-memory ports.

mod faults;
mod life;
mod world;
