//! Which shards may start: children after all of their parents (semantics 5), from where the mapping's start
//! was pinned.
//!
//! Decided anew from the whole list every time: sources list shards late, drop them when their records fall
//! out of retention, and a mapping may have been paused meanwhile.

use crate::mutant::{self, Mutant};
use millstream_types::{Position, ShardId, ShardInfo, StartPin};
use std::collections::{BTreeMap, BTreeSet};

/// The shards to start now and where, in the order of `listed`.
///
/// `finished` are the shards of which every record is done, `started` those that run or ran; both may hold
/// shards that `listed` no longer has. A finished shard need not be among the started.
///
/// - A shard listed in `pin` starts at the pin's position, one that descends from such a shard at
///   [`Position::Trim`]; any other is never read, be it an ancestor of those or a stranger.
/// - A shard starts when each of its parents is finished, or is never read, or is gone from the list and was
///   never started: what it held is lost, and waiting would not bring it back. A parent that is gone but was
///   started is waited for.
/// - Siblings start together.
/// - A shard whose parent is gone, so that nobody can tell where it descends from, is taken for a descendant
///   unless that cannot be ([`Plan::before_the_pin`]): rather too much than too little.
#[must_use]
pub fn to_start(
    listed: &[ShardInfo],
    pin: &StartPin,
    finished: &BTreeSet<ShardId>,
    started: &BTreeSet<ShardId>,
) -> Vec<(ShardId, Position)> {
    let plan = Plan::new(listed, pin, finished, started);
    let begun = |id: &ShardId| finished.contains(id) || started.contains(id);
    listed
        .iter()
        .filter(|shard| plan.read.contains(&shard.id) && !begun(&shard.id))
        .filter(|shard| plan.may_start(shard))
        .map(|shard| (shard.id.clone(), plan.position(&shard.id)))
        .collect()
}

/// What the lists say, taken together.
struct Plan<'a> {
    by_id: BTreeMap<&'a ShardId, &'a ShardInfo>,
    pin: &'a StartPin,
    pinned: BTreeSet<&'a ShardId>,
    finished: &'a BTreeSet<ShardId>,
    started: &'a BTreeSet<ShardId>,
    /// The listed shards that are to be read at some time.
    read: BTreeSet<&'a ShardId>,
}

impl<'a> Plan<'a> {
    fn new(
        listed: &'a [ShardInfo],
        pin: &'a StartPin,
        finished: &'a BTreeSet<ShardId>,
        started: &'a BTreeSet<ShardId>,
    ) -> Self {
        let by_id = listed.iter().map(|shard| (&shard.id, shard)).collect();
        let pinned: BTreeSet<&ShardId> = pin.shards.iter().collect();
        let mut plan = Self {
            by_id,
            pin,
            pinned,
            finished,
            started,
            read: BTreeSet::new(),
        };
        plan.read = plan.to_be_read(listed);
        plan
    }

    /// The pinned shards and their descendants, also through shards that are no longer listed.
    fn to_be_read(&self, listed: &'a [ShardInfo]) -> BTreeSet<&'a ShardId> {
        let mut children: BTreeMap<&ShardId, Vec<&ShardId>> = BTreeMap::new();
        for shard in listed {
            parents(shard).for_each(|parent| children.entry(parent).or_default().push(&shard.id));
        }
        let before = self.before_the_pin();
        let orphaned = |shard: &ShardInfo| {
            let mut gone = parents(shard).filter(|parent| !self.by_id.contains_key(parent));
            gone.next().is_some() && !before.contains(&shard.id) && !self.closed_before_the_pin(shard)
        };
        let known = self
            .pinned
            .iter()
            .copied()
            .chain(self.finished)
            .chain(self.started);
        let orphans = listed
            .iter()
            .filter(|shard| orphaned(shard))
            .map(|shard| &shard.id);
        let reached = reach(known.chain(orphans), |id| {
            children.get(id).into_iter().flatten().copied()
        });
        reached
            .into_iter()
            .filter(|id| self.by_id.contains_key(id))
            .collect()
    }

    /// The ancestors of the pinned shards, as far as they are listed.
    ///
    /// Sources drop shards in the order in which they were closed: while an ancestor is listed, so are the
    /// shards between it and the pinned one, and it is recognised.
    fn before_the_pin(&self) -> BTreeSet<&'a ShardId> {
        let listed_parents = |id: &ShardId| self.by_id.get(id).into_iter().flat_map(|shard| parents(shard));
        let of_pinned = self.pinned.iter().copied().flat_map(listed_parents);
        reach(of_pinned, listed_parents)
    }

    /// Whether every record of the shard came before the time of the pin.
    fn closed_before_the_pin(&self, shard: &ShardInfo) -> bool {
        matches!((self.pin.position, shard.closed), (Position::Timestamp(from), Some(closed)) if closed < from)
    }

    /// Whether a child need not wait for this parent any longer.
    fn is_over(&self, parent: &ShardId) -> bool {
        self.finished.contains(parent) || !(self.started.contains(parent) || self.read.contains(parent))
    }

    fn may_start(&self, shard: &ShardInfo) -> bool {
        let mut waited_for = parents(shard).filter(|parent| !self.is_over(parent));
        match mutant::on(Mutant::ChildBeforeSecondParent) {
            true => waited_for.count() < 2,
            false => waited_for.next().is_none(),
        }
    }

    fn position(&self, id: &ShardId) -> Position {
        if self.pinned.contains(id) {
            self.pin.position
        } else {
            Position::Trim
        }
    }
}

/// The parents of a shard; a shard that names itself has no such parent.
fn parents(shard: &ShardInfo) -> impl Iterator<Item = &ShardId> {
    shard.parents().filter(|parent| **parent != shard.id)
}

/// All that can be reached from `from`, which is part of it.
fn reach<'a, I: Iterator<Item = &'a ShardId>>(
    from: impl Iterator<Item = &'a ShardId>,
    next: impl Fn(&'a ShardId) -> I,
) -> BTreeSet<&'a ShardId> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&ShardId> = from.collect();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(next(id));
        }
    }
    seen
}

#[cfg(test)]
mod tests;
