//! The invariants of queues as code over [`QueueEvent`]s: I1, I4, I7, I12 and I15 of `reliability.md` 3.4.
//!
//! As with [`super::Checkers`], nothing here knows how the events came about: a simulation observes them one by one,
//! a kill loop puts them together from what is left.

mod deletes;
mod groups;
mod history;
mod in_flight;
mod no_loss;
mod pause;
#[cfg(test)]
mod tests;

use super::{Invariant, Violation};
use crate::queue_log::QueueEvent;
pub use history::QueueHistory;
use std::fmt;

/// One invariant's judge. `history` already holds the event.
trait Check: fmt::Debug + Send {
    fn invariant(&self) -> Invariant;
    fn observe(&mut self, history: &QueueHistory, event: &QueueEvent) -> Result<(), String>;
    fn finish(&mut self, _history: &QueueHistory) -> Result<(), String> {
        Ok(())
    }
}

/// All judges over one run of one mapping of one queue.
#[derive(Debug)]
pub struct QueueCheckers {
    history: QueueHistory,
    checks: Vec<Box<dyn Check>>,
    seen: usize,
}

impl Default for QueueCheckers {
    fn default() -> Self {
        let checks: Vec<Box<dyn Check>> = vec![
            Box::new(no_loss::NoLoss),
            Box::new(groups::GroupOrder),
            Box::new(deletes::Deletes),
            Box::new(in_flight::InFlight),
            Box::new(pause::Pause::default()),
        ];
        Self {
            history: QueueHistory::default(),
            checks,
            seen: 0,
        }
    }
}

impl QueueCheckers {
    /// Takes the next event.
    ///
    /// # Errors
    /// The first invariant that it breaks.
    pub fn observe(&mut self, event: &QueueEvent) -> Result<(), Violation> {
        self.history.apply(event);
        let (history, at) = (&self.history, self.seen);
        self.seen += 1;
        for check in &mut self.checks {
            let invariant = check.invariant();
            check
                .observe(history, event)
                .map_err(|what| Violation { invariant, at, what })?;
        }
        Ok(())
    }

    /// Judges the run as a whole, now that nothing is left to do.
    ///
    /// # Errors
    /// Every invariant that does not hold.
    pub fn finish(&mut self) -> Result<(), Vec<Violation>> {
        let (history, at) = (&self.history, self.seen);
        let judge = |check: &mut Box<dyn Check>| {
            let what = check.finish(history).err()?;
            Some(Violation {
                invariant: check.invariant(),
                at,
                what,
            })
        };
        let broken: Vec<Violation> = self.checks.iter_mut().filter_map(judge).collect();
        if broken.is_empty() { Ok(()) } else { Err(broken) }
    }

    /// What the events added up to.
    #[must_use]
    pub fn history(&self) -> &QueueHistory {
        &self.history
    }
}

/// Judges a whole run at once: everything that is broken, in order; one violation per event.
#[must_use]
pub fn check(events: &[QueueEvent]) -> Vec<Violation> {
    let mut checkers = QueueCheckers::default();
    let mut broken: Vec<Violation> = events.iter().filter_map(|e| checkers.observe(e).err()).collect();
    broken.extend(checkers.finish().err().unwrap_or_default());
    broken
}
