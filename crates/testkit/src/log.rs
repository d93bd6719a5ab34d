//! What happened in a run, in the order in which it happened: the material of all checkers.
//!
//! A simulation writes it as it goes; the kill loop puts it together afterwards from what the function wrote
//! down, what the server stored, and when it was killed.

use bytes::Bytes;
use millstream_types::durable::{Discard, DiscardCondition, ShardRecord};
use millstream_types::ids::DiscardId;
use millstream_types::{Mark, RequestId, ShardId};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The retry limit that holds from now on; none for no limit.
    Configured {
        /// Retries after the first attempt.
        max_retries: Option<u32>,
    },
    /// A shard exists.
    Shard {
        /// Its id.
        shard: ShardId,
        /// What it was split or merged from.
        parents: Vec<ShardId>,
    },
    /// A record was put, and the put acknowledged.
    Produced {
        /// Where.
        shard: ShardId,
        /// Its place.
        mark: Mark,
        /// What its order is kept by.
        key: Bytes,
    },
    /// All records of a shard up to here fell out of the source's retention.
    Trimmed {
        /// Where.
        shard: ShardId,
        /// The last one that is gone.
        through: Mark,
    },
    /// The function was called.
    Started {
        /// A number of this call alone.
        call: u64,
        /// Of which shard the records are.
        shard: ShardId,
        /// The id of the request.
        request: RequestId,
        /// Which attempt it said it was.
        attempt: u32,
        /// The records, as they were sent.
        marks: Vec<Mark>,
    },
    /// The function answered.
    Ended {
        /// Which call.
        call: u64,
        /// What it did.
        result: CallResult,
    },
    /// The owner of a shard stored progress, discards, or both.
    Stored {
        /// The place of this write among all writes.
        number: u64,
        /// Which shard.
        shard: ShardId,
        /// The owner's epoch.
        epoch: u64,
        /// How far the shard is finished, if this was stored.
        progress: Option<Progress>,
        /// What was given up.
        discards: Vec<Given>,
    },
    /// Such a write also said how often parts of batches have failed.
    Counted {
        /// The place of the write.
        number: u64,
        /// Which shard.
        shard: ShardId,
        /// The first record of every part that failed, and how often it did.
        failed: Vec<(Mark, u32)>,
    },
    /// A failure document arrived at the destination.
    Document {
        /// Whose.
        discard: DiscardId,
    },
    /// What a node (or the owner of one shard) had in memory is gone, and its calls with it.
    Lost {
        /// Which shard's owner; none for all.
        shard: Option<ShardId>,
        /// The last write that is left; none if every write is.
        kept: Option<u64>,
    },
    /// A pause was acknowledged as durable: what runs may end, nothing starts.
    Pausing {
        /// The lanes of each shard, until the pause is over.
        lanes: u8,
    },
    /// A pause was acknowledged as complete: nothing runs.
    Paused,
    /// The pause is over.
    Resumed,
    /// An operator set the position of a shard: it may go back.
    Sought {
        /// Which shard.
        shard: ShardId,
    },
}

impl Event {
    /// How often parts of batches have failed, as a stored record says.
    #[must_use]
    pub fn counted(number: u64, shard: &ShardId, record: &ShardRecord) -> Self {
        let parts = record
            .lanes
            .iter()
            .flat_map(|l| &l.head)
            .flat_map(|h| &h.segments);
        let failed = parts
            .filter(|p| p.attempts > 0)
            .filter_map(|p| Some((p.first?, p.attempts)))
            .collect();
        Self::Counted {
            number,
            shard: shard.clone(),
            failed,
        }
    }
}

/// What a call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// It succeeded for all records.
    Done,
    /// It succeeded for the first so many, and said so.
    DoneBefore(usize),
    /// It failed for all.
    Failed,
    /// The code did not run.
    NotRun,
}

/// How far a shard is finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Per lane: all of its records up to here are finished.
    pub lanes: Vec<Option<Mark>>,
    /// Whether the shard is closed and all of it is finished.
    pub finished: bool,
}

impl Progress {
    /// What a stored record says.
    #[must_use]
    pub fn of(record: &ShardRecord) -> Self {
        Self {
            lanes: record.lanes.iter().map(|l| l.done_through).collect(),
            finished: record.finished,
        }
    }

    /// All records up to here are finished.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Mark> {
        self.lanes.iter().min().copied().flatten()
    }
}

/// A run of records that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The discard's id.
    pub id: DiscardId,
    /// The records.
    pub marks: Vec<Mark>,
    /// Why.
    pub condition: DiscardCondition,
    /// The count its document shows.
    pub invoke_count: u32,
    /// Whether a document is to be sent.
    pub document: bool,
}

impl Given {
    /// What a stored discard says; `marks` are the records it stands for.
    #[must_use]
    pub fn of(discard: &Discard, marks: Vec<Mark>, document: bool) -> Self {
        Self {
            id: discard.id,
            marks,
            condition: discard.condition,
            invoke_count: discard.invoke_count,
            document,
        }
    }
}

/// A run's events.
#[derive(Clone, Debug, Default)]
pub struct Log {
    events: Vec<Event>,
    hash: u64,
}

impl Log {
    /// Adds what happened last.
    pub fn push(&mut self, event: Event) {
        let text = format!("{event:?}");
        self.hash = text.bytes().fold(self.hash ^ 0xcbf2_9ce4_8422_2325, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        self.events.push(event);
    }

    /// All of it, oldest first.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The same for the same events in the same order, and hardly ever for others.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}
