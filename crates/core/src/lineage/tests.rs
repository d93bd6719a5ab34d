//! Known families of shards as a table, and random histories of splits and merges.

use super::*;
use millstream_types::Wall;
use proptest::collection::vec;
use proptest::prelude::*;

fn id(name: &str) -> ShardId {
    ShardId::new(name).unwrap()
}

fn ids(names: &str) -> BTreeSet<ShardId> {
    names.split_whitespace().map(id).collect()
}

/// `child<parent+adjacent`, e.g. `c<a+b`.
fn family(text: &str) -> Vec<ShardInfo> {
    let shard = |word: &str| {
        let (own, parents) = word.split_once('<').unwrap_or((word, ""));
        let mut parents = parents.split('+').filter(|p| !p.is_empty()).map(id);
        ShardInfo {
            id: id(own),
            parent: parents.next(),
            adjacent_parent: parents.next(),
            hash_range: (0, u128::MAX),
            closed: None,
        }
    };
    text.split_whitespace().map(shard).collect()
}

fn pin(position: Position, names: &str) -> StartPin {
    StartPin {
        position,
        shards: ids(names).into_iter().collect(),
    }
}

fn names(started: &[(ShardId, Position)]) -> String {
    started
        .iter()
        .map(|(id, _)| id.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn known_families() {
    struct Case(
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
    );
    let cases = [
        // what, listed, pinned, finished, started, expected
        Case("all first shards at once", "a b c", "a b c", "", "", "a b c"),
        Case("what runs is not started again", "a b c", "a b c", "", "a c", "b"),
        Case(
            "what is finished is not started again",
            "a b",
            "a b",
            "a",
            "",
            "b",
        ),
        Case(
            "children wait for a parent that runs",
            "a b<a c<a",
            "a",
            "",
            "a",
            "",
        ),
        Case(
            "children wait for a parent that is only to start",
            "a b<a c<a",
            "a",
            "",
            "",
            "a",
        ),
        Case("siblings start together", "a b<a c<a", "a", "a", "a", "b c"),
        Case(
            "a merged shard waits for both",
            "a b c<a+b",
            "a b",
            "a",
            "a b",
            "",
        ),
        Case(
            "a merged shard starts after both",
            "a b c<a+b",
            "a b",
            "a b",
            "a b",
            "c",
        ),
        Case(
            "pinned children wait for their pinned parent",
            "a b<a c<a",
            "a b c",
            "",
            "",
            "a",
        ),
        Case("grandchildren wait for children", "a b<a c<b", "a", "a", "a", "b"),
        Case(
            "an ancestor of a pinned shard is never read, nor waited for",
            "a b<a",
            "b",
            "",
            "",
            "b",
        ),
        Case(
            "nor is an ancestor whose own parent is gone",
            "b<a c<b",
            "c",
            "",
            "",
            "c",
        ),
        Case("a stranger is never read", "a x", "a", "", "", "a"),
        Case("nor are its descendants", "a x y<x", "a", "", "", "a"),
        Case(
            "a parent that is gone and never started is over",
            "b<a c<a",
            "a",
            "",
            "",
            "b c",
        ),
        Case(
            "a parent that is gone and unfinished is waited for",
            "b<a c<a",
            "a",
            "",
            "a",
            "",
        ),
        Case(
            "a parent that is gone and finished is over",
            "b<a c<a",
            "a",
            "a",
            "a",
            "b c",
        ),
        Case(
            "one parent gone, the other not yet done",
            "b c<a+b",
            "a b",
            "",
            "b",
            "",
        ),
        Case("one parent gone, the other done", "b c<a+b", "a b", "b", "b", "c"),
        Case(
            "a descendant whose lineage is lost is read",
            "d<c e<d",
            "a",
            "a",
            "a",
            "d",
        ),
        Case("and so is its child after it", "d<c e<d", "a", "a d", "a d", "e"),
        Case(
            "a child of a merge of a stranger and a pinned shard",
            "a x c<a+x",
            "a",
            "a",
            "a",
            "c",
        ),
        Case("a shard that names itself as parent", "a<a b<a", "a", "", "", "a"),
        Case("nothing listed", "", "a", "", "", ""),
        Case("nothing pinned", "a", "", "", "", ""),
    ];
    for Case(what, listed, pinned, finished, started, expected) in cases {
        let got = to_start(
            &family(listed),
            &pin(Position::Trim, pinned),
            &ids(finished),
            &ids(started),
        );
        assert_eq!(names(&got), expected, "{what}");
    }
}

#[test]
fn pinned_shards_start_at_the_pin_and_their_descendants_at_the_beginning() {
    let at = Position::Timestamp(Wall(7));
    let got = to_start(&family("a b c<a d<a"), &pin(at, "a b"), &ids("a"), &ids("a"));
    assert_eq!(
        got,
        [
            (id("b"), at),
            (id("c"), Position::Trim),
            (id("d"), Position::Trim)
        ]
    );
    let got = to_start(&family("a b<a c<a"), &pin(at, "a b c"), &ids("a"), &ids("a"));
    assert_eq!(got, [(id("b"), at), (id("c"), at)]);
}

#[test]
fn an_orphan_that_was_closed_before_the_pin_is_not_read() {
    for (closed, expected) in [(Some(99), ""), (Some(100), "b"), (None, "b")] {
        let mut listed = family("b<a");
        listed[0].closed = closed.map(Wall);
        let got = to_start(
            &listed,
            &pin(Position::Timestamp(Wall(100)), "z"),
            &ids(""),
            &ids(""),
        );
        assert_eq!(names(&got), expected, "closed {closed:?}");
    }
}

/// One event in the life of a stream and of a mapping that reads it.
#[derive(Clone, Debug)]
enum Step {
    /// Splits an open shard.
    Split(prop::sample::Index),
    /// Merges two open shards.
    Merge(prop::sample::Index, prop::sample::Index),
    /// The mapping looks and starts what it may.
    Start,
    /// A running, closed shard is finished.
    Finish(prop::sample::Index),
    /// The oldest shard falls out of retention, if it is closed.
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<prop::sample::Index>;
    prop_oneof![
        2 => any().prop_map(Step::Split),
        2 => (any(), any()).prop_map(|(a, b)| Step::Merge(a, b)),
        3 => Just(Step::Start),
        3 => any().prop_map(Step::Finish),
        1 => Just(Step::Expire),
    ]
}

/// A stream and a mapping that reads it, with what is really so beside what the mapping knows.
struct World {
    listed: Vec<ShardInfo>,
    /// Parents of every shard that ever was.
    parents: BTreeMap<ShardId, Vec<ShardId>>,
    pin: StartPin,
    /// The shards from before the pin, which must never be read.
    older: BTreeSet<ShardId>,
    finished: BTreeSet<ShardId>,
    started: BTreeSet<ShardId>,
    expired: BTreeSet<ShardId>,
    next: u32,
}

impl World {
    fn new(first: u32) -> Self {
        let mut world = Self {
            listed: Vec::new(),
            parents: BTreeMap::new(),
            pin: pin(Position::Trim, ""),
            older: BTreeSet::new(),
            finished: BTreeSet::new(),
            started: BTreeSet::new(),
            expired: BTreeSet::new(),
            next: 0,
        };
        for _ in 0..first {
            world.add(Vec::new());
        }
        world
    }

    /// Creates the mapping at LATEST: the open shards are pinned, the closed ones are history.
    fn pin(&mut self) {
        let open = self.open();
        self.older = self
            .listed
            .iter()
            .map(|s| s.id.clone())
            .filter(|id| !open.contains(id))
            .collect();
        self.pin.shards = open;
    }

    fn add(&mut self, parents: Vec<ShardId>) {
        let id = id(&format!("s{:04}", self.next));
        self.next += 1;
        self.listed.push(ShardInfo {
            id: id.clone(),
            parent: parents.first().cloned(),
            adjacent_parent: parents.get(1).cloned(),
            hash_range: (0, u128::MAX),
            closed: None,
        });
        self.parents.insert(id, parents);
    }

    fn open(&self) -> Vec<ShardId> {
        self.listed
            .iter()
            .filter(|s| s.closed.is_none())
            .map(|s| s.id.clone())
            .collect()
    }

    fn close(&mut self, ids: &[ShardId]) {
        let at = Wall(self.next.into());
        self.listed
            .iter_mut()
            .filter(|s| ids.contains(&s.id))
            .for_each(|s| s.closed = Some(at));
    }

    fn over(&self, id: &ShardId) -> bool {
        let lost = self.expired.contains(id) && !self.started.contains(id);
        self.finished.contains(id) || self.older.contains(id) || lost
    }

    fn start(&mut self) -> Result<usize, TestCaseError> {
        let got = to_start(&self.listed, &self.pin, &self.finished, &self.started);
        for (id, position) in &got {
            prop_assert!(!self.older.contains(id), "{id} is from before the pin");
            let pinned = self.pin.shards.contains(id);
            prop_assert_eq!(*position, if pinned { self.pin.position } else { Position::Trim });
            for parent in &self.parents[id] {
                prop_assert!(
                    self.over(parent),
                    "{id} starts before its parent {parent} is over"
                );
            }
            prop_assert!(self.started.insert(id.clone()), "{id} starts twice");
        }
        Ok(got.len())
    }

    fn run(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let open = self.open();
        match step {
            Step::Split(which) => {
                let parent = which.get(&open).clone();
                self.close(std::slice::from_ref(&parent));
                self.add(vec![parent.clone()]);
                self.add(vec![parent]);
            }
            Step::Merge(a, b) => {
                let (a, b) = (a.get(&open).clone(), b.get(&open).clone());
                if a != b {
                    self.close(&[a.clone(), b.clone()]);
                    self.add(vec![a, b]);
                }
            }
            Step::Start => drop(self.start()?),
            Step::Finish(which) => {
                let closed = |id: &&ShardId| !open.contains(id) && !self.finished.contains(*id);
                let candidates: Vec<ShardId> = self.started.iter().filter(closed).cloned().collect();
                if !candidates.is_empty() {
                    self.finished.insert(which.get(&candidates).clone());
                }
            }
            Step::Expire => {
                // In the order in which they were closed, as sources do.
                let oldest = self
                    .listed
                    .iter()
                    .filter(|s| s.closed.is_some())
                    .min_by_key(|s| (s.closed, s.id.clone()));
                if let Some(gone) = oldest.map(|s| s.id.clone()) {
                    self.listed.retain(|s| s.id != gone);
                    self.expired.insert(gone);
                }
            }
        }
        Ok(())
    }

    /// The stream changes no more; the mapping goes on until nothing is left to start.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        loop {
            let new = self.start()?;
            let open = self.open();
            let before = self.finished.len();
            self.finished
                .extend(self.started.iter().filter(|id| !open.contains(id)).cloned());
            if new == 0 && self.finished.len() == before {
                return Ok(());
            }
        }
    }
}

proptest! {
    #[test]
    fn parents_first_each_shard_once_and_none_forgotten(
        first in 1u32..4,
        before in vec(step(), 0..12),
        after in vec(step(), 0..60),
    ) {
        let mut world = World::new(first);
        for step in before.iter().filter(|s| matches!(s, Step::Split(_) | Step::Merge(..) | Step::Expire)) {
            world.run(step)?;
        }
        world.pin();
        for step in &after {
            world.run(step)?;
        }
        world.settle()?;
        for shard in &world.listed {
            let due = !world.older.contains(&shard.id);
            prop_assert_eq!(world.started.contains(&shard.id), due, "{} of {:?}", shard.id, world.listed);
        }
    }
}
