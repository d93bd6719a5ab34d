//! What happened in a run that a simulation is to have had: one in which it never happens does not test it.

use std::collections::BTreeMap;

/// Everything that must happen at least once over all seeds.
pub(crate) const WANTED: &[&str] = &[
    // the node
    "process crash",
    "power loss",
    "power loss that took writes",
    "crash with a batch in flight",
    "crash with a commit on its way",
    "call that ended well, unheard",
    "stop that drained",
    "stop that was forced",
    "panic of an actor",
    "outage",
    // the store
    "unknown commit that was stored",
    "unknown commit that was not",
    "commit of a fenced owner",
    "store unavailable",
    "catalog change of unknown outcome",
    "watch that lagged",
    // streams
    "split",
    "merge",
    "trim",
    "read that failed",
    "shard finished",
    "child of a merge started",
    "bisect",
    "bisect reached one record",
    "part of a batch done",
    "record that no filter wants",
    "state of a window carried on",
    "window ended",
    "discard: retries exhausted",
    "discard: too old",
    "retry",
    "attempt counted on over a restart",
    "document delivered",
    "document delivered again",
    "delivery failed",
    // functions
    "throttled",
    "throttled batch sent again",
    "timeout",
    "hung call",
    // queues
    "message received again",
    "message succeeded again",
    "dead letter",
    "partial report of a batch of messages",
    "visibility extended",
    "visibility given back",
    "receive lost",
    "message handed out twice",
    "delete refused",
    "most batches in flight",
    "message that no filter wants",
    // the operator
    "pause answered with calls running",
    "pause completed",
    "resumed",
    "settings changed",
    "number of lanes changed",
    "mapping removed",
    "mapping made at LATEST",
    "mapping made at TRIM_HORIZON",
];

/// Counts of what happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub(crate) fn add(&mut self, what: &'static str) {
        debug_assert!(WANTED.contains(&what), "{what} is not in the list");
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for (what, n) in &other.0 {
            *self.0.entry(what).or_default() += n;
        }
    }

    /// What never happened.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let never = |what: &&&'static str| !self.0.contains_key(**what);
        WANTED.iter().filter(never).copied().collect()
    }

    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> = WANTED
            .iter()
            .map(|w| format!("{:>9}  {w}", self.0.get(w).copied().unwrap_or(0)))
            .collect();
        lines.join("\n")
    }
}
