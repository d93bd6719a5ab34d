//! What an attempt's outcome means for its batch: the truth table of semantics section 8, for streams.

use crate::route::Entry;
use millstream_types::{Mark, Outcome, Record, ResponseContext, Seq};
use std::time::Duration;

/// What an outcome means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every record is done.
    Done,
    /// A valid partial failure: the records before `index` are done, the rest is not, whatever the function
    /// said of single records behind it (semantics 8).
    FailedFrom {
        /// The first reported record, as an index into the batch; 0 means no progress.
        index: usize,
        /// For a failure document.
        response: ResponseContext,
    },
    /// No record is done; an attempt is spent.
    Failed {
        /// For a failure document.
        response: Option<ResponseContext>,
        /// The error's type, at most 256 bytes.
        error: String,
    },
    /// The code did not run; no attempt is spent.
    Throttled {
        /// What the target asked for.
        retry_after: Option<Duration>,
    },
}

/// What has a sequence number.
pub trait Sequenced {
    /// The number.
    fn seq(&self) -> &Seq;
}

impl Sequenced for Seq {
    fn seq(&self) -> &Seq {
        self
    }
}

impl Sequenced for Mark {
    fn seq(&self) -> &Seq {
        &self.seq
    }
}

impl Sequenced for Record {
    fn seq(&self) -> &Seq {
        &self.mark.seq
    }
}

impl Sequenced for Entry {
    fn seq(&self) -> &Seq {
        &self.record.mark.seq
    }
}

/// Judges one attempt of a batch whose records are `batch`, in the order they were sent (ascending).
#[must_use]
pub fn verdict<T: Sequenced>(outcome: &Outcome, batch: &[T], report_item_failures: bool) -> Verdict {
    let _ = (outcome, batch, report_item_failures);
    todo!()
}
