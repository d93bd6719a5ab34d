//! Queues on a real database.

mod basics;
mod faults;
mod fifo;
mod model;
mod redrive;
mod restart;
mod retention;
mod rig;
mod waits;
