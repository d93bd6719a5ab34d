//! Wakes queues when a delay or a visibility timeout ends: one task for all of them, asleep until the first.

use super::Queue;
use millstream_ports::Clock;
use millstream_types::Mono;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;

/// Which queue is to be woken when.
#[derive(Default)]
pub(crate) struct Alarms {
    due: Mutex<BTreeMap<(Mono, u64), Weak<Queue>>>,
    /// Told when an alarm is set before all others.
    sooner: Notify,
}

impl Alarms {
    /// Wakes the queue at `at`. Earlier alarms of it stay, and do no harm.
    pub(crate) fn set(&self, at: Mono, id: u64, queue: Weak<Queue>) {
        let mut due = self.lock();
        let first = due.first_key_value().is_none_or(|((first, _), _)| at < *first);
        due.insert((at, id), queue);
        drop(due);
        if first {
            self.sooner.notify_one();
        }
    }

    fn first(&self) -> Option<Mono> {
        self.lock().first_key_value().map(|((at, _), _)| *at)
    }

    fn take_due(&self, now: Mono) -> Vec<Weak<Queue>> {
        let mut due = self.lock();
        let later = due.split_off(&(now, u64::MAX));
        std::mem::replace(&mut *due, later).into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Mono, u64), Weak<Queue>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs for as long as the broker lives.
pub(crate) async fn run(alarms: Arc<Alarms>, clock: Arc<dyn Clock>) {
    loop {
        let sooner = alarms.sooner.notified();
        tokio::pin!(sooner);
        sooner.as_mut().enable();
        match alarms.first() {
            Some(at) => {
                tokio::select! {
                    () = clock.sleep_until(at) => {}
                    () = sooner => continue,
                }
            }
            None => {
                sooner.await;
                continue;
            }
        }
        let now = clock.now().mono;
        for queue in alarms.take_due(now) {
            if let Some(queue) = queue.upgrade() {
                queue.on_alarm(now);
            }
        }
    }
}

impl Queue {
    fn on_alarm(&self, now: Mono) {
        let mut state = self.lock();
        state.alarm = None;
        let any = state.expire_due(now);
        self.set_alarm(&mut state);
        drop(state);
        if any {
            self.arrivals.notify_one();
        }
    }

    /// Sees to it that the next deadline of a held message is noticed.
    pub(super) fn set_alarm(&self, state: &mut super::state::State) {
        let Some(next) = state.held.next_due() else { return };
        if state.alarm.is_none_or(|set| next < set) {
            state.alarm = Some(next);
            self.host.alarms.set(next, self.id, self.me.clone());
        }
    }
}
