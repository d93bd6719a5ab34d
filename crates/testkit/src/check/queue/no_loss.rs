//! I1: when all is quiet, every message was deleted (after a success, says I7) or is a dead letter; and it became one
//! only by having been received as often as the redrive policy says.

use super::{Check, Invariant, QueueHistory};
use crate::queue_log::QueueEvent;

#[derive(Debug)]
pub(super) struct NoLoss;

impl Check for NoLoss {
    fn invariant(&self) -> Invariant {
        Invariant::NoLoss
    }

    fn observe(&mut self, history: &QueueHistory, event: &QueueEvent) -> Result<(), String> {
        let QueueEvent::DeadLettered { message, receives } = event else {
            return Ok(());
        };
        match (receives, history.max_receives) {
            (Some(received), Some(max)) if *received < max => Err(format!(
                "{message} is a dead letter after {received} of {max} receives"
            )),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, history: &QueueHistory) -> Result<(), String> {
        let left = history.unfinished(5);
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("neither deleted nor dead letters: {left:?}"))
        }
    }
}
