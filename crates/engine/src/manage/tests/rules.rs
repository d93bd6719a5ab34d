//! The pure rules, as tables.

use super::fakes::{function, new_function, new_mapping, spec, stream_arn};
use crate::manage::admission::{self, Admission};
use crate::manage::{
    FunctionPatch, HttpPatch, LambdaPatch, ManageError, MappingPatch, NewFunction, NewMapping, ProcessPatch,
    TargetPatch,
};
use millstream_types::*;
use std::collections::BTreeMap;

fn made(new: &NewMapping, generation: u64, desired: Desired) -> Mapping {
    let id = MappingId::from_random(7);
    Mapping {
        namespace: new.namespace.clone(),
        name: new
            .name
            .clone()
            .unwrap_or_else(|| MappingName::new(id.to_string()).unwrap()),
        id,
        spec: new.spec.clone(),
        desired,
        start: Some(StartPin {
            position: Position::Trim,
            shards: Vec::new(),
        }),
        generation,
        revision: 9,
        created: Wall(1),
        modified: Wall(1),
        request_id: new.request_id.clone(),
        applied: Default::default(),
        tags: Default::default(),
    }
}

fn named(text: &str, request: Option<&str>) -> NewMapping {
    NewMapping {
        request_id: request.map(Into::into),
        ..new_mapping(text)
    }
}

fn of_other_function(new: NewMapping) -> NewMapping {
    NewMapping {
        spec: MappingSpec {
            function: function("g").into(),
            ..spec()
        },
        ..new
    }
}

#[test]
fn a_new_mapping_is_admitted_or_not() {
    let unnamed = NewMapping {
        name: None,
        ..named("x", Some("r"))
    };
    let larger = NewMapping {
        spec: MappingSpec {
            batch_size: 7,
            ..spec()
        },
        ..named("a", Some("r"))
    };
    let (run, gone) = (Desired::Running, Desired::Deleted);
    // new, existing, generation, desired, expected
    for (i, (new, old, generation, desired, expected)) in [
        (
            named("b", None),
            of_other_function(named("a", None)),
            1,
            run,
            "new",
        ),
        (
            named("b", None),
            named("a", None),
            1,
            run,
            "exists: The event source arn (\" arn:aws:kinesis",
        ),
        (named("b", None), named("a", None), 1, gone, "new"),
        (
            named("a", None),
            of_other_function(named("a", None)),
            1,
            run,
            "exists: mapping a already exists",
        ),
        (
            named("a", None),
            named("a", None),
            2,
            gone,
            "exists: mapping a is still being deleted",
        ),
        (named("a", Some("r")), named("a", Some("r")), 1, run, "repeated"),
        (unnamed.clone(), unnamed.clone(), 1, run, "repeated"),
        (unnamed, named("a", Some("r")), 1, run, "invalid: request_id"),
        (
            named("b", Some("r")),
            named("a", Some("r")),
            1,
            run,
            "invalid: request_id",
        ),
        (
            named("a", Some("r")),
            larger.clone(),
            1,
            run,
            "invalid: request_id",
        ),
        (named("a", Some("r")), larger, 2, run, "repeated"),
        (
            named("a", Some("s")),
            named("a", Some("r")),
            1,
            run,
            "exists: mapping a already exists",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let existing = made(&old, generation, desired);
        let got = match admission::mapping(&new, &[existing]) {
            Ok(Admission::New) => "new".to_owned(),
            Ok(Admission::Repeated(_)) => "repeated".to_owned(),
            Err(ManageError::AlreadyExists { message, .. }) => format!("exists: {message}"),
            Err(ManageError::Invalid(v)) => format!("invalid: {}", v.0[0].field),
            Err(e) => e.to_string(),
        };
        assert!(got.starts_with(expected), "row {i}: {got}");
    }
}

#[test]
fn the_scan_finds_what_matters() {
    let new = named("a", Some("r"));
    for (other, expected) in [
        (named("b", None), true),
        (of_other_function(named("b", None)), false),
        (of_other_function(named("a", None)), true),
        (of_other_function(named("b", Some("r"))), true),
    ] {
        assert_eq!(
            admission::concerns(&new, &made(&other, 1, Desired::Running)),
            expected,
            "{other:?}"
        );
    }
}

#[test]
fn a_duplicate_is_refused_in_aws_words() {
    let other = made(&new_mapping("a"), 1, Desired::Running);
    let ManageError::AlreadyExists { message, .. } = admission::duplicate(&other) else {
        panic!()
    };
    assert_eq!(
        message,
        format!(
            "The event source arn (\" arn:aws:kinesis:us-east-1:000000000000:stream/orders \") and function (\" f \") \
             provided mapping already exists. Please update or delete the existing mapping with UUID {}",
            other.id
        )
    );
}

#[test]
fn a_request_id_is_short_and_visible() {
    let long = "x".repeat(65);
    for (id, ok) in [
        (None, true),
        (Some("a-1"), true),
        (Some(""), false),
        (Some("a b"), false),
        (Some(&*long), false),
    ] {
        assert_eq!(admission::check_request_id(id).is_none(), ok, "{id:?}");
    }
}

#[test]
fn a_new_function_is_admitted_or_not() {
    let with = |request: &str, timeout_ms| NewFunction {
        request_id: Some(request.into()),
        spec: FunctionSpec {
            target: Target::InProcess,
            timeout_ms,
            concurrency: 10,
        },
        ..new_function("f")
    };
    let existing = Function {
        namespace: Namespace::default(),
        name: function("f"),
        spec: with("r", 1).spec,
        generation: 1,
        revision: 1,
        created: Wall(1),
        modified: Wall(1),
        request_id: Some("r".into()),
        applied: Default::default(),
        tags: Default::default(),
    };
    let decide = |new| admission::function(&new, Some(&existing));
    assert_eq!(admission::function(&with("r", 1), None), Ok(Admission::New));
    assert_eq!(decide(with("r", 1)), Ok(Admission::Repeated(existing.clone())));
    assert!(matches!(decide(with("r", 2)), Err(ManageError::Invalid(_))));
    assert!(matches!(
        decide(with("s", 1)),
        Err(ManageError::AlreadyExists { .. })
    ));
    assert!(matches!(
        decide(new_function("f")),
        Err(ManageError::AlreadyExists { .. })
    ));
}

#[test]
fn a_patch_sets_what_it_names_and_nothing_else() {
    let old = MappingSpec {
        on_failure: Some(stream_arn("failures").into()),
        ..spec()
    };
    type Expect = fn(&mut MappingSpec);
    let rows: [(MappingPatch, Expect); 8] = [
        (MappingPatch::default(), |_| ()),
        (
            MappingPatch {
                batch_size: Some(Some(1)),
                ..Default::default()
            },
            |s| s.batch_size = 1,
        ),
        (
            MappingPatch {
                on_failure: Some(None),
                ..Default::default()
            },
            |s| s.on_failure = None,
        ),
        (
            MappingPatch {
                function: Some(function("g").into()),
                ..Default::default()
            },
            |s| s.function = function("g").into(),
        ),
        (
            MappingPatch {
                max_retry_attempts: Some(0),
                ..Default::default()
            },
            |s| s.max_retry_attempts = 0,
        ),
        (
            MappingPatch {
                max_record_age_seconds: Some(60),
                ..Default::default()
            },
            |s| s.max_record_age_seconds = 60,
        ),
        (
            MappingPatch {
                parallelization_factor: Some(4),
                ..Default::default()
            },
            |s| s.parallelization_factor = 4,
        ),
        (
            MappingPatch {
                batching_window_seconds: Some(2),
                bisect_on_error: Some(true),
                report_batch_item_failures: Some(true),
                ..Default::default()
            },
            |s| {
                (
                    s.batching_window_seconds,
                    s.bisect_on_error,
                    s.report_batch_item_failures,
                ) = (2, true, true)
            },
        ),
    ];
    for (patch, expect) in rows {
        let mut expected = old.clone();
        expect(&mut expected);
        assert_eq!(patch.apply(&old), expected, "{patch:?}");
    }
}

#[test]
fn a_function_patch_reaches_into_a_process() {
    let process = ProcessTarget {
        command: vec!["a".into()],
        working_dir: Some("/".into()),
        env: BTreeMap::new(),
        env_pass: Vec::new(),
        init_timeout_ms: 10_000,
        memory_mb: 128,
    };
    let old = FunctionSpec {
        target: Target::Process(process.clone()),
        timeout_ms: 3_000,
        concurrency: 10,
    };
    let change = ProcessPatch {
        memory_mb: Some(256),
        working_dir: Some(None),
        ..Default::default()
    };
    let patch = FunctionPatch {
        target: Some(TargetPatch::Process(change)),
        ..Default::default()
    };
    let expected = ProcessTarget {
        memory_mb: 256,
        working_dir: None,
        ..process
    };
    let new = patch.apply(&old).unwrap();
    assert_eq!(
        new,
        FunctionSpec {
            target: Target::Process(expected),
            ..old.clone()
        }
    );

    let in_process = FunctionSpec {
        target: Target::InProcess,
        ..old
    };
    let ManageError::Invalid(v) = patch.apply(&in_process).unwrap_err() else {
        panic!()
    };
    assert_eq!(v.0[0].field, "process");
}

#[test]
fn a_function_patch_reaches_into_a_server_and_not_into_what_is_none() {
    let http = |url: &str| Target::Http(HttpTarget { url: url.into() });
    let spec = |target| FunctionSpec {
        target,
        timeout_ms: 3_000,
        concurrency: 10,
    };
    let patch = |target| FunctionPatch {
        target: Some(target),
        ..Default::default()
    };
    let url = patch(TargetPatch::Http(HttpPatch {
        url: Some("http://b/".into()),
    }));
    assert_eq!(
        url.apply(&spec(http("http://a/"))).unwrap(),
        spec(http("http://b/"))
    );
    let nothing = patch(TargetPatch::Http(HttpPatch::default()));
    assert_eq!(
        nothing.apply(&spec(http("http://a/"))).unwrap(),
        spec(http("http://a/"))
    );
    let lambda = |function: &str| {
        Target::Lambda(LambdaTarget {
            function: function.into(),
        })
    };
    let named = patch(TargetPatch::Lambda(LambdaPatch {
        function: Some("b".into()),
    }));
    assert_eq!(named.apply(&spec(lambda("a"))).unwrap(), spec(lambda("b")));
    let process = patch(TargetPatch::Process(ProcessPatch::default()));
    for (patch, old, field) in [
        (&url, Target::InProcess, "http"),
        (&named, http("http://a/"), "lambda"),
        (&process, http("http://a/"), "process"),
    ] {
        let ManageError::Invalid(v) = patch.apply(&spec(old)).unwrap_err() else {
            panic!()
        };
        assert_eq!(v.0[0].field, field);
    }
}
