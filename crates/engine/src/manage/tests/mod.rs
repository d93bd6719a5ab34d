//! The application service over fakes of the ports.

mod applied;
mod fakes;
mod functions;
mod history;
mod mappings;
mod resolve;
mod rules;
mod watch;
