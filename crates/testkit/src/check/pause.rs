//! I15: once a pause is acknowledged nothing starts until it is over.

use super::{Check, History, Invariant};
use crate::log::Event;

#[derive(Debug, Default)]
pub(super) struct Pause {
    paused: bool,
}

impl Check for Pause {
    fn invariant(&self) -> Invariant {
        Invariant::Pause
    }

    fn observe(&mut self, history: &History, event: &Event) -> Result<(), String> {
        match event {
            Event::Paused => {
                self.paused = true;
                let running = history.running.len();
                if running > 0 {
                    return Err(format!("the pause was acknowledged while {running} calls ran"));
                }
            }
            Event::Resumed => self.paused = false,
            Event::Started { call, shard, .. } if self.paused => {
                return Err(format!("call {call} of {shard} started while paused"));
            }
            _ => {}
        }
        Ok(())
    }
}
