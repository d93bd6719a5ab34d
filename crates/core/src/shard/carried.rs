//! What was finished, and what had failed, while the shard had another number of lanes (design, section 5).
//!
//! A statement "lane l of f lanes is finished up to m" stays true whatever the number of lanes is now. So old
//! numbers are kept as filters, at most one per number of lanes, until the checkpoint has passed them.

use crate::lane_hash::lane_of;
use crate::mutant::{self, Mutant};
use millstream_types::Mark;
use millstream_types::durable::{HeadRecord, LaneRecord, PriorLanes, SegmentRecord};

/// All that is remembered of other numbers of lanes.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    prior: Vec<PriorLanes>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    lane_hash: u8,
    factor: u8,
    lane: u8,
    segment: SegmentRecord,
}

impl Carried {
    pub(super) fn new(prior: Vec<PriorLanes>) -> Self {
        let parts = prior.iter().flat_map(parts_of).collect();
        Self { prior, parts }
    }

    /// Adds the lanes of a stored record to what it carried already.
    pub(super) fn with(mut prior: Vec<PriorLanes>, lane_hash: u8, lanes: &[LaneRecord]) -> Self {
        let same = |p: &PriorLanes| p.lane_hash == lane_hash && p.done_through.len() == lanes.len();
        let mut added = PriorLanes {
            lane_hash,
            done_through: lanes.iter().map(|l| l.done_through).collect(),
            heads: lanes.iter().map(|l| l.head.clone()).collect(),
        };
        if let Some(at) = prior.iter().position(same) {
            let old = prior.swap_remove(at);
            for (done, before) in added.done_through.iter_mut().zip(old.done_through) {
                *done = (*done).max(before);
            }
            let done = &added.done_through;
            for ((head, before), done) in added.heads.iter_mut().zip(old.heads).zip(done) {
                *head = merged(head.take(), before, *done);
            }
        }
        prior.push(added);
        Self::new(prior)
    }

    pub(super) fn finished(&self, key: &[u8], mark: Mark) -> bool {
        if mutant::on(Mutant::SkipFilterForgotten) {
            return false;
        }
        self.prior.iter().any(|p| {
            let lane = lane_of(p.lane_hash, p.done_through.len() as u8, key);
            p.done_through
                .get(usize::from(lane))
                .is_some_and(|done| *done >= Some(mark))
        })
    }

    /// The failed part the record belonged to. Of several, under different numbers of lanes, the one that failed
    /// most often: counts must not get lost (I9), and a part under one number remembers what it had under another.
    pub(super) fn part_of(&self, key: &[u8], mark: Mark) -> Option<usize> {
        let holds = |p: &Part| {
            p.segment.first.is_some_and(|first| first <= mark)
                && p.segment.last >= Some(mark)
                && lane_of(p.lane_hash, p.factor, key) == p.lane
        };
        let parts = self.parts.iter().enumerate().filter(|(_, p)| holds(p));
        parts.max_by_key(|(_, p)| p.segment.attempts).map(|(at, _)| at)
    }

    pub(super) fn segment(&self, part: usize) -> Option<&SegmentRecord> {
        self.parts.get(part).map(|p| &p.segment)
    }

    /// What is still worth storing when everything up to `watermark` is finished.
    pub(super) fn stored(&self, watermark: Option<Mark>) -> Vec<PriorLanes> {
        let past = |p: &&PriorLanes| {
            let ends = p.heads.iter().flatten().flat_map(|h| &h.segments).map(|s| s.last);
            p.done_through.iter().copied().chain(ends).any(|m| m > watermark)
        };
        self.prior.iter().filter(past).cloned().collect()
    }

    /// Forgets what the watermark has passed. Parts keep their places: records in memory refer to them.
    pub(super) fn prune(&mut self, watermark: Option<Mark>) {
        if !self.prior.is_empty() {
            self.prior = self.stored(watermark);
        }
    }
}

/// The parts of a lane that failed now, and those that failed when the shard had as many lanes before and are still
/// behind them.
fn merged(now: Option<HeadRecord>, before: Option<HeadRecord>, done: Option<Mark>) -> Option<HeadRecord> {
    let parts = |head: Option<HeadRecord>| head.map_or_else(Vec::new, |h| h.segments);
    let (now, mut segments) = (parts(now), parts(before));
    let passed = now.iter().map(|s| s.last).max().flatten().max(done);
    segments.retain(|s| s.last > passed);
    segments.extend(now);
    (!segments.is_empty()).then_some(HeadRecord { segments })
}

fn parts_of(prior: &PriorLanes) -> Vec<Part> {
    let factor = prior.done_through.len() as u8;
    let part = |(lane, segment): (usize, &SegmentRecord)| Part {
        lane_hash: prior.lane_hash,
        factor,
        lane: lane as u8,
        segment: segment.clone(),
    };
    let heads = prior
        .heads
        .iter()
        .enumerate()
        .filter_map(|(lane, head)| Some((lane, head.as_ref()?)));
    heads
        .flat_map(|(lane, head)| head.segments.iter().map(move |s| (lane, s)))
        .map(part)
        .collect()
}
