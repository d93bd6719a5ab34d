//! A mapping of a queue through the whole tree of actors: a scripted queue, a scripted function, and time that stands
//! still until everything that can run has run.

mod basics;
mod batching;
mod faults;
mod fifo;
mod filters;
mod history;
mod lifecycle;
mod scaling;
mod stage;
mod throttles;
mod visibility;
