//! The gate before every attempt: closed from the moment a pause or removal is answered.
//!
//! The engine follows the catalog a moment behind, and drains a mapping's consumers some moments later. What is
//! promised with the answer, that nothing starts any more, cannot wait for that: front doors close the mapping's gate
//! before they answer, and whoever starts an attempt passes it immediately before.

use millstream_types::{Desired, Mapping, MappingId};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The gates of all mappings.
///
/// A gate is as the newest version of its mapping that it was told of wants it, in whatever order it is told: an older
/// version never overrides a newer one. It is there as long as the node knows the mapping.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    gates: BTreeMap<MappingId, Gate>,
    /// The newest version that a mapping had when it was forgotten. Versions are numbered over all mappings, and the
    /// node takes them up in order: a mapping of an older version that has no gate is gone, not yet to come.
    forgotten: u64,
}

/// As of one version of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gate {
    revision: u64,
    open: bool,
}

impl State {
    fn set(&mut self, mapping: &Mapping) {
        let next = Gate::of(mapping);
        let gate = self.gates.entry(mapping.id).or_insert(next);
        if next.revision > gate.revision {
            *gate = next;
        }
    }
}

impl Gate {
    fn of(mapping: &Mapping) -> Self {
        Self {
            revision: mapping.revision,
            open: mapping.desired == Desired::Running,
        }
    }
}

impl Gates {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an attempt of this mapping may start; to be asked immediately before it does, after everything that
    /// takes time. No attempt may start once a call that closed the gate has returned; one that was let pass before
    /// counts as running, and is waited for. A mapping that the node does not know starts nothing.
    ///
    /// What is not let pass has not happened: it costs no attempt, and is tried again or drained.
    pub(crate) fn pass(&self, mapping: MappingId) -> bool {
        self.lock().gates.get(&mapping).is_some_and(|gate| gate.open)
    }

    /// The node takes up a version of a mapping; before anything of the mapping is started.
    pub(crate) fn follow(&self, mapping: &Mapping) {
        self.lock().set(mapping);
    }

    /// A front door tells of a stored version, which the node may not have heard of yet, or may have forgotten.
    pub(crate) fn announce(&self, mapping: &Mapping) {
        let mut state = self.lock();
        if mapping.revision > state.forgotten || state.gates.contains_key(&mapping.id) {
            state.set(mapping);
        }
    }

    /// The node forgets a removed mapping.
    pub(crate) fn forget(&self, mapping: MappingId) {
        let mut state = self.lock();
        if let Some(gate) = state.gates.remove(&mapping) {
            state.forgotten = state.forgotten.max(gate.revision);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{FunctionName, MappingName, MappingSpec, Namespace, SourceArn, StreamName, Wall};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    fn version(id: u128, revision: u64, desired: Desired) -> Mapping {
        let source = SourceArn::local_stream(&StreamName::new("orders").unwrap());
        Mapping {
            namespace: Namespace::default(),
            name: MappingName::new("m").unwrap(),
            id: MappingId::from_random(id),
            spec: MappingSpec::new(source, FunctionName::new("f").unwrap(), None),
            desired,
            start: None,
            generation: revision,
            revision,
            created: Wall(0),
            modified: Wall(0),
            request_id: None,
            applied: Default::default(),
            tags: Default::default(),
        }
    }

    fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
        if items.is_empty() {
            return vec![Vec::new()];
        }
        let with_first = |n: usize| {
            let mut rest = items.to_vec();
            let first = rest.remove(n);
            orders(&rest).into_iter().map(move |mut o| {
                o.insert(0, first.clone());
                o
            })
        };
        (0..items.len()).flat_map(with_first).collect()
    }

    #[test]
    fn the_newest_version_decides_in_whatever_order_it_is_told() {
        use Desired::{Deleted, Paused, Running};
        let id = MappingId::from_random(1);
        for (desired, open) in [
            (vec![Running, Paused, Running], true),
            (vec![Running, Paused, Running, Paused], false),
            (vec![Running, Running, Running], true),
            (vec![Running, Paused, Running, Deleted], false),
        ] {
            // Every version is told twice: by the front door that stored it, and by the catalog's watch.
            type Told = fn(&Gates, &Mapping);
            for tell in [
                [Gates::follow as Told, Gates::announce],
                [Gates::announce, Gates::follow],
            ] {
                let versions: Vec<_> = desired.iter().zip(1..).map(|(d, n)| version(1, n, *d)).collect();
                for order in orders(&versions) {
                    let gates = Gates::default();
                    assert!(!gates.pass(id), "nobody knows it yet");
                    for (n, version) in order.iter().enumerate() {
                        tell[n % 2](&gates, version);
                        tell[(n + 1) % 2](&gates, version);
                    }
                    assert_eq!(gates.pass(id), open, "{order:?}");
                }
            }
        }
    }

    #[test]
    fn mappings_have_gates_of_their_own() {
        let gates = Gates::default();
        gates.follow(&version(1, 1, Desired::Running));
        gates.follow(&version(2, 2, Desired::Running));
        gates.announce(&version(1, 3, Desired::Paused));
        let passes = [1, 2, 3].map(|id| gates.pass(MappingId::from_random(id)));
        assert_eq!(passes, [false, true, false]);
    }

    #[test]
    fn a_forgotten_mapping_leaves_no_gate_and_late_news_of_it_make_none() {
        let gates = Gates::default();
        let left = |gates: &Gates| gates.lock().gates.len();
        let (running, deleted) = (version(1, 1, Desired::Running), version(1, 5, Desired::Deleted));
        gates.follow(&running);
        gates.announce(&deleted);
        gates.follow(&deleted);
        gates.forget(deleted.id);
        for late in [&running, &version(1, 3, Desired::Paused), &deleted] {
            gates.announce(late);
        }
        assert_eq!(left(&gates), 0);
        // The node may read the catalog as it was before, and then forgets it again.
        gates.follow(&deleted);
        assert!(!gates.pass(deleted.id));
        gates.forget(deleted.id);
        assert_eq!(left(&gates), 0);
        // A new one, of which the node has not heard, is not taken for it.
        gates.announce(&version(2, 6, Desired::Paused));
        gates.follow(&version(2, 4, Desired::Running));
        assert!(!gates.pass(MappingId::from_random(2)));
    }

    #[test]
    fn nothing_passes_once_the_gate_is_closed() {
        for _ in 0..200 {
            let (gates, closed, passed) = (Gates::default(), AtomicBool::new(false), AtomicUsize::new(0));
            let mapping = version(1, 1, Desired::Running);
            gates.follow(&mapping);
            std::thread::scope(|scope| {
                let starts_attempts = || {
                    loop {
                        let answered = closed.load(Ordering::SeqCst);
                        if gates.pass(mapping.id) {
                            assert!(!answered, "an attempt started behind the answer");
                            passed.fetch_add(1, Ordering::SeqCst);
                        } else {
                            return;
                        }
                    }
                };
                scope.spawn(starts_attempts);
                scope.spawn(starts_attempts);
                while passed.load(Ordering::SeqCst) == 0 {
                    std::thread::yield_now();
                }
                gates.announce(&version(1, 2, Desired::Paused));
                closed.store(true, Ordering::SeqCst);
            });
        }
    }
}
