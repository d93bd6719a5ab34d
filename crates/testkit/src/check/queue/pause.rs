//! I15: from the answer to a pause nothing starts until it is over; once it is complete nothing runs.
//!
//! An attempt that was let go before the answer may reach its function after it. Where the number of batches in flight
//! is bounded, so is that of such calls: what ran at the answer left room for no more.

use super::{Check, Invariant, QueueHistory};
use crate::queue_log::QueueEvent;

#[derive(Debug, Default)]
pub(super) struct Pause {
    /// Calls that may still be seen to start, since a pause was answered; none if any number may.
    late: Option<Option<usize>>,
    paused: bool,
}

impl Check for Pause {
    fn invariant(&self) -> Invariant {
        Invariant::Pause
    }

    fn observe(&mut self, history: &QueueHistory, event: &QueueEvent) -> Result<(), String> {
        let running = history.running.len();
        match event {
            QueueEvent::Pausing => {
                self.late = Some(history.most_in_flight.map(|most| most.saturating_sub(running)));
            }
            QueueEvent::Paused => {
                self.paused = true;
                if running > 0 {
                    return Err(format!("the pause was acknowledged while {running} calls ran"));
                }
            }
            QueueEvent::Resumed => *self = Self::default(),
            QueueEvent::Started { call, .. } => return self.started(*call),
            _ => {}
        }
        Ok(())
    }
}

impl Pause {
    fn started(&mut self, call: u64) -> Result<(), String> {
        if self.paused {
            return Err(format!("call {call} started while paused"));
        }
        match &mut self.late {
            Some(Some(0)) => Err(format!(
                "call {call} started behind the answer to a pause, and more than can have been let go before"
            )),
            Some(Some(left)) => {
                *left -= 1;
                Ok(())
            }
            Some(None) | None => Ok(()),
        }
    }
}
