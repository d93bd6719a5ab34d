//! The order of a FIFO queue: its message groups, each locked while a message of it is in flight.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// One message group that has messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// No message is left below.
    pub(crate) head: u64,
    /// The newest durable message.
    pub(crate) tail: u64,
    /// Durable messages that are not gone.
    live: u64,
    in_flight: u64,
    /// It is in the queue of ready groups.
    queued: bool,
    /// A receive looks at it, or its first message moves to the dead-letter queue.
    busy: bool,
}

/// What a FIFO queue keeps in memory.
#[derive(Debug, Default)]
pub(crate) struct Fifo {
    groups: HashMap<Arc<str>, Group>,
    /// In turn: what became ready first is handed out first, so that no group starves another.
    ready: VecDeque<Arc<str>>,
    live: u64,
}

impl Fifo {
    /// A message is durable. Numbers grow.
    pub(crate) fn commit(&mut self, group: &Arc<str>, number: u64) {
        self.live += 1;
        let entry = self.groups.entry(group.clone()).or_insert(Group {
            head: number,
            tail: number,
            live: 0,
            in_flight: 0,
            queued: false,
            busy: false,
        });
        entry.tail = number;
        entry.live += 1;
        self.consider(group);
    }

    /// The next ready group; it is the caller's until [`Fifo::done`].
    pub(crate) fn take_ready(&mut self) -> Option<(Arc<str>, Group)> {
        while let Some(name) = self.ready.pop_front() {
            let Some(group) = self.groups.get_mut(&name) else {
                continue;
            };
            group.queued = false;
            if !group.busy && group.in_flight == 0 && group.live > 0 {
                group.busy = true;
                let group = *group;
                return Some((name, group));
            }
        }
        None
    }

    /// This group, if nobody has it and none of its messages is in flight; it is the caller's until [`Fifo::done`].
    pub(crate) fn take(&mut self, name: &str) -> Option<Group> {
        let group = self.groups.get_mut(name)?;
        if group.busy || group.in_flight > 0 {
            return None;
        }
        group.busy = true;
        Some(*group)
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A receive has looked at it: its first message is `head`. `wait`: nothing of it can be received before
    /// something changes.
    pub(crate) fn done(&mut self, name: &Arc<str>, head: Option<u64>, wait: bool) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        group.busy = false;
        if let Some(head) = head {
            group.head = head;
        }
        if !wait {
            self.consider(name);
        }
    }

    /// A message of it is in flight.
    pub(crate) fn taken_off(&mut self, name: &str) {
        if let Some(group) = self.groups.get_mut(name) {
            group.in_flight += 1;
        }
    }

    /// A message in flight can be received again.
    pub(crate) fn came_back(&mut self, name: &Arc<str>) {
        if let Some(group) = self.groups.get_mut(name) {
            group.in_flight = group.in_flight.saturating_sub(1);
        }
        self.consider(name);
    }

    /// A message is gone.
    pub(crate) fn remove(&mut self, name: &Arc<str>, was_in_flight: bool) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        self.live = self.live.saturating_sub(1);
        group.live = group.live.saturating_sub(1);
        group.in_flight = group.in_flight.saturating_sub(u64::from(was_in_flight));
        self.consider(name);
    }

    /// Nothing is left of it, whatever was counted.
    pub(crate) fn forget(&mut self, name: &str, tail: u64) {
        if let Some(group) = self.groups.get(name)
            && group.tail == tail
            && group.in_flight == 0
        {
            self.live = self.live.saturating_sub(group.live);
            self.groups.remove(name);
        }
    }

    /// Puts the group into the queue of ready groups if something of it may be received; drops it if nothing is left.
    pub(crate) fn consider(&mut self, name: &Arc<str>) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        if group.busy || group.in_flight > 0 {
            return;
        }
        if group.live == 0 {
            self.groups.remove(name);
        } else if !group.queued {
            group.queued = true;
            self.ready.push_back(name.clone());
        }
    }

    /// Puts ready groups into the order of their first messages.
    pub(crate) fn sort_ready(&mut self) {
        let head = |name: &Arc<str>| self.groups.get(name).map_or(0, |group| group.head);
        let mut ready: Vec<_> = self.ready.iter().map(|name| (head(name), name.clone())).collect();
        ready.sort_unstable();
        self.ready = ready.into_iter().map(|(_, name)| name).collect();
    }

    /// Messages, whatever keeps them from being received.
    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    /// Whether a message of the group is in flight or looked at.
    pub(crate) fn is_locked(&self, name: &str) -> bool {
        self.groups
            .get(name)
            .is_some_and(|group| group.busy || group.in_flight > 0)
    }

    /// Every group's first number and name.
    pub(crate) fn heads(&self) -> Vec<(u64, Arc<str>)> {
        let heads = self.groups.iter().map(|(name, group)| (group.head, name.clone()));
        heads.collect()
    }

    /// Everything is gone.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    fn ready(fifo: &mut Fifo) -> Option<String> {
        fifo.take_ready().map(|(name, _)| name.to_string())
    }

    #[test]
    fn a_group_is_locked_while_one_of_its_messages_is_in_flight() {
        let (mut fifo, a) = (Fifo::default(), name("a"));
        fifo.commit(&a, 1);
        fifo.commit(&a, 2);
        assert_eq!(ready(&mut fifo).as_deref(), Some("a"));
        assert_eq!(ready(&mut fifo), None);
        fifo.taken_off("a");
        fifo.done(&a, Some(1), false);
        fifo.commit(&a, 3);
        assert_eq!((ready(&mut fifo), fifo.is_locked("a")), (None, true));
        fifo.remove(&a, true);
        assert_eq!(ready(&mut fifo).as_deref(), Some("a"));
        assert_eq!(fifo.live(), 2);
    }

    #[test]
    fn groups_take_turns() {
        let (mut fifo, a, b) = (Fifo::default(), name("a"), name("b"));
        for number in [1, 2, 3] {
            fifo.commit(&a, number);
        }
        fifo.commit(&b, 4);
        let turns: Vec<_> = (0..2).filter_map(|_| ready(&mut fifo)).collect();
        assert_eq!(turns, ["a", "b"]);
        fifo.done(&b, None, false);
        fifo.done(&a, None, false);
        let turns: Vec<_> = (0..2).filter_map(|_| ready(&mut fifo)).collect();
        assert_eq!(turns, ["b", "a"]);
    }

    #[test]
    fn a_group_without_messages_takes_no_memory() {
        let (mut fifo, a) = (Fifo::default(), name("a"));
        fifo.commit(&a, 1);
        fifo.take_ready();
        fifo.taken_off("a");
        fifo.done(&a, Some(1), false);
        fifo.remove(&a, true);
        assert!(fifo.groups.is_empty() && fifo.live() == 0);
        assert_eq!(ready(&mut fifo), None);
    }

    #[test]
    fn a_group_that_waits_is_not_looked_at_again_until_something_changes() {
        let (mut fifo, a) = (Fifo::default(), name("a"));
        fifo.commit(&a, 1);
        fifo.take_ready();
        fifo.done(&a, Some(1), true);
        assert_eq!(ready(&mut fifo), None);
        fifo.consider(&a);
        assert_eq!(ready(&mut fifo).as_deref(), Some("a"));
    }
}
