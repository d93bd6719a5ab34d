//! Settings of mappings in and out.

use super::*;
use millstream_types::{FilterCriteria, MappingId, MappingName, OnUnmatched, Position, StartPin, Wall};
use prost_types::{FieldMask, Timestamp};

fn minimal() -> v1::Mapping {
    v1::Mapping {
        source_arn: "arn:aws:kinesis:us-east-1:000000000000:stream/orders".into(),
        function: "f".into(),
        starting_position: v1::StartingPosition::Latest.into(),
        ..v1::Mapping::default()
    }
}

fn changed(change: fn(&mut v1::Mapping)) -> v1::Mapping {
    let mut m = minimal();
    change(&mut m);
    m
}

fn read(m: &v1::Mapping) -> (MappingSpec, Vec<String>) {
    let mut refusals = Refusals::default();
    let spec = new_spec(m, &Namespace::default(), &mut refusals).unwrap();
    (spec, refusals.fields().into_iter().map(Into::into).collect())
}

fn destination(arn: &str) -> Option<v1::DestinationConfig> {
    Some(v1::DestinationConfig {
        on_failure: Some(v1::OnFailure {
            destination: arn.into(),
        }),
    })
}

fn default_spec() -> MappingSpec {
    let arn = minimal().source_arn.parse().unwrap();
    MappingSpec::stream(arn, FunctionRef::parse("f").unwrap(), StartingPosition::Latest)
}

#[test]
fn unset_is_the_default_and_zero_is_zero() {
    assert_eq!(read(&minimal()), (default_spec(), vec![]));
    type Change = fn(&mut v1::Mapping);
    type Expect = fn(&mut MappingSpec);
    let rows: [(Change, Expect); 10] = [
        (|m| m.batch_size = Some(0), |s| s.batch_size = 0),
        (|m| m.batch_size = Some(7), |s| s.batch_size = 7),
        (
            |m| m.maximum_batching_window_seconds = Some(0),
            |s| s.batching_window_seconds = 0,
        ),
        (
            |m| m.parallelization_factor = Some(0),
            |s| s.parallelization_factor = 0,
        ),
        (
            |m| m.tumbling_window_in_seconds = Some(60),
            |s| s.tumbling_window_seconds = 60,
        ),
        (
            |m| m.bisect_batch_on_function_error = Some(true),
            |s| s.bisect_on_error = true,
        ),
        (
            |m| m.maximum_retry_attempts = Some(0),
            |s| s.max_retry_attempts = 0,
        ),
        (
            |m| m.maximum_record_age_seconds = Some(60),
            |s| s.max_record_age_seconds = 60,
        ),
        (
            |m| m.function_response_types = vec![1],
            |s| s.report_batch_item_failures = true,
        ),
        (
            |m| m.destination_config = destination(""),
            |s| s.on_failure = None,
        ),
    ];
    for (i, (change, expect)) in rows.into_iter().enumerate() {
        let mut expected = default_spec();
        expect(&mut expected);
        assert_eq!(read(&changed(change)), (expected, vec![]), "row {i}");
    }
}

#[test]
fn a_queue_needs_no_start_and_has_a_concurrency() {
    let queue = v1::Mapping {
        source_arn: "arn:aws:sqs:us-east-1:000000000000:q".into(),
        function: "f".into(),
        scaling_config: Some(v1::ScalingConfig {
            maximum_concurrency: Some(2),
        }),
        ..v1::Mapping::default()
    };
    let expected = MappingSpec {
        maximum_concurrency: Some(2),
        ..MappingSpec::queue(
            queue.source_arn.parse().unwrap(),
            FunctionRef::parse("f").unwrap(),
        )
    };
    assert_eq!(read(&queue), (expected.clone(), vec![]));
    let shown = to_api(&view(expected, MappingState::Active));
    assert_eq!(shown.scaling_config, queue.scaling_config);
    assert_eq!((shown.batch_size, shown.parallelization_factor), (Some(10), None));
    assert_eq!(shown.tumbling_window_in_seconds, None);
    assert_eq!((shown.starting_position, shown.destination_config), (0, None));
}

#[test]
fn every_refusal_names_its_field() {
    type Change = fn(&mut v1::Mapping);
    let rows: [(Change, &[&str]); 19] = [
        (|m| m.source_arn.clear(), &[SOURCE]),
        (|m| m.source_arn = "orders".into(), &[SOURCE]),
        (
            |m| m.source_arn = "arn:aws:sns:us-east-1:000000000000:q".into(),
            &[SOURCE],
        ),
        (|m| m.function.clear(), &[FUNCTION]),
        (|m| m.function = "a b".into(), &[FUNCTION]),
        (|m| m.starting_position = 0, &[START]),
        (|m| m.starting_position = 9, &[START]),
        (|m| m.starting_position = 3, &[START_TIME]),
        (
            |m| m.starting_position_timestamp = Some(Timestamp { seconds: 1, nanos: 0 }),
            &[START_TIME],
        ),
        (
            |m| {
                m.starting_position_timestamp = Some(Timestamp {
                    seconds: -1,
                    nanos: 0,
                })
            },
            &[START_TIME],
        ),
        (|m| m.batch_size = Some(-1), &["mapping.batch_size"]),
        (
            |m| m.maximum_batching_window_seconds = Some(-1),
            &["mapping.maximum_batching_window_seconds"],
        ),
        (
            |m| m.tumbling_window_in_seconds = Some(-1),
            &["mapping.tumbling_window_in_seconds"],
        ),
        (
            |m| m.parallelization_factor = Some(-1),
            &["mapping.parallelization_factor"],
        ),
        (
            |m| m.parallelization_factor = Some(256),
            &["mapping.parallelization_factor"],
        ),
        (
            |m| m.function_response_types = vec![0],
            &["mapping.function_response_types"],
        ),
        (
            |m| m.function_response_types = vec![1, 1],
            &["mapping.function_response_types"],
        ),
        (|m| m.destination_config = destination("nowhere"), &[DESTINATION]),
        (
            |m| (m.source_arn, m.function, m.batch_size) = (String::new(), String::new(), Some(-1)),
            &[SOURCE, FUNCTION, "mapping.batch_size"],
        ),
    ];
    for (i, (change, expected)) in rows.into_iter().enumerate() {
        assert_eq!(read(&changed(change)).1, expected, "row {i}");
    }
}

#[test]
fn a_start_at_a_time_keeps_its_milliseconds() {
    let m = changed(|m| {
        m.starting_position = v1::StartingPosition::AtTimestamp.into();
        m.starting_position_timestamp = Some(Timestamp {
            seconds: 7,
            nanos: 89_000_000,
        });
    });
    assert_eq!(
        read(&m).0.starting_position,
        Some(StartingPosition::AtTimestamp(Wall(7_089)))
    );
}

fn filtered() -> v1::Mapping {
    v1::Mapping {
        filter_criteria: Some(v1::FilterCriteria {
            filters: vec![v1::Filter {
                pattern: "{}".to_owned(),
            }],
            extended: true,
            on_unmatched: v1::OnUnmatched::Keep.into(),
        }),
        ..v1::Mapping::default()
    }
}

#[test]
fn what_becomes_of_the_rest_is_a_word_that_is_known() {
    let m = changed(|m| {
        m.filter_criteria = Some(v1::FilterCriteria {
            on_unmatched: 9,
            ..Default::default()
        });
    });
    assert_eq!(read(&m).1, ["mapping.filter_criteria.on_unmatched"]);
}

fn patched(m: &v1::Mapping, paths: &[&str]) -> Result<MappingPatch, Vec<String>> {
    let mut refusals = Refusals::default();
    let mask = FieldMask {
        paths: paths.iter().map(|p| (*p).to_owned()).collect(),
    };
    let patch = update(m, &Namespace::default(), Some(mask), &mut refusals).unwrap();
    if refusals.is_empty() {
        Ok(patch)
    } else {
        Err(refusals.fields().into_iter().map(Into::into).collect())
    }
}

#[test]
fn an_update_means_what_its_mask_names() {
    let none = v1::Mapping::default();
    let five = v1::Mapping {
        batch_size: Some(5),
        maximum_retry_attempts: Some(1),
        ..none.clone()
    };
    let sized = |n| MappingPatch {
        batch_size: Some(n),
        ..MappingPatch::default()
    };
    for (m, paths, expected) in [
        (&none, &[][..], MappingPatch::default()),
        (&five, &["batch_size"], sized(Some(5))),
        (&none, &["batch_size"], sized(None)),
        (
            &five,
            &[],
            MappingPatch {
                max_retry_attempts: Some(1),
                ..sized(Some(5))
            },
        ),
        (
            &none,
            &["destination_config"],
            MappingPatch {
                on_failure: Some(None),
                ..MappingPatch::default()
            },
        ),
        (
            &none,
            &["destination_config.on_failure.destination"],
            MappingPatch {
                on_failure: Some(None),
                ..MappingPatch::default()
            },
        ),
        (
            &none,
            &["filter_criteria"],
            MappingPatch {
                filters: Some(Vec::new()),
                extended_filters: Some(false),
                on_unmatched: Some(OnUnmatched::Drop),
                ..MappingPatch::default()
            },
        ),
        (
            &filtered(),
            &[],
            MappingPatch {
                filters: Some(vec!["{}".to_owned()]),
                extended_filters: Some(true),
                on_unmatched: Some(OnUnmatched::Keep),
                ..MappingPatch::default()
            },
        ),
        (
            &filtered(),
            &["filter_criteria.on_unmatched"],
            MappingPatch {
                on_unmatched: Some(OnUnmatched::Keep),
                ..MappingPatch::default()
            },
        ),
        (
            &none,
            &["function_response_types"],
            MappingPatch {
                report_batch_item_failures: Some(false),
                ..MappingPatch::default()
            },
        ),
    ] {
        assert_eq!(patched(m, paths), Ok(expected), "{paths:?}");
    }
}

#[test]
fn a_star_sets_all_that_can_be_changed() {
    let only_function = v1::Mapping {
        function: "g".into(),
        ..v1::Mapping::default()
    };
    let patch = patched(&only_function, &["*"]).unwrap();
    assert_eq!(
        (patch.source, patch.starting_position),
        (None, None),
        "what is fixed is not asked for"
    );
    assert_eq!(
        (patch.batch_size, patch.max_retry_attempts),
        (Some(None), Some(-1))
    );
    assert_eq!(patch.function.unwrap().as_str(), "g");
    assert_eq!(
        patched(&v1::Mapping::default(), &["*"]),
        Err(vec![FUNCTION.to_owned()])
    );
}

#[test]
fn what_cannot_be_changed_is_not_taken_silently() {
    let m = minimal();
    for paths in [
        &["state"][..],
        &["name"],
        &["etag"],
        &["nonsense"],
        &["batch_size", "uid"],
    ] {
        assert_eq!(
            patched(&m, paths),
            Err(vec!["update_mask".to_owned()]),
            "{paths:?}"
        );
    }
    let fixed = patched(&m, &["source_arn", "starting_position"]).unwrap();
    assert!(fixed.source.is_some() && fixed.starting_position == Some(StartingPosition::Latest));
    let implied = patched(&m, &[]).unwrap();
    assert!(implied.source.is_some() && implied.starting_position.is_some() && implied.function.is_some());
}

fn view(spec: MappingSpec, state: MappingState) -> MappingView {
    let status = MappingStatus {
        state,
        observed_generation: 1,
        conditions: Vec::new(),
        last_processing_result: "OK".into(),
        counters: Counters {
            records_read: 4,
            ..Counters::default()
        },
    };
    let mapping = Mapping {
        namespace: Namespace::default(),
        name: MappingName::new("m").unwrap(),
        id: MappingId::from_random(1),
        spec,
        desired: Desired::Paused,
        start: Some(StartPin {
            position: Position::Trim,
            shards: Vec::new(),
        }),
        generation: 2,
        revision: 9,
        created: Wall(1_000),
        modified: Wall(2_500),
        request_id: None,
        applied: Default::default(),
        tags: Default::default(),
    };
    MappingView { mapping, status }
}

#[test]
fn what_is_shown_can_be_sent_back() {
    let arn: SourceArn = minimal().source_arn.parse().unwrap();
    for spec in [
        default_spec(),
        MappingSpec {
            starting_position: Some(StartingPosition::AtTimestamp(Wall(7_089))),
            batch_size: 1,
            batching_window_seconds: 2,
            parallelization_factor: 10,
            bisect_on_error: true,
            max_retry_attempts: 0,
            max_record_age_seconds: 604_800,
            report_batch_item_failures: true,
            on_failure: Some(arn.into()),
            tumbling_window_seconds: 900,
            filter_criteria: FilterCriteria {
                filters: vec![r#"{"data":{"a":[1]}}"#.to_owned(), "{}".to_owned()],
                extended: true,
                on_unmatched: OnUnmatched::Quarantine,
            },
            ..default_spec()
        },
    ] {
        let shown = to_api(&view(spec.clone(), MappingState::Active));
        assert_eq!(read(&shown), (spec, vec![]));
    }
}

#[test]
fn a_view_tells_state_reason_and_versions() {
    let shown = to_api(&view(default_spec(), MappingState::Paused));
    assert_eq!(shown.name, "namespaces/default/mappings/m");
    assert_eq!(
        (shown.etag.as_str(), shown.generation, shown.observed_generation),
        ("9", 2, 1)
    );
    assert_eq!(
        (shown.state(), shown.state_reason.as_str()),
        (v1::MappingState::Paused, "Paused by a user")
    );
    assert_eq!(
        shown.update_time,
        Some(Timestamp {
            seconds: 2,
            nanos: 500_000_000
        })
    );
    assert_eq!(shown.counters.unwrap().records_read, 4);

    let mut troubled = view(default_spec(), MappingState::Active);
    let since = Wall(3_000);
    troubled.status.conditions.push(Condition {
        kind: "FunctionMissing",
        message: "no f".into(),
        since,
    });
    let shown = to_api(&troubled);
    assert_eq!(
        (shown.state_reason.as_str(), shown.conditions[0].r#type.as_str()),
        ("no f", "FunctionMissing")
    );
}
