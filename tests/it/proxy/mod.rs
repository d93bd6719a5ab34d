//! A proxy before a component that speaks AWS's JSON protocols over HTTP, and makes of loopback a bad network: it delays,
//! resets, throttles and cuts answers, by a seed; or it cuts everybody off. It counts what it does and what goes through.
//!
//! Only the server under test goes through it. Whoever fills streams and queues talks to the component itself, so that what
//! was acknowledged is there.

mod chance;
mod http;
mod serve;
mod tests;

use crate::wait::{SOON, until};
use chance::Decks;
pub(crate) use chance::{Fault, Rates};
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything goes through.
    Calm,
    /// Requests meet faults.
    Rough,
    /// No connection lives, and none is made.
    CutOff,
}

/// What went through, by operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: BTreeMap<String, u64>,
    pub(crate) faults: BTreeMap<Fault, BTreeMap<String, u64>>,
    /// Requests that are on their way, and the most that ever were.
    outstanding: BTreeMap<String, usize>,
    pub(crate) most_outstanding: BTreeMap<String, usize>,
}

impl Counts {
    pub(crate) fn hits(&self, fault: Fault, operation: &str) -> u64 {
        let by_operation = self.faults.get(&fault);
        by_operation
            .and_then(|of| of.get(operation))
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn total(&self) -> u64 {
        self.requests.values().sum()
    }
}

/// How many of each fault there were, for people.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = Fault::ALL.iter().map(|kind| {
            let n: u64 = self.faults.get(kind).map_or(0, |of| of.values().sum());
            format!("{kind:?} {n}")
        });
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        write!(f, "{{{kinds}}} of {} requests", self.total())
    }
}

/// What the tasks of a proxy share.
struct Shared {
    /// `IP:PORT` of the component.
    component: String,
    weather: watch::Sender<Weather>,
    decks: Mutex<Decks>,
    counts: Mutex<Counts>,
}

impl Shared {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proxy on a free port of loopback, with calm weather at first. It stops, with all its connections, when it is dropped.
pub(crate) struct Proxy {
    /// `http://IP:PORT`.
    pub(crate) url: String,
    seed: u64,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Proxy {
    /// Before the component at `url` (`http://IP:PORT`).
    pub(crate) async fn before(url: &str, seed: u64, rates: Rates) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            component: url.trim_start_matches("http://").to_owned(),
            weather: watch::Sender::new(Weather::Calm),
            decks: Mutex::new(Decks::new(seed, rates)),
            counts: Mutex::default(),
        });
        let task = tokio::spawn(serve::accept(listener, shared.clone())).abort_handle();
        Self {
            url: format!("http://{address}"),
            seed,
            shared,
            task,
        }
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.shared.counts().clone()
    }

    /// Counts from zero again; what is on its way stays on its way.
    pub(crate) fn count_anew(&self) {
        let mut counts = self.shared.counts();
        let outstanding = std::mem::take(&mut counts.outstanding);
        *counts = Counts {
            most_outstanding: outstanding.clone(),
            outstanding,
            ..Counts::default()
        };
    }

    /// Waits until every kind of fault has met a request of one of these operations.
    ///
    /// # Panics
    /// If one does not.
    pub(crate) async fn hit_all(&self, operations: &[&str]) {
        until("every fault to meet a request", SOON, async || {
            let counts = self.counts();
            let has_met = |fault: Fault| {
                operations
                    .iter()
                    .any(|operation| counts.hits(fault, operation) > 0)
            };
            Fault::ALL.into_iter().all(has_met).then_some(())
        })
        .await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        if std::thread::panicking() {
            let counts = self.counts();
            eprintln!("--- proxy, seed {}: {counts}: {counts:?}", self.seed);
        }
    }
}
