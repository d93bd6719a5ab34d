//! Connections that are kept for the next request.

use super::link::Link;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a connection is kept without a request.
const IDLE: Duration = Duration::from_secs(30);
/// How long a connection is used in all; the next one looks its name up anew.
const LIFETIME: Duration = Duration::from_mins(5);

/// The connections of one function that nobody uses now. At most as many as the function has places.
#[derive(Default)]
pub(super) struct Idle {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// And since when; the last is taken first, so that surplus ones stay idle.
    links: Vec<(Instant, Link)>,
    sweeping: bool,
    closed: bool,
}

impl Idle {
    /// The connection used last of those that can still be used.
    pub(super) async fn take(&self) -> Option<Link> {
        loop {
            let (_, mut link) = self.state().links.pop()?;
            if !link.closed() && link.ready().await {
                return Some(link);
            }
        }
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn keep(self: &Arc<Self>, link: Link) {
        let now = Instant::now();
        if link.closed() || !link.whole() || now.saturating_duration_since(link.born()) >= LIFETIME {
            return;
        }
        let mut state = self.state();
        if state.closed {
            return;
        }
        state.links.push((now, link));
        if !std::mem::replace(&mut state.sweeping, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes all, and every one that comes back.
    pub(super) fn close(&self) {
        let links = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.links)
        };
        drop(links); // outside the lock
    }

    /// Takes out what has been idle for long, and tells whether more is left to watch.
    fn surplus(&self, now: Instant) -> (Vec<(Instant, Link)>, bool) {
        let mut state = self.state();
        let old = |since: Instant| now.saturating_duration_since(since) >= IDLE;
        let count = state.links.iter().take_while(|(since, _)| old(*since)).count();
        let surplus = state.links.drain(..count).collect();
        state.sweeping = !state.links.is_empty();
        (surplus, state.sweeping)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what has been idle for long, until there is nothing left.
async fn sweep(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(IDLE / 2).await;
        let Some(idle) = idle.upgrade() else { return };
        let (surplus, more) = idle.surplus(Instant::now());
        drop(surplus); // outside the lock
        if !more {
            return;
        }
    }
}
