//! Mappings over the wire.

use crate::fakes::{World, fields, new_mapping, reason};
use millstream_api::v1;
use millstream_engine::view::{ShardActivity, ShardInspection};
use millstream_types::{Epoch, Incarnation, Position, ShardId};
use prost_types::FieldMask;
use tonic::Code;

const M: &str = "namespaces/default/mappings/m";

#[tokio::test]
async fn a_mapping_lives() {
    let w = World::start().await;
    let mut client = w.mappings();
    let made = w.make_mapping("m").await;
    assert_eq!(
        (made.name.as_str(), made.generation, made.batch_size),
        (M, 1, Some(100))
    );
    let got = client
        .get_mapping(v1::GetMappingRequest { name: M.into() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(got, made);

    let change = v1::Mapping {
        name: M.into(),
        etag: made.etag.clone(),
        batch_size: Some(7),
        ..Default::default()
    };
    let mask = Some(FieldMask {
        paths: vec!["batch_size".into()],
    });
    let update = v1::UpdateMappingRequest {
        mapping: Some(change),
        update_mask: mask,
        validate_only: false,
    };
    let updated = client.update_mapping(update.clone()).await.unwrap().into_inner();
    assert_eq!((updated.batch_size, updated.generation), (Some(7), 2));
    let stale = client.update_mapping(update).await.unwrap_err();
    assert_eq!(
        (stale.code(), reason(&stale).as_str()),
        (Code::Aborted, "ETAG_MISMATCH")
    );

    let pause = v1::PauseMappingRequest {
        name: M.into(),
        etag: String::new(),
    };
    assert_eq!(
        client.pause_mapping(pause).await.unwrap().into_inner().state(),
        v1::MappingState::Pausing
    );
    let resume = v1::ResumeMappingRequest {
        name: M.into(),
        etag: String::new(),
    };
    client.resume_mapping(resume.clone()).await.unwrap();
    let delete = v1::DeleteMappingRequest {
        name: M.into(),
        ..Default::default()
    };
    assert_eq!(
        client.delete_mapping(delete).await.unwrap().into_inner().state(),
        v1::MappingState::Deleting
    );
    let late = client.resume_mapping(resume).await.unwrap_err();
    assert_eq!(
        (late.code(), reason(&late).as_str()),
        (Code::FailedPrecondition, "MAPPING_DELETING")
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_all_at_once() {
    let w = World::start().await;
    let mut request = new_mapping("m");
    request.mapping_id = "Not A Name".into();
    request.request_id = "x".repeat(65);
    let m = request.mapping.as_mut().unwrap();
    (m.batch_size, m.parallelization_factor, m.maximum_retry_attempts) = (Some(-1), Some(11), Some(-2));
    let refused = w.mappings().create_mapping(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(reason(&refused), "INVALID_FIELD");
    let expected = [
        "mapping_id",
        "mapping.batch_size",
        "request_id",
        "mapping.parallelization_factor",
        "mapping.maximum_retry_attempts",
    ];
    assert_eq!(fields(&refused), expected);
}

#[tokio::test]
async fn errors_have_their_codes() {
    let w = World::start().await;
    let mut client = w.mappings();
    let gone = client
        .get_mapping(v1::GetMappingRequest { name: M.into() })
        .await
        .unwrap_err();
    assert_eq!(
        (gone.code(), reason(&gone).as_str()),
        (Code::NotFound, "NOT_FOUND")
    );
    let misnamed = client
        .get_mapping(v1::GetMappingRequest { name: "m".into() })
        .await
        .unwrap_err();
    assert_eq!(
        (misnamed.code(), fields(&misnamed)),
        (Code::InvalidArgument, vec!["name".to_owned()])
    );
    let unknown = client.create_mapping(new_mapping("nobody")).await.unwrap_err();
    assert_eq!(
        (unknown.code(), fields(&unknown)),
        (Code::InvalidArgument, vec!["mapping.function".to_owned()])
    );
    assert_eq!(unknown.message(), "Function does not exist");
    let empty = client
        .create_mapping(v1::CreateMappingRequest {
            mapping: None,
            ..new_mapping("m")
        })
        .await;
    assert_eq!(fields(&empty.unwrap_err()), ["mapping"]);

    w.make_mapping("m").await;
    let mut again = new_mapping("n");
    again.mapping.as_mut().unwrap().function = "m".into();
    let twice = client.create_mapping(again).await.unwrap_err();
    assert_eq!(
        (twice.code(), reason(&twice).as_str()),
        (Code::AlreadyExists, "ALREADY_EXISTS")
    );
    assert!(
        twice
            .message()
            .starts_with("The event source arn (\" arn:aws:kinesis"),
        "{}",
        twice.message()
    );
}

#[tokio::test]
async fn validate_only_and_request_ids() {
    let w = World::start().await;
    w.make_function("m").await;
    let mut client = w.mappings();
    let dry = v1::CreateMappingRequest {
        validate_only: true,
        ..new_mapping("m")
    };
    let would = client.create_mapping(dry).await.unwrap().into_inner();
    assert_eq!((would.name.as_str(), would.etag.as_str()), (M, ""));
    assert!(
        client
            .get_mapping(v1::GetMappingRequest { name: M.into() })
            .await
            .is_err()
    );
    let request = v1::CreateMappingRequest {
        request_id: "r1".into(),
        ..new_mapping("m")
    };
    let first = client.create_mapping(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.create_mapping(request).await.unwrap().into_inner(), first);
}

#[tokio::test]
async fn pages_follow_each_other_and_tokens_are_checked() {
    let w = World::start().await;
    for id in ["c", "a", "b"] {
        w.make_mapping(id).await;
    }
    let mut client = w.mappings();
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListMappingsRequest {
            parent: "namespaces/default".into(),
            page_size: 2,
            page_token: token,
        };
        let page = client.list_mappings(request).await.unwrap().into_inner();
        assert!(page.mappings.len() <= 2);
        seen.extend(page.mappings.into_iter().map(|m| m.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        let elsewhere = v1::ListMappingsRequest {
            parent: "namespaces/other".into(),
            page_size: 2,
            page_token: token.clone(),
        };
        assert_eq!(
            fields(&client.list_mappings(elsewhere).await.unwrap_err()),
            ["page_token"]
        );
    }
    assert_eq!(
        seen,
        ["a", "b", "c"].map(|id| format!("namespaces/default/mappings/{id}"))
    );
    let negative = v1::ListMappingsRequest {
        parent: "namespaces/default".into(),
        page_size: -1,
        ..Default::default()
    };
    assert_eq!(
        fields(&client.list_mappings(negative).await.unwrap_err()),
        ["page_size"]
    );
}

#[tokio::test]
async fn the_inside_is_shown() {
    let w = World::start().await;
    w.make_mapping("m").await;
    *w.live.shards.lock().unwrap() = vec![ShardInspection {
        shard: ShardId::new("shardId-000000000000").unwrap(),
        activity: ShardActivity::Running,
        lease: Some((Epoch(3), Incarnation::from_random(1))),
        checkpoint: Position::Trim,
        read_through: None,
        lag_ms: None,
        lag_records: Some(0),
        buffered_bytes: 0,
        lanes: Vec::new(),
        last_error: None,
        window: None,
        queue: None,
    }];
    let request = v1::InspectMappingRequest { name: M.into() };
    let inside = w.mappings().inspect_mapping(request).await.unwrap().into_inner();
    let shard = &inside.shards[0];
    assert_eq!((shard.lag_records, shard.lag_seconds), (Some(0), None));
    assert_eq!(shard.lease.as_ref().unwrap().epoch, 3);
    assert_eq!(inside.mapping.unwrap().name, M);
}

#[tokio::test]
async fn paused_is_a_setting_like_others_but_for_a_star() {
    let w = World::start().await;
    w.make_function("m").await;
    let mut client = w.mappings();
    let mut new = new_mapping("m");
    let applied = v1::Applied {
        settings: [("paused".to_owned(), "true".to_owned())].into(),
    };
    let m = new.mapping.as_mut().unwrap();
    (m.paused, m.applied) = (Some(true), Some(applied.clone()));
    let made = client.create_mapping(new).await.unwrap().into_inner();
    assert_eq!(made.paused, Some(true));
    let update = |paused, paths: &[&str]| v1::UpdateMappingRequest {
        mapping: Some(v1::Mapping {
            name: M.into(),
            function: "m".into(),
            paused,
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        }),
        validate_only: false,
    };
    for (paused, paths, want) in [
        (None, &["*"][..], true),
        (Some(false), &["*"], false),
        (Some(true), &["batch_size"], false),
        (Some(true), &[], true),
        (None, &["paused"], false),
    ] {
        let now = client
            .update_mapping(update(paused, paths))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(now.paused, Some(want), "{paused:?} {paths:?}");
        assert_eq!(now.applied.as_ref(), Some(&applied), "{paths:?}");
    }
}
