//! Tasks that belong to an actor: they end with it, and what they find out comes back as a message.

use millstream_ports::Clock;
use millstream_types::Mono;
use std::future::Future;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A task that is aborted when its owner lets go of it.
#[derive(Debug)]
pub(crate) struct Owned(Option<JoinHandle<()>>);

impl Owned {
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(tokio::spawn(task)))
    }

    /// Lets it go on to its end without an owner.
    pub(crate) fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// A timer that can be set again; only the last setting fires.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    set: Option<(Mono, Owned)>,
}

impl Timer {
    /// Fires `then` at `at`, in place of what was set before; never, if `at` is none.
    pub(crate) fn set(
        &mut self,
        clock: &Arc<dyn Clock>,
        at: Option<Mono>,
        then: impl FnOnce() + Send + 'static,
    ) {
        if self.set.as_ref().map(|s| s.0) == at {
            return;
        }
        self.set = at.map(|at| {
            let sleep = clock.sleep_until(at);
            (
                at,
                Owned::spawn(async move {
                    sleep.await;
                    then();
                }),
            )
        });
    }

    /// It fired: the same time may be set again.
    pub(crate) fn fired(&mut self) {
        self.set = None;
    }
}
