//! The services over a real loopback connection, on fakes of the ports.

mod fakes;
mod functions;
mod history;
mod limits;
mod mappings;
mod reflection;
mod streams;
mod watch;
