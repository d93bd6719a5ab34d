//! The consumer of one mapping's queue: the shell round the queue machine.

mod calls;
mod consumer;
mod notes;
mod screen;
mod worker;

pub(crate) use consumer::{QueueArgs, QueueConsumer, QueueMsg};
