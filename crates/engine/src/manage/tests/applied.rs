//! What is applied from files: pauses and notes in the same change as settings, and what does not exist told at once.

use super::fakes::*;
use crate::manage::{FunctionPatch, ManageError, MappingPatch, NewMapping};
use millstream_types::{Applied, Desired, MappingSpec, Tags};

fn applied(path: &str) -> Applied {
    Applied::new([(path.to_owned(), "1".to_owned())].into()).unwrap()
}

#[tokio::test]
async fn a_mapping_is_made_paused_and_changed_with_its_pause() {
    let w = World::new().await;
    let (ns, m) = (namespace(), name("m"));
    let new = NewMapping {
        paused: true,
        ..new_mapping("m")
    };
    w.manager.create_mapping(new.clone(), true).await.unwrap();
    assert!(
        w.live.announced.lock().unwrap().is_empty(),
        "a dry run closes no gate"
    );
    let made = w.manager.create_mapping(new, false).await.unwrap().mapping;
    assert_eq!(made.desired, Desired::Paused);
    assert_eq!(
        *w.live.announced.lock().unwrap(),
        [(made.revision, Desired::Paused)]
    );

    let change = |paused| MappingPatch {
        batch_size: Some(Some(7)),
        paused: Some(paused),
        applied: Some(applied("paused")),
        ..Default::default()
    };
    let update = |patch, dry| {
        let (w, ns, m) = (&w, &ns, &m);
        async move {
            w.manager
                .update_mapping(ns, m, &patch, None, dry)
                .await
                .unwrap()
                .mapping
        }
    };
    let now = update(change(false), false).await;
    assert_eq!(
        (now.desired, now.spec.batch_size, now.generation),
        (Desired::Running, 7, 2)
    );
    assert_eq!(now.applied, applied("paused"));
    w.live.announced.lock().unwrap().clear();
    assert_eq!(update(change(true), true).await.desired, Desired::Paused);
    assert!(
        w.live.announced.lock().unwrap().is_empty(),
        "a dry run closes no gate"
    );
    assert_eq!(update(change(true), false).await.generation, 3);
    assert!(!w.live.announced.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_note_of_what_is_applied_is_no_new_generation() {
    let w = World::new().await;
    let (ns, m, f) = (namespace(), name("m"), function("f"));
    let made = w
        .manager
        .create_mapping(new_mapping("m"), false)
        .await
        .unwrap()
        .mapping;
    let patch = MappingPatch {
        applied: Some(applied("batch_size")),
        ..Default::default()
    };
    let noted = w
        .manager
        .update_mapping(&ns, &m, &patch, None, false)
        .await
        .unwrap()
        .mapping;
    assert_eq!(
        (noted.generation, noted.modified),
        (made.generation, made.modified)
    );
    assert!(noted.revision > made.revision);
    assert_eq!(noted.applied, applied("batch_size"));
    let again = w
        .manager
        .update_mapping(&ns, &m, &patch, None, false)
        .await
        .unwrap()
        .mapping;
    assert_eq!(again.revision, noted.revision);
    // Whoever changes something else leaves the note alone.
    let paused = w.manager.pause_mapping(&ns, &m, None).await.unwrap().mapping;
    assert_eq!((paused.generation, paused.applied), (2, applied("batch_size")));

    let patch = FunctionPatch {
        applied: Some(applied("timeout")),
        ..Default::default()
    };
    let noted = w
        .manager
        .update_function(&ns, &f, &patch, None, false)
        .await
        .unwrap()
        .function;
    assert_eq!((noted.generation, &noted.applied), (1, &applied("timeout")));
    let restarted = w
        .manager
        .restart_function(&ns, &f, Some(noted.revision))
        .await
        .unwrap()
        .function;
    assert_eq!(
        (restarted.generation, &restarted.spec, &restarted.applied),
        (2, &noted.spec, &noted.applied)
    );
    let stale = w
        .manager
        .restart_function(&ns, &f, Some(noted.revision))
        .await
        .unwrap_err();
    assert!(matches!(stale, ManageError::Conflict { .. }), "{stale:?}");
}

#[tokio::test]
async fn everything_that_does_not_exist_is_told_at_once() {
    let w = World::new().await;
    let new = NewMapping {
        spec: MappingSpec {
            source: stream_arn("nosuch"),
            function: function("nosuch").into(),
            on_failure: Some(stream_arn("neither").into()),
            ..spec()
        },
        ..new_mapping("m")
    };
    let e = w.manager.create_mapping(new, true).await.unwrap_err();
    let missing = [
        "function",
        "destination_config.on_failure.destination",
        "source_arn",
    ];
    assert_eq!(fields(&e), missing);
}

#[tokio::test]
async fn tags_are_no_new_generation() {
    let w = World::new().await;
    let (ns, m, f) = (namespace(), name("m"), function("f"));
    let made = w
        .manager
        .create_mapping(new_mapping("m"), false)
        .await
        .unwrap()
        .mapping;
    assert!(made.tags.is_empty());
    let tags = Tags::new([("team".to_owned(), "a".to_owned())].into()).unwrap();
    let patch = MappingPatch {
        tags: Some(tags.clone()),
        ..Default::default()
    };
    let tagged = w
        .manager
        .update_mapping(&ns, &m, &patch, None, false)
        .await
        .unwrap()
        .mapping;
    assert_eq!((&tagged.tags, tagged.generation), (&tags, made.generation));
    assert!(tagged.revision > made.revision);
    let patch = MappingPatch {
        batch_size: Some(Some(7)),
        ..Default::default()
    };
    let changed = w
        .manager
        .update_mapping(&ns, &m, &patch, None, false)
        .await
        .unwrap()
        .mapping;
    assert_eq!((&changed.tags, changed.generation), (&tags, made.generation + 1));
    let patch = FunctionPatch {
        tags: Some(tags.clone()),
        ..Default::default()
    };
    let before = w.manager.function(&ns, &f).await.unwrap().function;
    let tagged = w
        .manager
        .update_function(&ns, &f, &patch, None, false)
        .await
        .unwrap()
        .function;
    assert_eq!((&tagged.tags, tagged.generation), (&tags, before.generation));
}

#[tokio::test]
async fn a_mapping_is_found_by_its_id_whatever_its_name() {
    let w = World::new().await;
    let ns = namespace();
    let named = w
        .manager
        .create_mapping(new_mapping("m"), false)
        .await
        .unwrap()
        .mapping;
    let found = w.manager.mapping_by_id(&ns, named.id).await.unwrap().mapping;
    assert_eq!(found, named);
    let missing = millstream_types::MappingId::from_random(77);
    let e = w.manager.mapping_by_id(&ns, missing).await.unwrap_err();
    assert!(
        matches!(e, crate::manage::ManageError::NotFound { kind: "mapping", .. }),
        "{e:?}"
    );
}
