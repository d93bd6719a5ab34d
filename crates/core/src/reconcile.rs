//! From what a mapping should be to the next steps towards it: a plan, which the supervisor then carries out.

use millstream_types::{Desired, Mono, Position, ShardId};
use std::collections::BTreeMap;

/// What a shard of a mapping does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Its consumer runs this configuration.
    Running {
        /// The configuration's generation.
        generation: u64,
    },
    /// Its consumer lets what runs end, and will stop.
    Draining,
    /// Its consumer ended by a fault; not to be started before this time.
    Restarting {
        /// When.
        at: Mono,
    },
    /// Every record of the closed shard is finished.
    Finished,
}

/// What a mapping is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What its owner wants.
    pub desired: Desired,
    /// The newest configuration.
    pub generation: u64,
    /// Whether the node is shutting down.
    pub closing: bool,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start a consumer; its stored record, if there is one, outranks the position.
    Start {
        /// Of this shard.
        shard: ShardId,
        /// From here.
        position: Position,
    },
    /// Ask the consumer to let what runs end, and to stop.
    Drain(ShardId),
    /// Nothing runs any more and nothing is wanted: forget the mapping.
    Forget,
}

/// The next steps. `startable` is what [`crate::lineage::to_start`] allows, shards that run left out.
#[must_use]
pub fn plan(
    wanted: Wanted,
    slots: &BTreeMap<ShardId, Slot>,
    startable: &[(ShardId, Position)],
    now: Mono,
) -> Vec<Step> {
    let runs = wanted.desired == Desired::Running && !wanted.closing;
    let stale = |slot: &Slot| matches!(slot, Slot::Running { generation } if !runs || *generation != wanted.generation);
    let drains = slots
        .iter()
        .filter(|(_, slot)| stale(slot))
        .map(|(shard, _)| Step::Drain(shard.clone()));
    let mut steps: Vec<Step> = drains.collect();
    if runs {
        let free = |shard: &ShardId| match slots.get(shard) {
            None => true,
            Some(Slot::Restarting { at }) => *at <= now,
            Some(_) => false,
        };
        let start = |(shard, position): &(ShardId, Position)| Step::Start {
            shard: shard.clone(),
            position: *position,
        };
        steps.extend(startable.iter().filter(|(shard, _)| free(shard)).map(start));
    } else if wanted.desired == Desired::Deleted && !wanted.closing && quiet(slots) {
        steps.push(Step::Forget);
    }
    steps
}

/// Whether no consumer runs.
#[must_use]
pub fn quiet(slots: &BTreeMap<ShardId, Slot>) -> bool {
    !slots
        .values()
        .any(|s| matches!(s, Slot::Running { .. } | Slot::Draining))
}

/// When to plan again if nothing happens; `planned` is when that was done last. What was due by then and was not started
/// waits for something else than its time: that the mapping is to run, or that its source is found.
#[must_use]
pub fn deadline(slots: &BTreeMap<ShardId, Slot>, planned: Mono) -> Option<Mono> {
    let at = |slot: &Slot| match slot {
        Slot::Restarting { at } if *at > planned => Some(*at),
        _ => None,
    };
    slots.values().filter_map(at).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(s: &str) -> ShardId {
        ShardId::new(s).unwrap()
    }

    fn wanted(desired: Desired, closing: bool) -> Wanted {
        Wanted {
            desired,
            generation: 2,
            closing,
        }
    }

    #[test]
    fn the_plan_leads_from_what_is_to_what_is_wanted() {
        use Desired::{Deleted, Paused, Running};
        let start = |s: &str| Step::Start {
            shard: id(s),
            position: Position::Trim,
        };
        let drain = |s: &str| Step::Drain(id(s));
        type Case = (
            &'static str,
            Wanted,
            Vec<(&'static str, Slot)>,
            Vec<&'static str>,
            Vec<Step>,
        );
        let current = Slot::Running { generation: 2 };
        let old = Slot::Running { generation: 1 };
        let later = Slot::Restarting { at: Mono(11) };
        let due = Slot::Restarting { at: Mono(10) };
        let cases: Vec<Case> = vec![
            (
                "what may start is started",
                wanted(Running, false),
                vec![],
                vec!["a", "b"],
                vec![start("a"), start("b")],
            ),
            (
                "what runs as wanted is left alone",
                wanted(Running, false),
                vec![("a", current)],
                vec![],
                vec![],
            ),
            (
                "another configuration drains first",
                wanted(Running, false),
                vec![("a", old)],
                vec![],
                vec![drain("a")],
            ),
            (
                "draining is waited for",
                wanted(Running, false),
                vec![("a", Slot::Draining)],
                vec!["a"],
                vec![],
            ),
            (
                "a fault is given time",
                wanted(Running, false),
                vec![("a", later)],
                vec!["a"],
                vec![],
            ),
            (
                "and started again when due",
                wanted(Running, false),
                vec![("a", due)],
                vec!["a"],
                vec![start("a")],
            ),
            (
                "a pause drains",
                wanted(Paused, false),
                vec![("a", current)],
                vec!["b"],
                vec![drain("a")],
            ),
            (
                "paused is quiet",
                wanted(Paused, false),
                vec![("a", Slot::Finished)],
                vec!["b"],
                vec![],
            ),
            (
                "a removal drains",
                wanted(Deleted, false),
                vec![("a", current)],
                vec![],
                vec![drain("a")],
            ),
            (
                "then waits",
                wanted(Deleted, false),
                vec![("a", Slot::Draining)],
                vec![],
                vec![],
            ),
            (
                "then forgets",
                wanted(Deleted, false),
                vec![("a", due)],
                vec![],
                vec![Step::Forget],
            ),
            (
                "closing drains",
                wanted(Running, true),
                vec![("a", current)],
                vec!["b"],
                vec![drain("a")],
            ),
            (
                "closing forgets nothing",
                wanted(Deleted, true),
                vec![],
                vec![],
                vec![],
            ),
        ];
        for (what, wanted, slots, startable, expect) in cases {
            let slots = slots.into_iter().map(|(s, slot)| (id(s), slot)).collect();
            let startable: Vec<_> = startable.into_iter().map(|s| (id(s), Position::Trim)).collect();
            assert_eq!(plan(wanted, &slots, &startable, Mono(10)), expect, "{what}");
        }
    }

    #[test]
    fn the_next_look_is_when_a_restart_is_due() {
        let slots = [
            (id("a"), Slot::Restarting { at: Mono(7) }),
            (id("b"), Slot::Restarting { at: Mono(5) }),
        ];
        let slots = slots.into_iter().collect();
        for (planned, expect) in [(0, Some(5)), (4, Some(5)), (5, Some(7)), (7, None), (9, None)] {
            assert_eq!(
                deadline(&slots, Mono(planned)),
                expect.map(Mono),
                "planned at {planned}"
            );
        }
        assert_eq!(deadline(&BTreeMap::new(), Mono(0)), None);
    }
}
