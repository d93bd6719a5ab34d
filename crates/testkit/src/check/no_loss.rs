//! I1: when all is quiet, every record is accounted for.

use super::{Check, History, Invariant};
use crate::log::Event;

#[derive(Debug)]
pub(super) struct NoLoss;

impl Check for NoLoss {
    fn invariant(&self) -> Invariant {
        Invariant::NoLoss
    }

    fn observe(&mut self, _history: &History, _event: &Event) -> Result<(), String> {
        Ok(())
    }

    fn finish(&mut self, history: &History) -> Result<(), String> {
        let lost = history.unfinished(5);
        if lost.is_empty() {
            Ok(())
        } else {
            Err(format!("neither successful nor discarded: {lost:?}"))
        }
    }
}
