//! The tumbling windows of a shard: which one a record belongs to, what is carried from batch to batch, and when one
//! ends (semantics, section 11).
//!
//! A window belongs to one lane, the only one that a shard with windows has. It opens when a batch of it is sent for
//! the first time, and no batch holds records of two. A record that arrived before the window that is open, or that
//! was closed last, belongs where the next one does: nothing is lost, and no window is closed twice. State and
//! position are one: both change when an attempt has succeeded, and both are in the same record.

use crate::event::EventShape;
use crate::mutant::{self, Mutant};
use bytes::Bytes;
use millstream_types::durable::{DiscardWindow, WindowRecord, WindowsRecord};
use millstream_types::{Wall, WindowEnvelope};
use std::time::Duration;

/// Most bytes of a state that is carried on, as JSON: 1 MB. With a longer one the window ends early.
pub const MAX_STATE_BYTES: usize = 1 << 20;

/// How long after its end a window is closed though no later record came, if all there is has been read. AWS waits up
/// to two minutes; a record of the window that is still on its way to the shard has so much time to get there.
pub(super) const IDLE_CLOSE: Duration = Duration::from_secs(10);

/// What a function has as its state when a window begins.
const EMPTY: Bytes = Bytes::from_static(b"{}");

/// The windows of a shard.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    /// None: they are switched off, and the open one is closed before anything else that was not tried in it.
    length: Option<Duration>,
    floor: Wall,
    open: Option<Window>,
}

/// A window that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: Wall,
    pub(super) end: Wall,
    pub(super) state: Bytes,
    /// It ends early, before another record is sent.
    pub(super) early: bool,
}

impl Windows {
    /// The windows of a shard with this length that goes on where `stored` says; none if there are none. A window
    /// that is open keeps its length.
    pub(super) fn resume(length: Option<Duration>, stored: Option<WindowsRecord>) -> Option<Self> {
        let stored = stored.unwrap_or(WindowsRecord {
            floor: Wall(0),
            open: None,
        });
        let open = stored.open.map(|w| Window {
            start: w.start,
            end: w.end,
            state: match mutant::on(Mutant::WindowStateForgotten) {
                true => EMPTY,
                false => w.state,
            },
            early: w.early,
        });
        (length.is_some() || open.is_some()).then_some(Self {
            length,
            floor: stored.floor,
            open,
        })
    }

    pub(super) fn stored(&self) -> WindowsRecord {
        WindowsRecord {
            floor: self.floor,
            open: self.open.as_ref().map(|w| WindowRecord {
                start: w.start,
                end: w.end,
                state: w.state.clone(),
                early: w.early,
            }),
        }
    }

    pub(super) fn open(&self) -> Option<&Window> {
        self.open.as_ref()
    }

    /// Whether they are switched off, and only what is open is left of them.
    pub(super) fn end_now(&self) -> bool {
        self.length.is_none()
    }

    /// The window of a record that arrived then, as it would be if it were the next one: the open one, or a new one.
    pub(super) fn of(&self, arrival: Wall) -> Window {
        let at = arrival.max(self.floor);
        match &self.open {
            Some(open) if at < open.end || self.end_now() => open.clone(),
            _ => {
                let length = self.length.map_or(u64::MAX, |l| l.as_millis() as u64).max(1);
                let start = at.0 - at.0 % length;
                Window {
                    start: Wall(start),
                    end: Wall(start.saturating_add(length)),
                    state: EMPTY,
                    early: false,
                }
            }
        }
    }

    /// Opens the window of a record that arrived then, unless one is open; the end of the one that is.
    pub(super) fn enter(&mut self, arrival: Wall) -> Wall {
        let window = self.of(arrival);
        let open = self.open.get_or_insert(window);
        self.floor = self.floor.max(open.start);
        open.end
    }

    /// Keeps what the function returned; true if the window has to end early for it.
    pub(super) fn keep(&mut self, state: Bytes, most: usize) -> bool {
        let Some(open) = self.open.as_mut() else {
            return false;
        };
        open.early = state.len() > most;
        open.state = state;
        open.early
    }

    /// The window ends early, if that gives room for a record: its state does not fit beside it.
    pub(super) fn make_room(&mut self) -> bool {
        match self.open.as_mut() {
            Some(open) if open.state.len() > EMPTY.len() => {
                open.early = true;
                true
            }
            _ => false,
        }
    }

    /// Its last invocation is over, or given up. After an early end the same window goes on if another record of it
    /// comes, with a fresh state.
    pub(super) fn close(&mut self) {
        if let Some(open) = self.open.take() {
            let from = if open.early { open.start } else { open.end };
            self.floor = self.floor.max(from);
        }
    }

    /// What is said of the open window in an invocation; `last` if it is the one without records that ends it.
    pub(super) fn envelope(&self, last: bool) -> Option<WindowEnvelope> {
        self.open.as_ref().map(|w| w.envelope(last))
    }

    /// When the open window is closed if no record comes.
    pub(super) fn idle_close(&self) -> Option<Wall> {
        let open = self.open.as_ref();
        open.filter(|_| !mutant::on(Mutant::WindowNeverEnds))
            .map(|w| w.end.plus(IDLE_CLOSE))
    }
}

impl Window {
    /// Whether a record that arrived then does not belong to it; an earlier one does.
    pub(super) fn is_over(&self, arrival: Wall) -> bool {
        arrival >= self.end && !mutant::on(Mutant::WindowTakesNext)
    }

    fn envelope(&self, last: bool) -> WindowEnvelope {
        WindowEnvelope {
            start: self.start,
            end: self.end,
            state: self.state.clone(),
            is_final: last,
            terminated_early: last && self.early,
        }
    }

    /// Bytes of an event of it without its records.
    pub(super) fn around(&self, shape: &EventShape) -> usize {
        // `false` is longer than `true`.
        EventShape::ENVELOPE_LEN + shape.window_len(&self.envelope(false))
    }
}

/// What is kept of a window with what was given up in it.
pub(super) fn of_discard(window: &WindowEnvelope) -> DiscardWindow {
    DiscardWindow {
        start: window.start,
        end: window.end,
        is_final: window.is_final,
        terminated_early: window.terminated_early,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(seconds: u64) -> Windows {
        Windows::resume(Some(Duration::from_secs(seconds)), None).unwrap()
    }

    fn span(window: &Window) -> (u64, u64) {
        (window.start.0, window.end.0)
    }

    #[test]
    fn windows_are_multiples_of_their_length_by_arrival() {
        for (seconds, arrival, expect) in [
            (60, 0, (0, 60_000)),
            (60, 59_999, (0, 60_000)),
            (60, 60_000, (60_000, 120_000)),
            (120, 1_607_497_475_000, (1_607_497_440_000, 1_607_497_560_000)),
            (1, 1_234, (1_000, 2_000)),
            (900, 899_999, (0, 900_000)),
        ] {
            assert_eq!(
                span(&windows(seconds).of(Wall(arrival))),
                expect,
                "{seconds} s, {arrival}"
            );
        }
    }

    #[test]
    fn what_comes_late_goes_where_the_next_record_goes() {
        let mut w = windows(60);
        w.enter(Wall(130_000));
        assert_eq!(span(&w.of(Wall(10_000))), (120_000, 180_000), "into the open one");
        assert_eq!(span(&w.of(Wall(180_000))), (180_000, 240_000));
        w.close();
        assert_eq!(
            span(&w.of(Wall(10_000))),
            (180_000, 240_000),
            "never into a closed one"
        );
        assert_eq!(span(&w.of(Wall(300_000))), (300_000, 360_000));
    }

    #[test]
    fn after_an_early_end_the_same_window_goes_on_with_a_fresh_state() {
        let mut w = windows(60);
        w.enter(Wall(130_000));
        assert!(!w.keep(Bytes::from_static(b"[1]"), 3));
        assert!(w.keep(Bytes::from_static(b"[12]"), 3));
        let last = w.envelope(true).unwrap();
        assert!(last.is_final && last.terminated_early && last.state == "[12]");
        w.close();
        assert!(w.open().is_none());
        w.enter(Wall(131_000));
        let next = w.envelope(false).unwrap();
        assert_eq!((next.start, &next.state[..]), (Wall(120_000), &b"{}"[..]));
        assert!(!next.is_final && !next.terminated_early);
    }

    #[test]
    fn another_length_counts_from_the_end_of_what_is_open() {
        let mut w = windows(60);
        w.enter(Wall(130_000));
        let mut longer = Windows::resume(Some(Duration::from_secs(100)), Some(w.stored())).unwrap();
        assert_eq!(span(&longer.of(Wall(179_999))), (120_000, 180_000));
        longer.close();
        assert_eq!(
            span(&longer.of(Wall(170_000))),
            (100_000, 200_000),
            "a multiple, with what is left"
        );
        w.close();
        let off = Windows::resume(None, Some(w.stored()));
        assert!(off.is_none(), "nothing is left to do");
    }

    #[test]
    fn what_is_switched_off_keeps_only_what_is_open() {
        let mut w = windows(60);
        w.enter(Wall(130_000));
        let off = Windows::resume(None, Some(w.stored())).unwrap();
        assert!(off.end_now());
        assert_eq!(span(&off.of(Wall(900_000))), (120_000, 180_000));
    }
}
