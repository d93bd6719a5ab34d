//! What the history tells of an attempt.

use super::machine::QueueMachine;
use super::orders::Action;
use super::slot::Slot;
use millstream_types::Wall;
use millstream_types::durable::{AttemptResult, AttemptedMessage, QueueAttempt};

/// Most messages of an attempt that are named.
const MOST_NAMED: usize = 100;

/// How an attempt ended.
pub(super) struct Ended<'a> {
    pub(super) result: AttemptResult,
    /// Those that come back, as ascending indices into the batch; none if all do.
    pub(super) failed: Option<&'a [usize]>,
    pub(super) error: Option<String>,
    /// When it was sent, or would have been.
    pub(super) started: Wall,
}

impl QueueMachine {
    /// Writes an attempt of the slot's batch into the history, before the batch is touched.
    pub(super) fn note(&self, slot: usize, ended: Ended<'_>, out: &mut Vec<Action>) {
        let s = &self.slots[slot];
        let Some(request_id) = s.request_id else { return };
        let count = s.items.len();
        let system = || s.items.iter().map(|i| &i.message.system);
        let newest = system().map(|m| m.sent).max().unwrap_or(ended.started);
        let attempt = QueueAttempt {
            mapping: self.config.mapping,
            slot: slot as u32,
            request_id,
            attempt: system().map(|m| m.receive_count).max().unwrap_or(1),
            messages: count as u32,
            finished: (count - ended.failed.map_or(count, <[usize]>::len)) as u32,
            result: ended.result,
            started: ended.started,
            ended: self.now.wall,
            age_ms: ended.started.0.saturating_sub(newest.0),
            error: ended.error,
            named: named(s, ended.failed),
        };
        out.push(Action::Note(Box::new(attempt)));
    }
}

fn named(slot: &Slot, failed: Option<&[usize]>) -> Vec<AttemptedMessage> {
    let is_failed = |at: usize| failed.is_none_or(|failed| failed.binary_search(&at).is_ok());
    let mut places: Vec<usize> = (0..slot.items.len()).collect();
    if places.len() > MOST_NAMED {
        places.sort_by_key(|at| !is_failed(*at)); // stable
        places.truncate(MOST_NAMED);
        places.sort_unstable();
    }
    let message = |at: usize| {
        let message = &slot.items[at].message;
        AttemptedMessage {
            id: message.id.to_string(),
            receives: message.system.receive_count,
            group: message.system.group.as_deref().map(str::to_owned),
            failed: is_failed(at),
        }
    };
    places.into_iter().map(message).collect()
}
