//! Cutting batches: whichever of size, window and payload comes first (semantics, section 4).

use crate::route::Entry;
use millstream_types::{Mono, Wall};
use std::collections::VecDeque;
use std::time::Duration;

/// A record that waits in a lane.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) entry: Entry,
    /// Index of the part it belonged to before the number of lanes changed: such parts are not mixed.
    pub(super) carried: Option<usize>,
}

/// What decides whether a batch is ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct CutRule {
    pub(super) batch_size: usize,
    pub(super) event_bytes: usize,
    /// A record that arrived before this is too old to be tried.
    pub(super) expired_before: Option<Wall>,
    /// Bytes of an event without its records.
    pub(super) around: usize,
    /// A record that arrived then or later belongs to another tumbling window.
    pub(super) window_end: Option<Wall>,
}

/// Whether there is a batch, and how many of the first waiting records it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nothing to take.
    Nothing,
    /// So many records, though more would fit: take them only when the window is over.
    Underfilled(usize),
    /// So many records, now.
    Full(usize),
}

/// Decides on the records at the front.
pub(super) fn cut(waiting: &VecDeque<Waiting>, rule: &CutRule) -> Cut {
    let Some(first) = waiting.front() else {
        return Cut::Nothing;
    };
    let expired = |w: &Waiting| rule.expired_before.is_some_and(|t| w.entry.record.arrival < t);
    let old = expired(first);
    let another_window = |w: &Waiting| rule.window_end.is_some_and(|t| w.entry.record.arrival >= t);
    let mut bytes = rule.around;
    let n = waiting.len();
    for (n, w) in waiting.iter().enumerate() {
        let with = bytes + w.entry.encoded_len as usize + usize::from(n > 0);
        let another_kind = w.carried != first.carried || expired(w) != old || another_window(w);
        if n == rule.batch_size || another_kind || (n > 0 && with > rule.event_bytes) {
            return Cut::Full(n);
        }
        bytes = with;
    }
    if n == rule.batch_size || old || bytes >= rule.event_bytes {
        Cut::Full(n)
    } else {
        Cut::Underfilled(n)
    }
}

/// When the window of a lane (or of a queue's slot) ends: it begins as the previous invocation completes (semantics 4.2), or, if it
/// passed with nothing to send, when the first record comes after that.
pub(crate) fn window_end(idle_since: Mono, first_waiting_since: Mono, window: Duration) -> Mono {
    let end = idle_since.plus(window);
    if first_waiting_since < end {
        end
    } else {
        first_waiting_since.plus(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventShape;
    use bytes::Bytes;
    use millstream_types::{Mark, Record, Seq};

    /// Encoded length, arrival, and the part it was carried over from.
    type Spec = (u32, u64, Option<usize>);

    fn waiting(spec: &[Spec]) -> VecDeque<Waiting> {
        let record = |(n, arrival): (usize, u64)| Record {
            mark: Mark::of(Seq::from_u128(n as u128)),
            arrival: Wall(arrival),
            partition_key: Bytes::new(),
            data: Bytes::new(),
            trace: None,
        };
        spec.iter()
            .enumerate()
            .map(|(n, &(encoded_len, arrival, carried))| Waiting {
                entry: Entry {
                    record: record((n, arrival)),
                    encoded_len,
                },
                carried,
            })
            .collect()
    }

    #[test]
    fn the_first_limit_wins() {
        let plain = |lens: &[u32]| lens.iter().map(|l| (*l, 100, None)).collect::<Vec<_>>();
        let envelope = EventShape::ENVELOPE_LEN as u32;
        let cases: Vec<(&str, Vec<Spec>, Cut)> = vec![
            ("nothing waits", vec![], Cut::Nothing),
            ("fewer than the size", plain(&[10, 10]), Cut::Underfilled(2)),
            ("exactly the size", plain(&[10, 10, 10]), Cut::Full(3)),
            ("more than the size", plain(&[10, 10, 10, 10]), Cut::Full(3)),
            (
                "the third does not fit: 2 commas count",
                plain(&[100, 100, 1000 - envelope - 201]),
                Cut::Full(2),
            ),
            (
                "all three fit to the byte",
                plain(&[100, 100, 1000 - envelope - 202]),
                Cut::Full(3),
            ),
            ("one that never fits goes alone", plain(&[2000, 10]), Cut::Full(1)),
            (
                "full to the byte before the size",
                plain(&[1000 - envelope]),
                Cut::Full(1),
            ),
            (
                "expired records go apart",
                vec![(10, 40, None), (10, 49, None), (10, 50, None)],
                Cut::Full(2),
            ),
            ("only expired", vec![(10, 40, None)], Cut::Full(1)),
            (
                "carried parts are not mixed",
                vec![(10, 90, Some(1)), (10, 90, None)],
                Cut::Full(1),
            ),
            (
                "tumbling windows are not mixed",
                vec![(10, 199, None), (10, 100, None), (10, 200, None)],
                Cut::Full(2),
            ),
        ];
        let rule = CutRule {
            batch_size: 3,
            event_bytes: 1000,
            expired_before: Some(Wall(50)),
            around: EventShape::ENVELOPE_LEN,
            window_end: Some(Wall(200)),
        };
        for (what, spec, expect) in cases {
            assert_eq!(cut(&waiting(&spec), &rule), expect, "{what}");
        }
    }

    #[test]
    fn the_window_begins_with_the_previous_completion_or_with_the_first_record_after_it() {
        let window = Duration::from_nanos(50);
        for (idle, first, end) in [(100, 90, 150), (100, 149, 150), (100, 150, 200), (100, 900, 950)] {
            assert_eq!(
                window_end(Mono(idle), Mono(first), window),
                Mono(end),
                "idle {idle}, first {first}"
            );
        }
    }
}
