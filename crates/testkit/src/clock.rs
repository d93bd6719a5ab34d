//! A clock that stands still until a test moves it.

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use millstream_ports::Clock;
use millstream_types::{Mono, Now, Wall};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A clock that a test moves by hand; both of its readings advance together.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Now,
    sleepers: Vec<(Mono, oneshot::Sender<()>)>,
}

impl ManualClock {
    /// A clock that shows `wall`, and 0 as its monotonic time.
    #[must_use]
    pub fn at(wall: Wall) -> Self {
        Self {
            state: Mutex::new(State {
                now: Now { wall, mono: Mono(0) },
                sleepers: Vec::new(),
            }),
        }
    }

    /// Moves on and wakes whoever slept until then, in the order of their deadlines.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.now = Now {
            wall: state.now.wall.plus(by),
            mono: state.now.mono.plus(by),
        };
        let now = state.now.mono;
        state.sleepers.sort_by_key(|s| s.0);
        let due = state.sleepers.partition_point(|s| s.0 <= now);
        for (_, waker) in state.sleepers.drain(..due) {
            // A sleeper that was dropped needs no waking.
            let _gone = waker.send(());
        }
    }

    /// Moves to the earliest deadline somebody sleeps for; false if nobody does.
    pub fn advance_to_next(&self) -> bool {
        self.advance_towards_next(Duration::MAX)
    }

    /// The same, but by `most` at once: work that is slow in real time does not meet a deadline far away.
    pub fn advance_towards_next(&self, most: Duration) -> bool {
        let next = self
            .state()
            .sleepers
            .iter()
            .filter(|s| !s.1.is_canceled())
            .map(|s| s.0)
            .min();
        let Some(next) = next else { return false };
        let by = next.since(self.now().mono).min(most);
        self.advance(by);
        true
    }

    /// How many sleep.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.state()
            .sleepers
            .iter()
            .filter(|s| !s.1.is_canceled())
            .count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        self.state().now
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        let mut state = self.state();
        if at <= state.now.mono {
            return futures::future::ready(()).boxed();
        }
        let (waker, woken) = oneshot::channel();
        state.sleepers.push((at, waker));
        woken.map(|_| ()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleepers_wake_when_their_time_comes_and_not_before() {
        let clock = ManualClock::at(Wall(1_000));
        let mut at_5 = clock.sleep_until(Mono(5_000_000));
        let mut past = clock.sleep_until(Mono(0));
        assert!((&mut past).now_or_never().is_some());
        clock.advance(Duration::from_millis(4));
        assert!((&mut at_5).now_or_never().is_none());
        assert!(clock.advance_to_next());
        assert!((&mut at_5).now_or_never().is_some());
        assert_eq!(
            clock.now(),
            Now {
                wall: Wall(1_005),
                mono: Mono(5_000_000)
            }
        );
        assert_eq!((clock.sleepers(), clock.advance_to_next()), (0, false));
    }
}
