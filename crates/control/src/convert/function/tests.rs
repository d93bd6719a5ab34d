//! Settings of functions in and out.

use super::*;
use bytes::Bytes;
use millstream_ports::PoolStatus;
use millstream_types::invocation::FunctionError;
use millstream_types::{Function, FunctionName, Namespace, RequestId, Wall};
use prost_types::{Duration, FieldMask};
use std::collections::BTreeMap;
use tonic::Code;
use tonic_types::StatusExt as _;

fn process(p: v1::ProcessTarget) -> v1::Function {
    v1::Function {
        target: Some(ApiTarget::Process(p)),
        ..v1::Function::default()
    }
}

fn command() -> v1::ProcessTarget {
    v1::ProcessTarget {
        command: vec!["./bootstrap".into()],
        ..v1::ProcessTarget::default()
    }
}

fn http(url: &str) -> v1::Function {
    v1::Function {
        target: Some(ApiTarget::Http(v1::HttpTarget { url: url.into() })),
        ..v1::Function::default()
    }
}

fn read(f: &v1::Function) -> (FunctionSpec, Vec<String>) {
    let mut refusals = Refusals::default();
    let spec = new_spec(f, &mut refusals);
    (spec, refusals.fields().into_iter().map(Into::into).collect())
}

fn default_process() -> ProcessTarget {
    ProcessTarget {
        command: vec!["./bootstrap".into()],
        working_dir: None,
        env: BTreeMap::new(),
        env_pass: Vec::new(),
        init_timeout_ms: 10_000,
        memory_mb: 128,
    }
}

#[test]
fn unset_is_the_default_and_zero_is_zero() {
    let defaults = FunctionSpec {
        target: Target::Process(default_process()),
        timeout_ms: 3_000,
        concurrency: 10,
    };
    assert_eq!(read(&process(command())), (defaults.clone(), vec![]));
    let zeros = v1::Function {
        timeout: Some(Duration::default()),
        concurrency: Some(0),
        ..process(command())
    };
    assert_eq!(
        read(&zeros),
        (
            FunctionSpec {
                timeout_ms: 0,
                concurrency: 0,
                ..defaults
            },
            vec![]
        )
    );
    let target = process(v1::ProcessTarget {
        memory_mb: Some(0),
        init_timeout: Some(duration(1)),
        ..command()
    });
    let expected = ProcessTarget {
        memory_mb: 0,
        init_timeout_ms: 1,
        ..default_process()
    };
    assert_eq!(read(&target).0.target, Target::Process(expected));
}

#[test]
fn every_refusal_names_its_field() {
    let long = Duration {
        seconds: i64::MAX,
        nanos: 0,
    };
    let tiny = Duration { seconds: 0, nanos: 1 };
    for (f, expected) in [
        (v1::Function::default(), &["function.target"][..]),
        (
            v1::Function {
                timeout: Some(long),
                ..process(command())
            },
            &["function.timeout"],
        ),
        (
            v1::Function {
                concurrency: Some(-1),
                ..process(command())
            },
            &["function.concurrency"],
        ),
        (
            process(v1::ProcessTarget {
                init_timeout: Some(tiny),
                memory_mb: Some(-1),
                ..command()
            }),
            &["function.process.init_timeout", "function.process.memory_mb"],
        ),
    ] {
        assert_eq!(read(&f).1, expected);
    }
}

fn patched(f: &v1::Function, paths: &[&str]) -> Result<FunctionPatch, Vec<String>> {
    let mut refusals = Refusals::default();
    let mask = FieldMask {
        paths: paths.iter().map(|p| (*p).to_owned()).collect(),
    };
    let patch = update(f, Some(mask), &mut refusals);
    if refusals.is_empty() {
        Ok(patch)
    } else {
        Err(refusals.fields().into_iter().map(Into::into).collect())
    }
}

#[test]
fn an_update_means_what_its_mask_names() {
    let nothing = FunctionPatch::default;
    let empty = v1::Function::default();
    let in_process = v1::Function {
        target: Some(ApiTarget::InProcess(v1::InProcessTarget {})),
        ..empty.clone()
    };
    let replace = |target| FunctionPatch {
        target: Some(TargetPatch::Replace(target)),
        ..nothing()
    };
    let everything = |target| FunctionPatch {
        timeout_ms: Some(3_000),
        concurrency: Some(10),
        ..replace(target)
    };
    let server = |url: &str| Target::Http(HttpTarget { url: url.into() });
    let url = |url: &str| FunctionPatch {
        target: Some(TargetPatch::Http(HttpPatch {
            url: Some(url.into()),
        })),
        ..nothing()
    };
    let lambda = |function: &str| v1::Function {
        target: Some(ApiTarget::Lambda(v1::LambdaTarget {
            function: function.into(),
        })),
        ..v1::Function::default()
    };
    let elsewhere = |function: &str| {
        Target::Lambda(LambdaTarget {
            function: function.into(),
        })
    };
    let named = |function: &str| FunctionPatch {
        target: Some(TargetPatch::Lambda(LambdaPatch {
            function: Some(function.into()),
        })),
        ..nothing()
    };
    let some = |patch| FunctionPatch {
        target: Some(TargetPatch::Process(patch)),
        ..nothing()
    };
    let remembering = process(v1::ProcessTarget {
        memory_mb: Some(256),
        ..v1::ProcessTarget::default()
    });
    for (f, paths, expected) in [
        (&empty, &[][..], nothing()),
        (
            &v1::Function {
                concurrency: Some(2),
                ..empty.clone()
            },
            &[],
            FunctionPatch {
                concurrency: Some(2),
                ..nothing()
            },
        ),
        (
            &empty,
            &["timeout"],
            FunctionPatch {
                timeout_ms: Some(3_000),
                ..nothing()
            },
        ),
        (
            &process(command()),
            &[],
            replace(Target::Process(default_process())),
        ),
        (&in_process, &["in_process"], replace(Target::InProcess)),
        (&http("http://h/"), &[], replace(server("http://h/"))),
        (&http("http://h/"), &["http"], replace(server("http://h/"))),
        (&http("http://h/"), &["*"], everything(server("http://h/"))),
        (&http("http://h/"), &["http.url"], url("http://h/")),
        (&empty, &["http.url"], url("")),
        (&lambda("f:live"), &[], replace(elsewhere("f:live"))),
        (&lambda("f:live"), &["lambda"], replace(elsewhere("f:live"))),
        (&lambda("f:live"), &["lambda.function"], named("f:live")),
        (&empty, &["lambda.function"], named("")),
        (
            &remembering,
            &["process.memory_mb"],
            some(ProcessPatch {
                memory_mb: Some(256),
                ..ProcessPatch::default()
            }),
        ),
        (
            &empty,
            &["process.working_dir"],
            some(ProcessPatch {
                working_dir: Some(None),
                ..ProcessPatch::default()
            }),
        ),
    ] {
        assert_eq!(patched(f, paths), Ok(expected), "{paths:?}");
    }
    for (f, paths, field) in [
        (&in_process, &["process"][..], "update_mask"),
        (&process(command()), &["in_process"], "update_mask"),
        (&process(command()), &["http"], "update_mask"),
        (&http("http://h/"), &["process"], "update_mask"),
        (&http("http://h/"), &["http", "process"], "update_mask"),
        (&http("http://h/"), &["http.url", "process.env"], "update_mask"),
        (&lambda("f"), &["lambda.function", "http.url"], "update_mask"),
        (&empty, &["http"], "function.target"),
        (&empty, &["lambda"], "function.target"),
        (&empty, &["process"], "function.target"),
        (&empty, &["arn"], "update_mask"),
        (&empty, &["*"], "function.target"),
    ] {
        assert_eq!(patched(f, paths), Err(vec![field.to_owned()]), "{paths:?}");
    }
}

#[test]
fn what_is_shown_can_be_sent_back() {
    let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
    let full = ProcessTarget {
        working_dir: Some("/srv".into()),
        env,
        env_pass: vec!["PATH".into()],
        init_timeout_ms: 1_500,
        memory_mb: 256,
        ..default_process()
    };
    for target in [
        Target::InProcess,
        Target::Http(HttpTarget {
            url: "http://127.0.0.1:8080/events".into(),
        }),
        Target::Lambda(LambdaTarget {
            function: "123456789012:function:f:live".into(),
        }),
        Target::Process(default_process()),
        Target::Process(full),
    ] {
        let spec = FunctionSpec {
            target,
            timeout_ms: 1_234,
            concurrency: 3,
        };
        let function = Function {
            namespace: Namespace::default(),
            name: FunctionName::new("f").unwrap(),
            spec: spec.clone(),
            generation: 1,
            revision: 4,
            created: Wall(0),
            modified: Wall(0),
            request_id: None,
            applied: Default::default(),
            tags: Default::default(),
        };
        let shown = to_api(&FunctionView {
            function,
            pool: PoolStatus::default(),
        });
        assert_eq!(
            (shown.name.as_str(), shown.etag.as_str()),
            ("namespaces/default/functions/f", "4")
        );
        assert_eq!(shown.arn, "arn:aws:lambda:us-east-1:000000000000:function:f");
        assert_eq!(read(&shown), (spec, vec![]));
    }
}

fn result(outcome: Outcome) -> InvokeResult {
    InvokeResult {
        request_id: RequestId::from_random(1),
        outcome,
        duration_ms: 12,
    }
}

#[test]
fn a_failure_of_the_function_is_an_answer() {
    let payload = invoked(result(Outcome::Response(Bytes::from_static(b"1")))).unwrap();
    assert_eq!(
        payload.outcome,
        Some(ApiOutcome::Payload(Bytes::from_static(b"1")))
    );
    let raised = FunctionError {
        kind: FunctionErrorKind::Raised,
        error_type: "E".into(),
        message: "m".into(),
    };
    let after = std::time::Duration::from_secs(3);
    for (outcome, kind, error_type, message) in [
        (
            Outcome::FunctionError(raised),
            v1::FunctionErrorKind::Raised,
            "E",
            "m",
        ),
        (
            Outcome::Timeout { after },
            v1::FunctionErrorKind::Timeout,
            "Sandbox.Timedout",
            "Task timed out after 3.00 seconds",
        ),
    ] {
        let Some(ApiOutcome::FunctionError(e)) = invoked(result(outcome)).unwrap().outcome else {
            panic!()
        };
        assert_eq!(
            (e.kind(), e.r#type.as_str(), e.message.as_str()),
            (kind, error_type, message)
        );
    }
}

#[test]
fn a_call_that_did_not_happen_is_an_error_with_a_hint() {
    let after = Some(std::time::Duration::from_secs(2));
    for (outcome, reason, hint) in [
        (
            Outcome::Throttled { retry_after: after },
            "FUNCTION_THROTTLED",
            after,
        ),
        (
            Outcome::Unreachable {
                reason: "gone".into(),
            },
            "FUNCTION_UNREACHABLE",
            Some(std::time::Duration::from_secs(1)),
        ),
    ] {
        let status = invoked(result(outcome)).unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.get_details_error_info().unwrap().reason, reason);
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, hint);
    }
}
