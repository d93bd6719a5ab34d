//! Every setting's values, and all problems at once.

use super::super::resolve::{Inputs, resolve};
use super::*;
use std::collections::BTreeMap;

fn inputs(
    file: Option<&str>,
    env: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> (Inputs, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("millstream.yaml");
    std::fs::write(&path, file.unwrap_or("")).unwrap();
    let env: BTreeMap<_, _> = env
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let flags = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    (
        Inputs {
            file: Some(path),
            env,
            flags,
            ..Inputs::default()
        },
        dir,
    )
}

fn read(
    file: Option<&str>,
    env: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<ServerConfig, Vec<String>> {
    let (inputs, dir) = inputs(file, env, flags);
    let mut problems = Problems::default();
    let resolved = resolve(&inputs, &mut problems);
    let shown = dir.path().join("").display().to_string();
    ServerConfig::read(&resolved, problems)
        .map_err(|p| p.lines().iter().map(|line| line.replace(&shown, "")).collect())
}

#[test]
fn defaults_are_valid() {
    let config = read(None, &[], &[]).unwrap();
    assert_eq!(config.grpc_addr.to_string(), "127.0.0.1:7400");
    assert_eq!(config.ops_addr, Some(SocketAddr::from(([127, 0, 0, 1], 7402))));
    assert_eq!(config.aws_addr, Some(SocketAddr::from(([127, 0, 0, 1], 7401))));
    assert_eq!(config.aws_keys, KeysAt::Nowhere);
    assert!(!config.traces.enabled);
    assert_eq!(
        (config.drain_timeout, config.byte_budget),
        (Duration::from_secs(30), 256 * MIB)
    );
    assert_eq!(
        (
            config.discards_max_age,
            config.discards_max_bytes,
            config.documents_max_age
        ),
        (14 * DAY, 1024 * MIB, DAY)
    );
    assert_eq!(
        (config.http_targets, config.http_ca_file),
        (HttpReach::Private, None)
    );
}

#[test]
fn flags_win_over_environment_over_file_over_default() {
    let (file, env, flag) = (
        "drain_timeout: 1s",
        ("MILLSTREAM_DRAIN_TIMEOUT", "2s"),
        ("drain_timeout", "3s"),
    );
    for (file, env, flags, seconds) in [
        (None, vec![], vec![], 30),
        (Some(file), vec![], vec![], 1),
        (Some(file), vec![env], vec![], 2),
        (None, vec![env], vec![], 2),
        (Some(file), vec![env], vec![flag], 3),
        (Some(file), vec![("MILLSTREAM_DRAIN_TIMEOUT", "")], vec![], 1),
        (Some("drain_timeout: null"), vec![], vec![], 30),
    ] {
        assert_eq!(read(file, &env, &flags).unwrap().drain_timeout.as_secs(), seconds);
    }
}

#[test]
fn every_problem_is_told_at_once_and_where() {
    let file = "ops_addr: 7402\ngrpc_addr: 0.0.0.0:7400\ndrain_timeout: 30\ndata_dri: /x\nbyte_budget: [1]\n";
    let problems = read(
        Some(file),
        &[
            ("MILLSTREAM_BYTE_BUDGET", "1MiB"),
            ("MILLSTREAM_LOG_LEVEL", "loud"),
            ("MILLSTREAM_HTTP_TARGETS", "all"),
            ("OTEL_TRACES_EXPORTER", "jaeger"),
        ],
        &[
            ("log_format", "xml"),
            ("metrics_per_shard", "maybe"),
            ("discards_max_age", "30s"),
            ("discards_max_bytes", "1KiB"),
            ("documents_max_age", "15d"),
        ],
    )
    .unwrap_err();
    let want = [
        (
            "millstream.yaml:4",
            "there is no key 'data_dri'; did you mean 'data_dir'?",
        ),
        ("millstream.yaml:5", "byte_budget: one value is wanted"),
        (
            "millstream.yaml:2",
            "grpc_addr: 0.0.0.0:7400 is not a loopback address",
        ),
        ("millstream.yaml:1", "ops_addr: '7402' is not an address"),
        (
            "--metrics-per-shard",
            "metrics_per_shard: 'maybe' is neither true nor false",
        ),
        ("millstream.yaml:3", "drain_timeout: '30' has no unit: write 30s"),
        (
            "$MILLSTREAM_BYTE_BUDGET",
            "byte_budget: 1MiB is too little: at least 16MiB",
        ),
        (
            "--discards-max-age",
            "discards_max_age: 30s is out of range: 1m to 365d",
        ),
        (
            "--discards-max-bytes",
            "discards_max_bytes: 1KiB is too little: at least 1MiB",
        ),
        (
            "--documents-max-age",
            "documents_max_age: 15d is out of range: 1s to 14d",
        ),
        (
            "$MILLSTREAM_HTTP_TARGETS",
            "http_targets: 'all' is not a choice: private or public-only",
        ),
        ("$MILLSTREAM_LOG_LEVEL", "log_level: 'loud' is not a level"),
        ("--log-format", "log_format: 'xml' is not a format"),
        ("$OTEL_TRACES_EXPORTER", "'jaeger' is not supported: otlp or none"),
    ];
    assert_eq!(problems.len(), want.len(), "{problems:#?}");
    for ((origin, text), line) in want.iter().zip(&problems) {
        assert!(
            line.starts_with(origin) && line.contains(text),
            "{line}\nwanted {origin} {text}"
        );
    }
}

#[test]
fn files_that_are_not_a_mapping_are_refused_with_their_line() {
    for (text, part) in [
        ("- a\n", "a mapping of keys to values is wanted"),
        ("data_dir: [\n", "not valid YAML"),
        ("data_dir: a\ndata_dir: b\n", "duplicated key"),
        ("data_dir: a\n---\ndata_dir: b\n", "one document is wanted"),
    ] {
        let problems = read(Some(text), &[], &[]).unwrap_err();
        assert!(problems[0].contains(part), "{text}: {problems:?}");
    }
    assert!(read(Some("# nothing\n"), &[], &[]).is_ok());
}

#[test]
fn a_named_file_must_exist() {
    let mut problems = Problems::default();
    let missing = Inputs {
        file: Some("/nonexistent/m.yaml".into()),
        ..Inputs::default()
    };
    let resolved = resolve(&missing, &mut problems);
    let problems = ServerConfig::read(&resolved, problems).unwrap_err();
    assert!(
        problems.lines()[0].starts_with("--config: /nonexistent/m.yaml cannot be read"),
        "{problems:?}"
    );
}

#[test]
fn a_mistyped_variable_is_told_and_those_of_platforms_are_not() {
    let env = [
        ("MILLSTREAM_GRPC_ADR", "x"),
        ("MILLSTREAM_SERVICE_HOST", "x"),
        ("MILLSTREAM_DATA_DIR", "x"),
    ];
    let (inputs, _dir) = inputs(None, &env, &[]);
    let resolved = resolve(&inputs, &mut Problems::default());
    assert_eq!(
        resolved.suspicious,
        ["$MILLSTREAM_GRPC_ADR is not a setting and is ignored; did you mean $MILLSTREAM_GRPC_ADDR?"]
    );
}

#[test]
fn the_operations_port_can_be_left_out() {
    assert_eq!(read(Some("ops_addr: off"), &[], &[]).unwrap().ops_addr, None);
    let outside = read(Some("ops_addr: 0.0.0.0:7402"), &[], &[]).unwrap_err();
    assert!(
        outside[0].contains("ops_addr: 0.0.0.0:7402 is not a loopback address"),
        "{outside:?}"
    );
}

#[test]
fn spans_are_exported_as_the_standard_variables_say() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
    assert!(read(None, &[endpoint], &[]).unwrap().traces.enabled);
    assert!(
        !read(None, &[endpoint, ("OTEL_SDK_DISABLED", "true")], &[])
            .unwrap()
            .traces
            .enabled
    );
}

#[test]
fn only_loopback_is_listened_on() {
    for (text, ok) in [
        ("127.0.0.1:0", true),
        ("127.1.2.3:80", true),
        ("[::1]:7400", true),
        ("localhost:7400", true),
        ("0.0.0.0:7400", false),
        ("[::]:7400", false),
        ("10.0.0.1:7400", false),
        ("7400", false),
        ("example:7400", false),
    ] {
        assert_eq!(loopback(text).is_ok(), ok, "{text}");
    }
}

#[cfg(feature = "aws")]
#[test]
fn connections_are_a_list_in_the_file_and_a_text_elsewhere() {
    let file = "connections:\n  - match: arn:aws:sqs:*\n    endpoint_url: http://127.0.0.1:1\n";
    let arn = "arn:aws:sqs:eu-west-1:123456789012:q";
    let found = |config: ServerConfig| config.connections.find(arn).map(|(_, c)| c.is_local());
    assert_eq!(found(read(Some(file), &[], &[]).unwrap()), Some(true));
    let env = ("MILLSTREAM_CONNECTIONS", r#"[{"match": "*"}]"#);
    assert_eq!(found(read(Some(file), &[env], &[]).unwrap()), Some(false));
    assert_eq!(found(read(None, &[], &[("connections", "[]")]).unwrap()), None);
    let wrong = "data_dir: x\nconnections:\n  - match: sqs\n    region: EU\n";
    let problems = read(Some(wrong), &[], &[]).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("millstream.yaml:2: connections[0].match: 'sqs' is not valid"));
    assert!(problems[1].starts_with("millstream.yaml:2: connections[0].region: 'EU' is not valid"));
}
