//! Attempts on their way into the history: one addition at a time, in bounded memory, and nobody waits for it.

use millstream_types::durable::QueueAttempt;
use std::collections::VecDeque;

/// Most attempts that wait. While the store cannot be used, the oldest of them go.
const MOST_WAITING: usize = 1_000;

/// What is not in the history yet.
#[derive(Debug, Default)]
pub(super) struct Notes {
    waiting: VecDeque<QueueAttempt>,
    on_their_way: bool,
    lost: u64,
    failing: bool,
}

impl Notes {
    pub(super) fn add(&mut self, attempt: QueueAttempt) {
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(attempt);
    }

    /// What is to be written next, if there is something and nothing is being written; at the end in any case.
    pub(super) fn take(&mut self, is_last: bool) -> Option<Vec<QueueAttempt>> {
        if self.waiting.is_empty() || (self.on_their_way && !is_last) {
            return None;
        }
        self.on_their_way = true;
        Some(self.waiting.drain(..).collect())
    }

    /// What was taken is written, or lost; the log says so when that begins and when it is over.
    pub(super) fn written(&mut self, result: Result<(), String>, mapping: &str) {
        self.on_their_way = false;
        match result {
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::warn!(
                    mapping,
                    error,
                    "the history of attempts cannot be written: it has a gap"
                );
            }
            Err(_) => {}
            Ok(()) => {
                let lost = std::mem::take(&mut self.lost);
                if std::mem::take(&mut self.failing) || lost > 0 {
                    tracing::warn!(mapping, lost, "the history of attempts is written again");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::durable::AttemptResult;
    use millstream_types::{MappingId, RequestId, Wall};

    fn attempt(slot: u32) -> QueueAttempt {
        QueueAttempt {
            mapping: MappingId::from_random(1),
            slot,
            request_id: RequestId::from_random(1),
            attempt: 1,
            messages: 1,
            finished: 1,
            result: AttemptResult::Done,
            started: Wall(0),
            ended: Wall(0),
            age_ms: 0,
            error: None,
            named: Vec::new(),
        }
    }

    fn slots(taken: Option<Vec<QueueAttempt>>) -> Vec<u32> {
        taken.into_iter().flatten().map(|a| a.slot).collect()
    }

    #[test]
    fn one_addition_is_on_its_way_and_the_next_has_all_that_came_up() {
        let mut notes = Notes::default();
        assert_eq!(notes.take(false), None);
        notes.add(attempt(0));
        assert_eq!(slots(notes.take(false)), [0]);
        notes.add(attempt(1));
        notes.add(attempt(2));
        assert_eq!(notes.take(false), None);
        notes.written(Err("disk".to_owned()), "m");
        assert_eq!(slots(notes.take(false)), [1, 2]);
        notes.add(attempt(3));
        assert_eq!(slots(notes.take(true)), [3], "the last does not wait");
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_goes() {
        let mut notes = Notes::default();
        (0..1_500).for_each(|slot| notes.add(attempt(slot)));
        let kept = slots(notes.take(false));
        assert_eq!((kept.len(), kept[0], notes.lost), (1_000, 500, 500));
    }
}
