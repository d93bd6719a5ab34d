//! Following the mappings of a namespace: a snapshot, then every change.
//!
//! Two sources are merged: the catalog's changes and the engine's observations. Both are subscribed to before the
//! snapshot is read, so that nothing falls between; what the snapshot already shows is not shown again.

use super::error::ManageError;
use super::mappings::show;
use super::{Manager, observed};
use crate::view::{Lagged, Live, MappingEvent, MappingStatus};
use futures::stream::{self, BoxStream, StreamExt as _};
use millstream_ports::{CatalogEvent, Change, Resource, WatchEnd};
use millstream_types::{Mapping, MappingId, Namespace};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a watcher sees.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // moved one by one, and the small variant comes once
pub enum WatchItem {
    /// During the snapshot: exists. Later: happened.
    Event(MappingEvent),
    /// The snapshot is complete. Comes once.
    SnapshotEnd,
}

enum Input {
    Catalog(Result<Box<CatalogEvent>, WatchEnd>),
    Observed(Result<(MappingId, MappingStatus), Lagged>),
    /// One of the two ended: the engine stops.
    End,
}

/// What a watcher was shown, to tell what is news.
struct Follower {
    namespace: Namespace,
    known: BTreeMap<MappingId, Mapping>,
    live: Arc<dyn Live>,
}

impl Manager {
    /// Follows the mappings of a namespace. The stream ends with [`Lagged`] when the watcher was too slow, and
    /// without an error when the engine stops.
    ///
    /// # Errors
    /// The catalog's, while the snapshot is read.
    pub async fn watch_mappings(
        &self,
        namespace: &Namespace,
    ) -> Result<BoxStream<'static, Result<WatchItem, Lagged>>, ManageError> {
        let observed = self.ports.live.status_changes();
        let changes = self.ports.catalog.watch(self.ports.catalog.revision());
        let mappings = self.all_mappings(namespace, |_| true).await?;
        let snapshot: Vec<_> = mappings
            .iter()
            .map(|m| Ok(updated(self.view(m.clone()))))
            .collect();
        let mut follower = Follower {
            namespace: namespace.clone(),
            known: mappings.into_iter().map(|m| (m.id, m)).collect(),
            live: self.ports.live.clone(),
        };
        let end = || stream::once(async { Input::End });
        let inputs = stream::select(
            changes
                .map(|event| Input::Catalog(event.map(Box::new)))
                .chain(end()),
            observed.map(Input::Observed).chain(end()),
        );
        let news = inputs
            .map(move |input| follower.take(input))
            .take_while(|next| std::future::ready(!matches!(next, Next::End)))
            .filter_map(|next| std::future::ready(next.into_item()));
        let all = stream::iter(snapshot)
            .chain(stream::once(async { Ok(WatchItem::SnapshotEnd) }))
            .chain(news);
        Ok(until_first_error(all).boxed())
    }
}

enum Next {
    Show(Box<Result<WatchItem, Lagged>>),
    Nothing,
    End,
}

impl Next {
    fn show(item: Result<WatchItem, Lagged>) -> Self {
        Self::Show(Box::new(item))
    }

    fn into_item(self) -> Option<Result<WatchItem, Lagged>> {
        match self {
            Self::Show(item) => Some(*item),
            Self::Nothing | Self::End => None,
        }
    }
}

impl Follower {
    fn take(&mut self, input: Input) -> Next {
        match input {
            Input::Catalog(Ok(event)) => self.changed(event.change),
            Input::Observed(Ok((id, status))) => self.observed(id, status),
            Input::Catalog(Err(WatchEnd::Lagged(_))) | Input::Observed(Err(Lagged)) => {
                Next::show(Err(Lagged))
            }
            Input::End => Next::End,
        }
    }

    fn changed(&mut self, change: Change) -> Next {
        match change {
            Change::Put(Resource::Mapping(m)) if m.namespace == self.namespace => {
                if self
                    .known
                    .get(&m.id)
                    .is_some_and(|known| known.revision >= m.revision)
                {
                    return Next::Nothing;
                }
                self.known.insert(m.id, m.clone());
                Next::show(Ok(updated(show(&*self.live, m))))
            }
            Change::Removed(Resource::Mapping(m)) => match self.known.remove(&m.id) {
                Some(_) => Next::show(Ok(WatchItem::Event(MappingEvent::Removed(m)))),
                None => Next::Nothing,
            },
            Change::Put(_) | Change::Removed(_) => Next::Nothing,
        }
    }

    fn observed(&self, id: MappingId, status: MappingStatus) -> Next {
        match self.known.get(&id) {
            Some(mapping) => Next::show(Ok(updated(observed::view(mapping.clone(), status)))),
            None => Next::Nothing,
        }
    }
}

fn updated(view: crate::view::MappingView) -> WatchItem {
    WatchItem::Event(MappingEvent::Updated(view))
}

/// Ends a stream behind its first error.
fn until_first_error<S>(items: S) -> impl futures::Stream<Item = Result<WatchItem, Lagged>>
where
    S: futures::Stream<Item = Result<WatchItem, Lagged>>,
{
    items.scan(false, |failed, item| {
        let next = (!*failed).then(|| {
            *failed = item.is_err();
            item
        });
        std::future::ready(next)
    })
}
