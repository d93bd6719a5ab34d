//! The invariants of `reliability.md` 3.4 as code over a [`Log`](crate::Log) of what happened.
//!
//! [`Checkers::observe`] takes one event after the other and tells at once which invariant it breaks, so that a
//! simulation stops where things went wrong; [`Checkers::finish`] judges what can only be told when a run is
//! quiet. Nothing here knows how the events came about.

mod discards;
mod duplicates;
mod history;
mod key_order;
mod lineage;
mod monotonic;
mod no_loss;
mod pause;
mod prefix;
pub mod queue;
mod retries;
#[cfg(test)]
mod tests;

use crate::log::Event;
pub use duplicates::DuplicateBound;
pub use history::History;
use std::fmt;

/// What must always hold; the numbers are those of `reliability.md` 3.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// I1: when all is quiet, every record succeeded, was filtered, was discarded, or fell out of retention; every
    /// message was deleted or is a dead letter.
    NoLoss,
    /// I2: the checkpoint is within the finished prefix; here per lane as well.
    Prefix,
    /// I3: the checkpoint never goes back.
    Monotonic,
    /// I4: records of one key (messages of one group) succeed in order, and never run concurrently.
    KeyOrder,
    /// I7: a message is deleted only after its success.
    Deletes,
    /// I8: the documents at the destination are those of the discards, and no record is given up twice.
    Discards,
    /// I9: no more attempts than allowed, and their count survives a restart.
    Retries,
    /// I10: a child shard starts when its parents are finished.
    Lineage,
    /// I11: nothing is done twice but what was lost from memory.
    Duplicates,
    /// I12: no more batches are in flight than allowed.
    InFlight,
    /// I15: nothing starts from the answer to a pause until it is over, and nothing runs once it is complete.
    Pause,
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant} is broken by event {at}: {what}")]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// The index of the event that broke it; the number of events if it showed at the end.
    pub at: usize,
    /// In which way.
    pub what: String,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = match self {
            Self::NoLoss => "I1",
            Self::Prefix => "I2",
            Self::Monotonic => "I3",
            Self::KeyOrder => "I4",
            Self::Deletes => "I7",
            Self::Discards => "I8",
            Self::Retries => "I9",
            Self::Lineage => "I10",
            Self::Duplicates => "I11",
            Self::InFlight => "I12",
            Self::Pause => "I15",
        };
        write!(f, "{number} ({self:?})")
    }
}

/// One invariant's judge. `history` already holds the event.
trait Check: fmt::Debug + Send {
    fn invariant(&self) -> Invariant;
    fn observe(&mut self, history: &History, event: &Event) -> Result<(), String>;
    fn finish(&mut self, _history: &History) -> Result<(), String> {
        Ok(())
    }
}

/// All judges over one run.
#[derive(Debug)]
pub struct Checkers {
    history: History,
    checks: Vec<Box<dyn Check>>,
    seen: usize,
}

impl Checkers {
    /// All invariants; `bound` says how exactly duplicates can be told.
    #[must_use]
    pub fn new(bound: DuplicateBound) -> Self {
        let checks: Vec<Box<dyn Check>> = vec![
            Box::new(no_loss::NoLoss),
            Box::new(prefix::Prefix),
            Box::new(monotonic::Monotonic::default()),
            Box::new(key_order::KeyOrder::default()),
            Box::new(discards::Discards::default()),
            Box::new(retries::Retries::default()),
            Box::new(lineage::Lineage),
            Box::new(duplicates::Duplicates::new(bound)),
            Box::new(pause::Pause::default()),
        ];
        Self {
            history: History::default(),
            checks,
            seen: 0,
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// The first invariant that it breaks.
    pub fn observe(&mut self, event: &Event) -> Result<(), Violation> {
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
    pub fn history(&self) -> &History {
        &self.history
    }
}

/// Judges a whole run at once: everything that is broken, in order; one violation per event.
#[must_use]
pub fn check(events: &[Event], bound: DuplicateBound) -> Vec<Violation> {
    let mut checkers = Checkers::new(bound);
    let mut broken: Vec<Violation> = events.iter().filter_map(|e| checkers.observe(e).err()).collect();
    broken.extend(checkers.finish().err().unwrap_or_default());
    broken
}
