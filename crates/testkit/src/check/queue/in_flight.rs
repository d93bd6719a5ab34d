//! I12: never more batches in flight than the mapping allows.

use super::{Check, Invariant, QueueHistory};
use crate::queue_log::QueueEvent;

#[derive(Debug)]
pub(super) struct InFlight;

impl Check for InFlight {
    fn invariant(&self) -> Invariant {
        Invariant::InFlight
    }

    fn observe(&mut self, history: &QueueHistory, event: &QueueEvent) -> Result<(), String> {
        let running = history.running.len();
        match (event, history.most_in_flight) {
            (QueueEvent::Started { call, .. }, Some(most)) if running > most => Err(format!(
                "call {call} is one of {running} in flight; {most} are allowed"
            )),
            _ => Ok(()),
        }
    }
}
