//! Which message group is where: each is in one batch at most, and nothing overtakes a failed message.
//!
//! A FIFO queue hands out nothing of a group of which something is hidden, so most of what this decides has been decided
//! by the queue already. It remains for us where answers cross (the last delete of a batch is carried out, and the next
//! messages of its group arrive before the answer to that delete), and where a message became visible while we still
//! work on it.

use crate::mutant::{self, Mutant};
use millstream_types::Mono;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Whether a slot may have a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It may be sent.
    Free,
    /// It may be sent when the slot that works on the group lets go of it.
    Waits,
    /// It must not be sent: it would overtake, or run beside, another of its group. To be left alone.
    Refused,
}

/// A message that asks to be admitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) group: &'a Arc<str>,
    pub(super) sequence: &'a str,
    pub(super) slot: usize,
    pub(super) now: Mono,
    /// By how much our clock's idea of the end of a visibility timeout may be late.
    pub(super) slack: Duration,
}

#[derive(Clone, Debug, Default)]
struct Group {
    /// Who has messages of it, and how many.
    owner: Option<(usize, usize)>,
    /// Who has the messages that follow.
    next: Option<(usize, usize)>,
    /// The lowest number that failed, and until when it is hidden.
    failed: Option<(Arc<str>, Mono)>,
}

/// All groups that are worked on or waited for.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    groups: BTreeMap<Arc<str>, Group>,
    expiries: BTreeSet<(Mono, Arc<str>)>,
}

impl Gate {
    /// Groups worked on, or of which a failed message is hidden.
    pub(super) fn active(&self) -> usize {
        self.groups.len()
    }

    /// Takes a message in, or not. `lets_go` tells whether a slot has only settling left to do with a group.
    pub(super) fn admit(&mut self, arrival: &Arrival<'_>, lets_go: impl Fn(usize) -> bool) -> Admission {
        if mutant::on(Mutant::GroupGateIgnored) {
            return Admission::Free;
        }
        let group = self.groups.entry(arrival.group.clone()).or_default();
        if let Some((sequence, until)) = &group.failed {
            let is_behind = by_number(arrival.sequence, sequence) == Ordering::Greater;
            if is_behind && arrival.now.plus(arrival.slack) < *until {
                return Admission::Refused;
            }
            self.expiries.remove(&(*until, arrival.group.clone()));
            group.failed = None;
        }
        match (&mut group.owner, &mut group.next) {
            (owner @ None, _) => {
                *owner = Some((arrival.slot, 1));
                Admission::Free
            }
            (Some((slot, n)), _) if *slot == arrival.slot => {
                *n += 1;
                Admission::Free
            }
            (_, Some((slot, n))) if *slot == arrival.slot => {
                *n += 1;
                Admission::Waits
            }
            (Some((slot, _)), next @ None) if lets_go(*slot) => {
                *next = Some((arrival.slot, 1));
                Admission::Waits
            }
            _ => Admission::Refused,
        }
    }

    /// Whether the slot is the one that works on the group.
    pub(super) fn is_owner(&self, group: &str, slot: usize) -> bool {
        let owner = self.groups.get(group).and_then(|g| g.owner);
        owner.is_some_and(|(owner, _)| owner == slot) || mutant::on(Mutant::GroupGateIgnored)
    }

    /// A message leaves a slot; answers with the slot that can go on because of it.
    pub(super) fn leave(&mut self, name: &Arc<str>, slot: usize) -> Option<usize> {
        let group = self.groups.get_mut(name)?;
        let mut goes_on = None;
        for held in [&mut group.owner, &mut group.next] {
            if let Some((_, n)) = held.as_mut().filter(|(s, _)| *s == slot) {
                *n -= 1;
                if *n == 0 {
                    *held = None;
                }
                break;
            }
        }
        if group.owner.is_none() {
            group.owner = group.next.take();
            goes_on = group.owner.map(|(slot, _)| slot);
        }
        self.forget_if_idle(name);
        goes_on
    }

    /// A message failed, and is hidden until `until`.
    pub(super) fn fail(&mut self, name: &Arc<str>, sequence: &str, until: Mono) {
        let group = self.groups.entry(name.clone()).or_default();
        let (mut lowest, mut last) = (Arc::from(sequence), until);
        if let Some((earlier, at)) = group.failed.take() {
            self.expiries.remove(&(at, name.clone()));
            last = last.max(at);
            if by_number(&earlier, sequence) == Ordering::Less {
                lowest = earlier;
            }
        }
        group.failed = Some((lowest, last));
        self.expiries.insert((last, name.clone()));
    }

    /// Whether a message of the group has failed and is still hidden.
    pub(super) fn has_failed(&self, group: &str) -> bool {
        self.groups.get(group).is_some_and(|g| g.failed.is_some())
    }

    /// Forgets failures that are over.
    pub(super) fn advance(&mut self, now: Mono) {
        while let Some((until, _)) = self.expiries.first()
            && *until <= now
        {
            let Some((_, name)) = self.expiries.pop_first() else {
                return;
            };
            if let Some(group) = self.groups.get_mut(&name) {
                group.failed = None;
            }
            self.forget_if_idle(&name);
        }
    }

    fn forget_if_idle(&mut self, name: &Arc<str>) {
        let is_idle = |g: &Group| g.owner.is_none() && g.next.is_none() && g.failed.is_none();
        if self.groups.get(name).is_some_and(is_idle) {
            self.groups.remove(name);
        }
    }
}

/// Compares decimal numbers of any length.
fn by_number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLACK: Duration = Duration::from_millis(10);

    fn ms(n: u64) -> Mono {
        Mono(n * 1_000_000)
    }

    fn arrives(
        gate: &mut Gate,
        group: &str,
        sequence: u64,
        slot: usize,
        now: u64,
        settling: &[usize],
    ) -> Admission {
        let arrival = Arrival {
            group: &Arc::from(group),
            sequence: &sequence.to_string(),
            slot,
            now: ms(now),
            slack: SLACK,
        };
        gate.admit(&arrival, |s| settling.contains(&s))
    }

    #[test]
    fn numbers_of_any_length_are_compared_as_numbers() {
        for (a, b, expect) in [
            ("9", "10", Ordering::Less),
            ("010", "10", Ordering::Equal),
            ("18849496460467696128", "18849496460467696127", Ordering::Greater),
            ("", "0", Ordering::Equal),
        ] {
            assert_eq!(by_number(a, b), expect, "{a} {b}");
        }
    }

    #[test]
    fn a_group_is_in_one_slot() {
        let mut gate = Gate::default();
        let g: Arc<str> = "g".into();
        assert_eq!(arrives(&mut gate, "g", 1, 0, 0, &[]), Admission::Free);
        assert_eq!(arrives(&mut gate, "g", 2, 0, 0, &[]), Admission::Free);
        assert_eq!(arrives(&mut gate, "g", 3, 1, 0, &[]), Admission::Refused);
        assert_eq!(arrives(&mut gate, "h", 4, 1, 0, &[]), Admission::Free);
        assert_eq!(
            arrives(&mut gate, "g", 3, 1, 0, &[0]),
            Admission::Waits,
            "slot 0 only settles"
        );
        assert_eq!(
            arrives(&mut gate, "g", 5, 2, 0, &[0]),
            Admission::Refused,
            "one may wait"
        );
        assert_eq!((gate.active(), gate.is_owner("g", 1)), (2, false));
        assert_eq!(gate.leave(&g, 0), None, "another message of it is left");
        assert_eq!(gate.leave(&g, 0), Some(1));
        assert!(gate.is_owner("g", 1));
        assert_eq!(gate.leave(&g, 1), None);
        assert_eq!(gate.active(), 1);
    }

    #[test]
    fn one_that_waits_may_give_up() {
        let mut gate = Gate::default();
        let g: Arc<str> = "g".into();
        arrives(&mut gate, "g", 1, 0, 0, &[]);
        arrives(&mut gate, "g", 2, 1, 0, &[0]);
        assert_eq!(gate.leave(&g, 1), None);
        assert_eq!(gate.leave(&g, 0), None);
        assert_eq!(gate.active(), 0);
    }

    #[test]
    fn nothing_overtakes_a_failed_message_while_it_is_hidden() {
        let mut gate = Gate::default();
        let g: Arc<str> = "g".into();
        for sequence in [9, 10, 11] {
            arrives(&mut gate, "g", sequence, 0, 0, &[]);
        }
        gate.fail(&g, "11", ms(100));
        gate.fail(&g, "9", ms(50));
        (0..3).for_each(|_| {
            gate.leave(&g, 0);
        });
        assert!(gate.has_failed("g") && gate.active() == 1);
        assert_eq!(
            arrives(&mut gate, "g", 10, 1, 60, &[]),
            Admission::Refused,
            "behind 9"
        );
        assert_eq!(
            arrives(&mut gate, "h", 10, 1, 60, &[]),
            Admission::Free,
            "another group"
        );
        assert_eq!(
            arrives(&mut gate, "g", 9, 1, 60, &[]),
            Admission::Free,
            "the failed one itself"
        );
        assert_eq!(
            arrives(&mut gate, "g", 10, 1, 60, &[]),
            Admission::Free,
            "behind it, with it"
        );
    }

    #[test]
    fn what_follows_goes_on_when_the_failed_message_is_not_hidden_any_more() {
        for (now, expect) in [(89, Admission::Refused), (90, Admission::Free)] {
            let mut gate = Gate::default();
            gate.fail(&"g".into(), "1", ms(100));
            assert_eq!(
                arrives(&mut gate, "g", 2, 0, now, &[]),
                expect,
                "at {now}, {SLACK:?} early"
            );
        }
        let mut gate = Gate::default();
        gate.fail(&"g".into(), "1", ms(100));
        gate.fail(&"h".into(), "2", ms(200));
        gate.advance(ms(100));
        assert_eq!((gate.active(), gate.has_failed("g")), (1, false));
        gate.advance(ms(200));
        assert_eq!((gate.active(), gate.expiries.len()), (0, 0));
    }
}
