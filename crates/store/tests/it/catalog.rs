//! Mappings and functions: revisions, watches, restarts, doubt.

use crate::support::{TestDb, mapping as mapping_id};
use futures::{FutureExt, StreamExt};
use millstream_ports::{Catalog, CatalogError, CatalogEvent, Change, Resource, WatchEnd};
use millstream_store::CatalogStore;
use millstream_types::{
    Applied, Desired, Function, FunctionName, FunctionSpec, Mapping, MappingName, MappingSpec, Namespace,
    Position, SourceArn, StartPin, StartingPosition, StreamName, Target, Wall,
};

fn ns(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

fn function(namespace: &str, name: &str) -> Function {
    Function {
        namespace: ns(namespace),
        name: FunctionName::new(name).unwrap(),
        spec: FunctionSpec {
            target: Target::InProcess,
            timeout_ms: 3000,
            concurrency: 1,
        },
        generation: 1,
        revision: 0,
        created: Wall(1),
        modified: Wall(1),
        request_id: None,
        applied: Default::default(),
        tags: Default::default(),
    }
}

fn mapping(namespace: &str, name: &str, id: u128) -> Mapping {
    let source = SourceArn::local_stream(&StreamName::new("orders").unwrap());
    Mapping {
        namespace: ns(namespace),
        name: MappingName::new(name).unwrap(),
        id: mapping_id(id),
        spec: MappingSpec::stream(
            source,
            FunctionName::new("f").unwrap(),
            StartingPosition::TrimHorizon,
        ),
        desired: Desired::Running,
        start: Some(StartPin {
            position: Position::Trim,
            shards: vec![],
        }),
        generation: 1,
        revision: 0,
        created: Wall(1),
        modified: Wall(1),
        request_id: Some("r".into()),
        applied: Default::default(),
        tags: Default::default(),
    }
}

fn open(test: &TestDb) -> CatalogStore {
    CatalogStore::open(test.db.clone()).unwrap()
}

#[tokio::test]
async fn changes_follow_revisions() {
    let test = TestDb::new();
    let catalog = open(&test);
    let first = catalog.put_function(function("default", "f")).await.unwrap();
    assert_eq!((first.revision, catalog.revision()), (1, 1));
    let exists = CatalogError::AlreadyExists {
        kind: "function",
        name: "f".into(),
    };
    assert_eq!(catalog.put_function(function("default", "f")).await, Err(exists));
    let second = catalog
        .put_function(Function {
            generation: 2,
            ..first.clone()
        })
        .await
        .unwrap();
    assert_eq!(second.revision, 2);
    let conflict = || CatalogError::Conflict {
        kind: "function",
        name: "f".into(),
        expected: 1,
        actual: 2,
    };
    assert_eq!(catalog.put_function(first).await, Err(conflict()));
    assert_eq!(
        catalog
            .remove_function(&second.namespace, &second.name, Some(1))
            .await,
        Err(conflict())
    );
    let gone = CatalogError::NotFound {
        kind: "function",
        name: "g".into(),
    };
    assert_eq!(
        catalog
            .put_function(Function {
                revision: 2,
                ..function("default", "g")
            })
            .await,
        Err(gone)
    );
    assert_eq!(
        catalog.function(&second.namespace, &second.name).await,
        Ok(second.clone())
    );
    assert_eq!(catalog.revision(), 2);
    catalog
        .remove_function(&second.namespace, &second.name, Some(2))
        .await
        .unwrap();
    assert!(matches!(
        catalog.function(&second.namespace, &second.name).await,
        Err(CatalogError::NotFound { kind: "function", .. })
    ));
    // A removal is a change, and a thing made anew does not look like the old one.
    assert_eq!(
        catalog
            .put_function(function("default", "f"))
            .await
            .unwrap()
            .revision,
        4
    );
}

#[tokio::test]
async fn a_mapping_is_removed_only_under_its_own_id() {
    let test = TestDb::new();
    let catalog = open(&test);
    let stored = catalog.put_mapping(mapping("default", "m", 1)).await.unwrap();
    let remove = |id| catalog.remove_mapping(&stored.namespace, &stored.name, mapping_id(id));
    assert!(matches!(remove(2).await, Err(CatalogError::NotFound { .. })));
    remove(1).await.unwrap();
    assert!(matches!(remove(1).await, Err(CatalogError::NotFound { .. })));
}

#[tokio::test]
async fn all_is_there_after_a_restart() {
    let test = TestDb::new();
    let catalog = open(&test);
    let m = catalog.put_mapping(mapping("default", "m", 1)).await.unwrap();
    let f = catalog.put_function(function("team", "f")).await.unwrap();
    drop(catalog);
    let test = test.restart().await;
    let catalog = open(&test);
    assert_eq!(catalog.revision(), 2);
    assert_eq!(catalog.mapping(&m.namespace, &m.name).await, Ok(m));
    assert_eq!(catalog.function(&f.namespace, &f.name).await, Ok(f));
}

#[tokio::test]
async fn pages_go_by_namespace_and_name() {
    let test = TestDb::new();
    let catalog = open(&test);
    for (namespace, name) in [("b", "x"), ("a", "y"), ("a", "x"), ("a", "z"), ("c", "x")] {
        catalog.put_mapping(mapping(namespace, name, 1)).await.unwrap();
    }
    let list = async |namespace: Option<&str>, after: Option<&str>, limit| {
        let namespace = namespace.map(ns);
        let after = after.map(|name| MappingName::new(name).unwrap());
        let page = catalog
            .mappings(namespace.as_ref(), after.as_ref(), limit)
            .await
            .unwrap();
        assert_eq!(page.revision, 5);
        let names = page.items.iter().map(|m| format!("{}/{}", m.namespace, m.name));
        (names.collect::<Vec<_>>().join(" "), page.more)
    };
    assert_eq!(list(Some("a"), None, 2).await, ("a/x a/y".into(), true));
    assert_eq!(list(Some("a"), Some("y"), 2).await, ("a/z".into(), false));
    assert_eq!(list(Some("a"), Some("z"), 2).await, (String::new(), false));
    assert_eq!(list(Some("b"), None, 1).await, ("b/x".into(), false));
    assert_eq!(list(None, Some("y"), 4).await, ("a/x a/y a/z b/x".into(), true));
    assert_eq!(list(None, None, 100).await, ("a/x a/y a/z b/x c/x".into(), false));
}

#[tokio::test]
async fn a_watch_has_no_gap_between_past_and_future() {
    let test = TestDb::new();
    let catalog = open(&test);
    let f = catalog.put_function(function("default", "f")).await.unwrap();
    let m = catalog.put_mapping(mapping("default", "m", 1)).await.unwrap();
    let mut all = catalog.watch(0);
    let mut new = catalog.watch(2);
    assert!(new.next().now_or_never().is_none());
    catalog.remove_mapping(&m.namespace, &m.name, m.id).await.unwrap();

    let removed = CatalogEvent {
        revision: 3,
        change: Change::Removed(Resource::Mapping(m.clone())),
    };
    let want = [
        CatalogEvent {
            revision: 1,
            change: Change::Put(Resource::Function(f)),
        },
        CatalogEvent {
            revision: 2,
            change: Change::Put(Resource::Mapping(m)),
        },
        removed.clone(),
    ];
    for event in want {
        assert_eq!(all.next().await, Some(Ok(event)));
    }
    assert_eq!(new.next().await, Some(Ok(removed)));
}

#[tokio::test]
async fn who_asks_for_changes_no_longer_kept_is_told_to_list_again() {
    let test = TestDb::new();
    open(&test).put_function(function("default", "f")).await.unwrap();
    let test = test.restart().await;
    let catalog = open(&test);
    for from in [0, 2] {
        let told: Vec<_> = catalog.watch(from).collect().await;
        assert_eq!(told, [Err(WatchEnd::Lagged(1))], "from {from}");
    }
    assert!(catalog.watch(1).next().now_or_never().is_none());
}

#[tokio::test]
async fn a_watcher_that_is_too_slow_is_told_so() {
    let test = TestDb::new();
    let catalog = open(&test);
    let mut slow = catalog.watch(0);
    let mut f = catalog.put_function(function("default", "f")).await.unwrap();
    assert_eq!(slow.next().await.unwrap().unwrap().revision, 1);
    for _ in 0..1500 {
        f = catalog.put_function(f).await.unwrap();
    }
    let told: Vec<_> = slow.collect().await;
    assert!(
        matches!(told[..], [Err(WatchEnd::Lagged(revision))] if revision <= 1501),
        "{}",
        told.len()
    );
    // What is still kept can be watched from, and nothing before it.
    let last: Vec<u64> = catalog
        .watch(1501 - 1024)
        .take(1024)
        .map(|e| e.unwrap().revision)
        .collect()
        .await;
    assert_eq!((last.first(), last.last()), (Some(&478), Some(&1501)));
    assert_eq!(
        catalog.watch(1501 - 1025).next().await,
        Some(Err(WatchEnd::Lagged(1501)))
    );
}

#[tokio::test]
async fn a_change_in_doubt_is_settled_by_the_disk() {
    for written in [false, true] {
        let test = TestDb::new();
        let catalog = open(&test);
        let mut watch = catalog.watch(0);
        if written {
            test.faults.fail_after_write(1)
        } else {
            test.faults.fail_before_write(1)
        }
        let e = catalog.put_function(function("default", "f")).await.unwrap_err();
        assert!(matches!(e, CatalogError::Unavailable(_)), "{e}");
        // Wait until the database is open again.
        test.db
            .write(
                millstream_store::Batch::new(),
                millstream_store::Durability::Synced,
            )
            .await
            .unwrap();
        let found = catalog
            .function(&ns("default"), &FunctionName::new("f").unwrap())
            .await;
        assert_eq!((found.is_ok(), catalog.revision()), (written, u64::from(written)));
        let next = catalog.put_function(function("default", "g")).await.unwrap();
        assert_eq!(next.revision, 1 + u64::from(written));
        let names =
            (0..next.revision).map(|_| watch.next().now_or_never().flatten().unwrap().unwrap().revision);
        assert_eq!(names.collect::<Vec<_>>(), (1..=next.revision).collect::<Vec<_>>());
        let test = test.restart_with(catalog).await;
        assert_eq!(open(&test).revision(), next.revision);
    }
}

/// The request's connection broke after the change was queued: memory and disk still agree.
#[tokio::test]
async fn a_change_that_nobody_waits_for_is_shown_all_the_same() {
    let test = TestDb::new();
    let catalog = open(&test);
    let mut watch = catalog.watch(0);
    let held = test.faults.hold();
    {
        let mut put = Box::pin(catalog.put_function(function("default", "f")));
        assert!(futures::poll!(&mut put).is_pending());
    }
    drop(held);
    assert_eq!(watch.next().await.unwrap().unwrap().revision, 1);
    let g = catalog.put_function(function("default", "g")).await.unwrap();
    assert_eq!(g.revision, 2);
}

#[tokio::test]
async fn concurrent_changes_get_revisions_without_gaps() {
    let test = TestDb::new();
    let catalog = open(&test);
    let puts = (0..20).map(|n| catalog.put_function(function("default", &format!("f{n}"))));
    let mut revisions: Vec<u64> = futures::future::join_all(puts)
        .await
        .into_iter()
        .map(|f| f.unwrap().revision)
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=20).collect::<Vec<_>>());
}

/// What an older release wrote must still be read: as long as nothing is applied, these texts never change.
#[test]
fn the_stored_form_is_frozen() {
    let function = function("default", "f");
    let stored = serde_json::to_string(&function).unwrap();
    assert_eq!(
        stored,
        "{\"namespace\":\"default\",\"name\":\"f\",\"spec\":{\"target\":\"in_process\",\"timeout_ms\":3000,\
         \"concurrency\":1},\"generation\":1,\"revision\":0,\"created\":1,\"modified\":1,\"request_id\":null}"
    );
    assert_eq!(serde_json::from_str::<Function>(&stored).unwrap(), function);
    let mapping = mapping("default", "m", 1);
    let stored = serde_json::to_string(&mapping).unwrap();
    assert!(!stored.contains("applied"), "{stored}");
    assert_eq!(serde_json::from_str::<Mapping>(&stored).unwrap(), mapping);
    let applied = Mapping {
        applied: Applied::new([("batch_size".into(), "5".into())].into()).unwrap(),
        ..mapping
    };
    let stored = serde_json::to_string(&applied).unwrap();
    assert!(
        stored.ends_with(",\"applied\":{\"batch_size\":\"5\"}}"),
        "{stored}"
    );
    assert_eq!(serde_json::from_str::<Mapping>(&stored).unwrap(), applied);
}
