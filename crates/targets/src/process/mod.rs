//! Functions as child processes that speak the Lambda Runtime API: any unmodified Lambda runtime runs.
//!
//! One pool per function ([`pool`]); one loopback listener per process ([`api`]), because the runtimes send
//! nothing by which processes could be told apart; one small state machine per process ([`protocol`]) that
//! alone knows what the process is doing; one task per process ([`run`]) that alone ends it. A process runs
//! one invocation at a time.
//!
//! What this does not give:
//! * The kernel's parent-death signal reaches the process that was started, not what it started itself: when
//!   the server is killed with SIGKILL, grandchildren live on. Ended by us, the whole group goes.
//! * The Runtime API knows no authentication, so any user of the machine who can connect to loopback ports can
//!   speak to it, as with every emulator of it.

mod api;
mod backoff;
mod command;
mod death;
mod finish;
mod invoker;
mod output;
mod pool;
mod protocol;
mod ring;
mod run;
mod spawner;
mod sys;

pub(crate) use command::Plan;
pub(crate) use invoker::ProcessInvoker;
pub use pool::PoolOptions;
pub(crate) use spawner::Spawner;
