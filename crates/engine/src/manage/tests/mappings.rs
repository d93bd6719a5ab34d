//! Mappings through the manager.

use super::fakes::*;
use crate::manage::{ManageError, MappingPatch, NewMapping};
use futures::StreamExt as _;
use millstream_core::mapping_state::MappingState;
use millstream_ports::{Catalog as _, SourceError};
use millstream_types::{Desired, MappingSpec, Position, StartingPosition, Wall};
use std::sync::atomic::Ordering::SeqCst;

async fn world_with(text: &str) -> World {
    let w = World::new().await;
    w.manager.create_mapping(new_mapping(text), false).await.unwrap();
    w
}

#[tokio::test]
async fn a_mapping_is_created_with_its_start_pinned() {
    let w = World::new().await;
    let latest = MappingSpec {
        starting_position: Some(StartingPosition::Latest),
        ..spec()
    };
    let new = NewMapping {
        spec: latest,
        ..new_mapping("m")
    };
    let made = w.manager.create_mapping(new, false).await.unwrap();
    assert_eq!(
        made.mapping.start.as_ref().unwrap().position,
        Position::Timestamp(Wall(77))
    );
    assert_eq!(
        (made.mapping.generation, made.mapping.desired),
        (1, Desired::Running)
    );
    assert_eq!((made.mapping.created, made.mapping.modified), (NOW, NOW));
    assert_eq!(made.status.state, MappingState::Creating);
    assert_eq!(w.manager.mapping(&namespace(), &name("m")).await.unwrap(), made);
}

#[tokio::test]
async fn a_mapping_without_a_name_is_called_by_its_id() {
    let w = World::new().await;
    let made = w
        .manager
        .create_mapping(
            NewMapping {
                name: None,
                ..new_mapping("x")
            },
            false,
        )
        .await
        .unwrap();
    assert_eq!(made.mapping.name.as_str(), made.mapping.id.to_string());
}

#[tokio::test]
async fn what_a_mapping_names_must_exist() {
    let w = World::new().await;
    for (spec, field, message) in [
        (
            MappingSpec {
                function: function("g").into(),
                ..spec()
            },
            "function",
            "Function does not exist",
        ),
        (
            MappingSpec {
                source: stream_arn("nope"),
                ..spec()
            },
            "source_arn",
            "Stream not found: arn:aws:kinesis:us-east-1:000000000000:stream/nope",
        ),
        (
            MappingSpec {
                on_failure: Some(stream_arn("nope").into()),
                ..spec()
            },
            "destination_config.on_failure.destination",
            "no such stream",
        ),
    ] {
        let e = w
            .manager
            .create_mapping(
                NewMapping {
                    spec,
                    ..new_mapping("m")
                },
                false,
            )
            .await
            .unwrap_err();
        assert_eq!(fields(&e), [field]);
        assert!(e.to_string().contains(message), "{e}");
    }
    assert!(
        w.manager
            .mappings(&namespace(), None, 10)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn broken_rules_are_reported_together_and_before_anything_is_looked_up() {
    let w = World::new().await;
    let bad = MappingSpec {
        batch_size: 0,
        max_record_age_seconds: 59,
        function: function("g").into(),
        ..spec()
    };
    let new = NewMapping {
        spec: bad,
        request_id: Some("a b".into()),
        ..new_mapping("m")
    };
    let e = w.manager.create_mapping(new, false).await.unwrap_err();
    assert_eq!(fields(&e).len(), 3, "{e}");
    assert_eq!(fields(&e)[0], "request_id");
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_not_the_callers_fault() {
    let w = World::new().await;
    *w.outside.source_fails.lock().unwrap() = Some(SourceError::Unavailable("down".into()));
    let e = w
        .manager
        .create_mapping(new_mapping("m"), false)
        .await
        .unwrap_err();
    assert!(matches!(e, ManageError::Unavailable { .. }), "{e:?}");
}

#[tokio::test]
async fn validate_only_leaves_no_trace() {
    let w = World::new().await;
    let would = w.manager.create_mapping(new_mapping("m"), true).await.unwrap();
    assert_eq!((would.mapping.revision, would.mapping.generation), (0, 1));
    assert!(w.manager.mapping(&namespace(), &name("m")).await.is_err());

    let w = world_with("m").await;
    let before = w.manager.mapping(&namespace(), &name("m")).await.unwrap();
    let patch = MappingPatch {
        batch_size: Some(Some(5)),
        ..Default::default()
    };
    let would = w
        .manager
        .update_mapping(&namespace(), &name("m"), &patch, None, true)
        .await
        .unwrap();
    assert_eq!(would.mapping.spec.batch_size, 5);
    w.manager
        .delete_mapping(&namespace(), &name("m"), None, true)
        .await
        .unwrap();
    assert_eq!(w.manager.mapping(&namespace(), &name("m")).await.unwrap(), before);
}

#[tokio::test]
async fn create_is_repeatable_by_its_request_id() {
    let w = World::new().await;
    let new = NewMapping {
        request_id: Some("r1".into()),
        ..new_mapping("m")
    };
    let first = w.manager.create_mapping(new.clone(), false).await.unwrap();
    assert_eq!(w.manager.create_mapping(new, false).await.unwrap(), first);
}

#[tokio::test]
async fn concurrent_creates_of_one_connection_make_one_mapping() {
    let w = World::new().await;
    let names = ["a", "b", "c", "d"];
    let calls = names.map(|n| w.manager.create_mapping(new_mapping(n), false));
    let results = futures::future::join_all(calls).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
}

#[tokio::test]
async fn listing_goes_page_by_page_by_name() {
    let w = World::new().await;
    for (i, n) in ["c", "a", "b"].into_iter().enumerate() {
        let f = format!("f{i}");
        w.manager.create_function(new_function(&f), false).await.unwrap();
        let spec = MappingSpec {
            function: function(&f).into(),
            ..spec()
        };
        w.manager
            .create_mapping(
                NewMapping {
                    spec,
                    ..new_mapping(n)
                },
                false,
            )
            .await
            .unwrap();
    }
    let first = w.manager.mappings(&namespace(), None, 2).await.unwrap();
    assert_eq!(
        first
            .items
            .iter()
            .map(|v| v.mapping.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert!(first.more);
    let rest = w
        .manager
        .mappings(&namespace(), Some(&name("b")), 2)
        .await
        .unwrap();
    assert_eq!((rest.items.len(), rest.more), (1, false));
}

#[tokio::test]
async fn an_update_makes_the_next_generation_and_an_empty_one_none() {
    let w = world_with("m").await;
    let patch = MappingPatch {
        batch_size: Some(Some(5)),
        ..Default::default()
    };
    for _ in 0..2 {
        let now = w
            .manager
            .update_mapping(&namespace(), &name("m"), &patch, None, false)
            .await
            .unwrap();
        assert_eq!((now.mapping.generation, now.mapping.spec.batch_size), (2, 5));
    }
}

#[tokio::test]
async fn an_update_is_checked() {
    let w = world_with("m").await;
    w.manager.create_function(new_function("g"), false).await.unwrap();
    let twin = MappingSpec {
        function: function("g").into(),
        ..spec()
    };
    w.manager
        .create_mapping(
            NewMapping {
                spec: twin,
                ..new_mapping("twin")
            },
            false,
        )
        .await
        .unwrap();
    let fix = |p: fn(&mut MappingPatch)| {
        let mut patch = MappingPatch::default();
        p(&mut patch);
        patch
    };
    for (patch, expected) in [
        (fix(|p| p.batch_size = Some(Some(0))), "batch_size"),
        (fix(|p| p.source = Some(stream_arn("other"))), "source_arn"),
        (
            fix(|p| p.starting_position = Some(StartingPosition::Latest)),
            "starting_position",
        ),
        (fix(|p| p.function = Some(function("nope").into())), "function"),
        (
            fix(|p| p.on_failure = Some(Some(stream_arn("nope").into()))),
            "destination_config.on_failure.destination",
        ),
    ] {
        let e = w
            .manager
            .update_mapping(&namespace(), &name("m"), &patch, None, false)
            .await
            .unwrap_err();
        assert_eq!(fields(&e), [expected]);
    }
    let patch = fix(|p| p.function = Some(function("g").into()));
    let e = w
        .manager
        .update_mapping(&namespace(), &name("m"), &patch, None, false)
        .await
        .unwrap_err();
    assert!(matches!(e, ManageError::AlreadyExists { .. }), "{e:?}");
    let same = fix(|p| {
        (p.source, p.starting_position) = (Some(stream_arn("orders")), Some(StartingPosition::TrimHorizon))
    });
    w.manager
        .update_mapping(&namespace(), &name("m"), &same, None, false)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_change_that_came_between_is_retried_only_without_an_etag() {
    let w = world_with("m").await;
    let patch = MappingPatch {
        batch_size: Some(Some(5)),
        ..Default::default()
    };
    let (ns, m) = (namespace(), name("m"));
    let revision = w.manager.mapping(&ns, &m).await.unwrap().mapping.revision;

    let e = w
        .manager
        .update_mapping(&ns, &m, &patch, Some(revision + 1), false)
        .await
        .unwrap_err();
    assert!(matches!(e, ManageError::Conflict { .. }), "{e:?}");
    w.catalog.conflicts.store(1, SeqCst);
    let e = w
        .manager
        .update_mapping(&ns, &m, &patch, Some(revision), false)
        .await
        .unwrap_err();
    assert!(matches!(e, ManageError::Conflict { .. }), "{e:?}");

    w.catalog.conflicts.store(2, SeqCst);
    let now = w
        .manager
        .update_mapping(&ns, &m, &patch, None, false)
        .await
        .unwrap();
    assert_eq!(now.mapping.spec.batch_size, 5);

    w.catalog.conflicts.store(1_000, SeqCst);
    let before = w.catalog.puts.load(SeqCst);
    let e = w.manager.pause_mapping(&ns, &m, None).await.unwrap_err();
    assert!(matches!(e, ManageError::Conflict { .. }), "{e:?}");
    assert!(
        w.catalog.puts.load(SeqCst) - before < 10,
        "the retries are bounded"
    );
}

#[tokio::test]
async fn pause_resume_and_delete_show_before_the_engine_follows() {
    let w = world_with("m").await;
    let (ns, m) = (namespace(), name("m"));
    let id = w.manager.mapping(&ns, &m).await.unwrap().mapping.id;
    let seen = |state, generation| {
        w.live
            .states
            .lock()
            .unwrap()
            .insert(id, status(state, generation))
    };
    seen(MappingState::Active, 1);

    let paused = w.manager.pause_mapping(&ns, &m, None).await.unwrap();
    assert_eq!(
        (paused.status.state, paused.mapping.generation),
        (MappingState::Pausing, 2)
    );
    assert_eq!(
        w.manager.pause_mapping(&ns, &m, None).await.unwrap(),
        paused,
        "pausing twice changes nothing"
    );
    seen(MappingState::Paused, 2);
    assert_eq!(
        w.manager.mapping(&ns, &m).await.unwrap().status.state,
        MappingState::Paused
    );

    assert_eq!(
        w.manager
            .resume_mapping(&ns, &m, None)
            .await
            .unwrap()
            .status
            .state,
        MappingState::Resuming
    );
    seen(MappingState::Active, 3);
    let deleted = w.manager.delete_mapping(&ns, &m, None, false).await.unwrap();
    assert_eq!(
        (deleted.status.state, deleted.mapping.desired),
        (MappingState::Deleting, Desired::Deleted)
    );
    assert_eq!(
        w.manager.delete_mapping(&ns, &m, None, false).await.unwrap(),
        deleted
    );
    let inspected = w.manager.inspect_mapping(&ns, &m).await.unwrap();
    assert_eq!(inspected.status.state, MappingState::Deleting);
}

#[tokio::test]
async fn what_is_to_start_nothing_is_announced_before_every_answer() {
    let w = world_with("m").await;
    let (ns, m) = (namespace(), name("m"));
    let announced = || std::mem::take(&mut *w.live.announced.lock().unwrap());
    w.manager.mapping(&ns, &m).await.unwrap();
    assert_eq!(announced(), [], "what runs needs no announcement");

    let pause = || w.manager.pause_mapping(&ns, &m, None);
    let paused = pause().await.unwrap().mapping.revision;
    assert_eq!(announced(), [(paused, Desired::Paused)]);
    pause().await.unwrap();
    assert_eq!(
        announced(),
        [(paused, Desired::Paused)],
        "the first call may not be so far yet"
    );
    w.manager.mapping(&ns, &m).await.unwrap();
    w.manager.mappings(&ns, None, 10).await.unwrap();
    w.manager.inspect_mapping(&ns, &m).await.unwrap();
    let mut watch = w.manager.watch_mappings(&ns).await.unwrap();
    watch.next().await.unwrap().unwrap();
    assert_eq!(announced(), [(paused, Desired::Paused); 4]);

    let patch = MappingPatch {
        batch_size: Some(Some(7)),
        ..Default::default()
    };
    let update = |validate_only| w.manager.update_mapping(&ns, &m, &patch, None, validate_only);
    update(true).await.unwrap();
    assert_eq!(
        announced(),
        [(paused, Desired::Paused)],
        "what is not stored has no version of its own"
    );
    let updated = update(false).await.unwrap().mapping.revision;
    assert_eq!(announced(), [(updated, Desired::Paused)]);

    w.manager.resume_mapping(&ns, &m, None).await.unwrap();
    let deleted = w.manager.delete_mapping(&ns, &m, None, false).await.unwrap();
    assert_eq!(announced(), [(deleted.mapping.revision, Desired::Deleted)]);
}

#[tokio::test]
async fn nothing_brings_a_mapping_back_that_is_being_deleted() {
    let w = world_with("m").await;
    let (ns, m) = (namespace(), name("m"));
    w.manager.delete_mapping(&ns, &m, None, false).await.unwrap();
    let patch = MappingPatch {
        batch_size: Some(Some(5)),
        ..Default::default()
    };
    for e in [
        w.manager.pause_mapping(&ns, &m, None).await.unwrap_err(),
        w.manager.resume_mapping(&ns, &m, None).await.unwrap_err(),
        w.manager
            .update_mapping(&ns, &m, &patch, None, false)
            .await
            .unwrap_err(),
    ] {
        assert!(
            matches!(
                e,
                ManageError::Precondition {
                    reason: "MAPPING_DELETING",
                    ..
                }
            ),
            "{e:?}"
        );
    }
    let id = w.manager.mapping(&ns, &m).await.unwrap().mapping.id;
    w.catalog.remove_mapping(&ns, &m, id).await.unwrap();
    assert!(matches!(
        w.manager.delete_mapping(&ns, &m, None, false).await,
        Err(ManageError::NotFound { .. })
    ));
}
