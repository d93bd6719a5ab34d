//! Following the catalog's changes without a gap, in bounded memory.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use millstream_ports::{CatalogEvent, WatchEnd};
use std::collections::VecDeque;
use tokio::sync::broadcast;

/// How many changes are kept for who comes late, and how many a watcher may lag behind.
pub(super) const KEPT: usize = 1024;

/// The newest changes, and who waits for the next.
#[derive(Debug)]
pub(super) struct Changes {
    revision: u64,
    recent: VecDeque<CatalogEvent>,
    watchers: broadcast::Sender<CatalogEvent>,
}

impl Changes {
    pub(super) fn new(revision: u64) -> Self {
        Self {
            revision,
            recent: VecDeque::new(),
            watchers: broadcast::Sender::new(KEPT),
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn add(&mut self, event: CatalogEvent) {
        self.revision = event.revision;
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(event.clone());
        // Nobody has to watch.
        let _ = self.watchers.send(event);
    }

    /// The changes after `from` so far, if all of them are still kept.
    fn since(&self, from: u64) -> Option<VecDeque<CatalogEvent>> {
        let missed = self.revision.checked_sub(from)?;
        let missed = usize::try_from(missed)
            .ok()
            .filter(|missed| *missed <= self.recent.len())?;
        Some(self.recent.range(self.recent.len() - missed..).cloned().collect())
    }
}

/// A watcher.
struct Watch {
    behind: VecDeque<CatalogEvent>,
    coming: broadcast::Receiver<CatalogEvent>,
    /// The newest revision it was told.
    seen: u64,
}

/// All changes after `from`, as they happen. Called under the catalog's lock: nothing falls between the changes
/// so far and those to come.
pub(super) fn watch(changes: &Changes, from: u64) -> BoxStream<'static, Result<CatalogEvent, WatchEnd>> {
    let Some(behind) = changes.since(from) else {
        let end = Err(WatchEnd::Lagged(changes.revision()));
        return stream::once(async { end }).boxed();
    };
    let watch = Watch {
        behind,
        coming: changes.watchers.subscribe(),
        seen: from,
    };
    stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        match watch.next().await? {
            Ok(event) => Some((Ok(event), Some(watch))),
            Err(end) => Some((Err(end), None)),
        }
    })
    .boxed()
}

impl Watch {
    async fn next(&mut self) -> Option<Result<CatalogEvent, WatchEnd>> {
        let event = match self.behind.pop_front() {
            Some(event) => event,
            None => match self.coming.recv().await {
                Ok(event) => event,
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    return Some(Err(WatchEnd::Lagged(self.seen.saturating_add(missed))));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            },
        };
        self.seen = event.revision;
        Some(Ok(event))
    }
}
