//! One mapping: the supervisor that brings what runs in line with what is wanted.

mod children;
mod conditions;
mod discovery;
mod inspect;
mod supervisor;

pub(crate) use supervisor::{MappingMsg, MappingSupervisor, SupervisorArgs};
