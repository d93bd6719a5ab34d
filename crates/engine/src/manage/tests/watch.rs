//! Watching through the manager.

use super::fakes::*;
use crate::manage::{MappingPatch, NewMapping, WatchItem};
use crate::view::{Lagged, MappingEvent};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use millstream_core::mapping_state::MappingState;
use millstream_ports::Catalog as _;
use millstream_types::MappingSpec;

type Watch = BoxStream<'static, Result<WatchItem, Lagged>>;

/// The next item in short: `+name state`, `-name`, `end of snapshot`, `lagged`, `closed`.
async fn next(watch: &mut Watch) -> String {
    match watch.next().await {
        Some(Ok(WatchItem::Event(MappingEvent::Updated(v)))) => {
            format!(
                "+{} {:?} {}",
                v.mapping.name, v.status.state, v.mapping.spec.batch_size
            )
        }
        Some(Ok(WatchItem::Event(MappingEvent::Removed(m)))) => format!("-{}", m.name),
        Some(Ok(WatchItem::SnapshotEnd)) => "end of snapshot".into(),
        Some(Err(Lagged)) => "lagged".into(),
        None => "closed".into(),
    }
}

#[tokio::test]
async fn a_watch_shows_what_is_and_then_what_happens() {
    let w = World::new().await;
    let (ns, m) = (namespace(), name("m"));
    let id = w
        .manager
        .create_mapping(new_mapping("m"), false)
        .await
        .unwrap()
        .mapping
        .id;
    let mut watch = w.manager.watch_mappings(&ns).await.unwrap();
    assert_eq!(next(&mut watch).await, "+m Creating 100");
    assert_eq!(next(&mut watch).await, "end of snapshot");

    let active = status(MappingState::Active, 1);
    w.live.states.lock().unwrap().insert(id, active.clone());
    w.live.changes.send((id, active)).unwrap();
    assert_eq!(next(&mut watch).await, "+m Active 100");

    let patch = MappingPatch {
        batch_size: Some(Some(5)),
        ..Default::default()
    };
    w.manager
        .update_mapping(&ns, &m, &patch, None, false)
        .await
        .unwrap();
    assert_eq!(next(&mut watch).await, "+m Updating 5");

    w.manager.create_function(new_function("g"), false).await.unwrap();
    let spec = MappingSpec {
        function: function("g").into(),
        ..spec()
    };
    w.manager
        .create_mapping(
            NewMapping {
                spec,
                ..new_mapping("n")
            },
            false,
        )
        .await
        .unwrap();
    assert_eq!(
        next(&mut watch).await,
        "+n Creating 100",
        "and nothing about the function"
    );

    w.catalog.remove_mapping(&ns, &m, id).await.unwrap();
    assert_eq!(next(&mut watch).await, "-m");
}

#[tokio::test]
async fn what_the_snapshot_shows_is_not_shown_again_and_other_namespaces_are_not_shown() {
    let w = World::new().await;
    let (ns, m) = (namespace(), name("m"));
    w.manager.create_mapping(new_mapping("m"), false).await.unwrap();
    let current = w.manager.mapping(&ns, &m).await.unwrap().mapping;
    let mut watch = w.manager.watch_mappings(&ns).await.unwrap();
    next(&mut watch).await;
    next(&mut watch).await;

    let foreign = millstream_types::Mapping {
        namespace: millstream_types::Namespace::new("other").unwrap(),
        id: millstream_types::MappingId::from_random(99),
        revision: 1_000,
        ..current.clone()
    };
    for mapping in [current, foreign] {
        let change = millstream_ports::Change::Put(millstream_ports::Resource::Mapping(mapping));
        w.catalog
            .events
            .send(millstream_ports::CatalogEvent { revision: 0, change })
            .unwrap();
    }
    let patch = MappingPatch {
        batch_size: Some(Some(6)),
        ..Default::default()
    };
    w.manager
        .update_mapping(&ns, &m, &patch, None, false)
        .await
        .unwrap();
    assert_eq!(next(&mut watch).await, "+m Creating 6");
}

#[tokio::test]
async fn a_slow_watcher_is_told_once_and_then_the_watch_is_over() {
    let w = World::new().await;
    let id = w
        .manager
        .create_mapping(new_mapping("m"), false)
        .await
        .unwrap()
        .mapping
        .id;
    let mut watch = w.manager.watch_mappings(&namespace()).await.unwrap();
    next(&mut watch).await;
    next(&mut watch).await;
    for generation in 0..20 {
        w.live
            .changes
            .send((id, status(MappingState::Active, generation)))
            .unwrap();
    }
    assert_eq!(next(&mut watch).await, "lagged");
    assert_eq!(next(&mut watch).await, "closed");
}

#[tokio::test]
async fn a_watch_ends_with_the_engine() {
    let w = World::new().await;
    let mut watch = w.manager.watch_mappings(&namespace()).await.unwrap();
    assert_eq!(next(&mut watch).await, "end of snapshot");
    drop(w);
    assert_eq!(next(&mut watch).await, "closed");
}
