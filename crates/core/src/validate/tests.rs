//! Every rule at both sides of its boundary.

use super::*;
use millstream_types::{
    DestinationArn, FunctionName, FunctionSpec, HttpTarget, LambdaTarget, MappingSpec, ProcessTarget,
    QueueName, SourceArn, StartingPosition, StreamName, StreamSpec, Target, Wall,
};
use std::collections::BTreeMap;
use std::time::Duration;

const NOW: Wall = Wall(1_767_225_600_000);

fn local(name: &str) -> SourceArn {
    SourceArn::local_stream(&StreamName::new(name).unwrap())
}

fn spec() -> MappingSpec {
    MappingSpec::stream(
        local("orders"),
        FunctionName::new("f").unwrap(),
        StartingPosition::TrimHorizon,
    )
}

fn changed(change: impl FnOnce(&mut MappingSpec)) -> MappingSpec {
    let mut spec = spec();
    change(&mut spec);
    spec
}

/// The fields that were refused, in order.
fn fields(result: Result<(), Violations>) -> Vec<&'static str> {
    let Err(found) = result else { return Vec::new() };
    assert!(!found.0.is_empty(), "an error says what is wrong");
    found.0.iter().map(|v| v.field).collect()
}

fn message(result: Result<(), Violations>) -> String {
    result.map_or_else(|found| found.to_string(), |()| String::new())
}

fn constraint(value: &str, member: &str, relation: &str, bound: &str) -> String {
    format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must have value {relation} than or equal to {bound}"
    )
}

#[test]
fn awss_defaults_are_valid() {
    assert_eq!(mapping(&spec(), NOW), Ok(()));
    assert_eq!(stream(&StreamSpec::default()), Ok(()));
}

#[test]
fn ranges_of_a_mapping() {
    type Set = fn(&mut MappingSpec, i64);
    let batch: Set = |s, v| s.batch_size = v as u32;
    let window: Set = |s, v| s.batching_window_seconds = v as u32;
    let factor: Set = |s, v| s.parallelization_factor = v as u8;
    let retries: Set = |s, v| s.max_retry_attempts = v as i32;
    let tumbling: Set = |s, v| s.tumbling_window_seconds = v as u32;
    let age: Set = |s, v| s.max_record_age_seconds = v;
    let gap = "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)";
    let low = |v: &str, member: &str, bound: &str| constraint(v, member, "greater", bound);
    let high = |v: &str, member: &str, bound: &str| constraint(v, member, "less", bound);
    for (set, value, expected) in [
        (batch, 0, low("0", "batchSize", "1")),
        (batch, 1, String::new()),
        (batch, 10_000, String::new()),
        (batch, 10_001, high("10001", "batchSize", "10000")),
        (window, 0, String::new()),
        (window, 300, String::new()),
        (window, 301, high("301", "maximumBatchingWindowInSeconds", "300")),
        (factor, 0, low("0", "parallelizationFactor", "1")),
        (factor, 1, String::new()),
        (factor, 10, String::new()),
        (factor, 11, high("11", "parallelizationFactor", "10")),
        (tumbling, 0, String::new()),
        (tumbling, 1, String::new()),
        (tumbling, 900, String::new()),
        (tumbling, 901, high("901", "tumblingWindowInSeconds", "900")),
        (retries, -2, low("-2", "maximumRetryAttempts", "-1")),
        (retries, -1, String::new()),
        (retries, 0, String::new()),
        (retries, 10_000, String::new()),
        (retries, 10_001, high("10001", "maximumRetryAttempts", "10000")),
        (age, -2, low("-2", "maximumRecordAgeInSeconds", "-1")),
        (age, -1, String::new()),
        (age, 0, gap.to_owned()),
        (age, 59, gap.to_owned()),
        (age, 60, String::new()),
        (age, 604_800, String::new()),
        (
            age,
            604_801,
            high("604801", "maximumRecordAgeInSeconds", "604800"),
        ),
        (
            age,
            i64::MIN,
            low("-9223372036854775808", "maximumRecordAgeInSeconds", "-1"),
        ),
    ] {
        let spec = changed(|s| set(s, value));
        assert_eq!(message(mapping(&spec, NOW)), expected, "{value}");
        assert_eq!(message(update(&self::spec(), &spec)), expected, "{value}");
    }
}

#[test]
fn all_violations_are_told_at_once() {
    let spec = changed(|s| {
        s.batch_size = 0;
        s.batching_window_seconds = 301;
        s.parallelization_factor = 11;
        s.max_retry_attempts = -2;
        s.max_record_age_seconds = 59;
        s.on_failure = Some(local("orders").into());
        s.starting_position = Some(StartingPosition::AtTimestamp(Wall(NOW.0 + 1)));
    });
    let expected = [
        "batch_size",
        "maximum_batching_window_seconds",
        "parallelization_factor",
        "maximum_retry_attempts",
        "maximum_record_age_seconds",
        "destination_config.on_failure.destination",
        "starting_position_timestamp",
    ];
    assert_eq!(fields(mapping(&spec, NOW)), expected);
    assert_eq!(
        message(mapping(&spec, NOW)).matches("; ").count(),
        expected.len() - 1
    );
}

#[test]
fn a_violation_has_value_rule_and_sentence() {
    let Err(Violations(found)) = mapping(&changed(|s| s.batch_size = 10_001), NOW) else {
        panic!("refused")
    };
    let message = constraint("10001", "batchSize", "less", "10000");
    let allowed = "1 to 10000".to_owned();
    assert_eq!(
        found,
        [Violation {
            field: "batch_size",
            value: "10001".to_owned(),
            allowed,
            message
        }]
    );
}

#[test]
fn a_start_lies_not_in_the_future() {
    for (at, refused) in [(0, false), (NOW.0, false), (NOW.0 + 1, true), (u64::MAX, true)] {
        let spec = changed(|s| s.starting_position = Some(StartingPosition::AtTimestamp(Wall(at))));
        assert_eq!(mapping(&spec, NOW).is_err(), refused, "{at}");
    }
}

#[test]
fn a_destination_takes_documents_and_is_not_the_source() {
    let of = |text: &str| -> DestinationArn { text.parse().unwrap() };
    let padded = |n: usize| -> DestinationArn {
        let region = "r".repeat(n - "arn:aws:kinesis::000000000000:stream/s".len());
        of(&format!("arn:aws:kinesis:{region}:000000000000:stream/s"))
    };
    for (destination, part) in [
        (local("failed").into(), ""),
        (of("arn:aws:sqs:eu-west-1:123456789012:failed"), ""),
        (of("arn:aws:sns:eu-west-1:123456789012:failed"), ""),
        (of("arn:aws:s3:::failed"), ""),
        (padded(350), ""),
        (padded(351), "at most 350 characters"),
        (
            of("arn:aws:kinesis:eu-west-1:123456789012:stream/failed"),
            "a stream of the built-in broker, not a stream elsewhere",
        ),
        (
            of("arn:aws:sqs:eu-west-1:123456789012:failed.fifo"),
            "not a FIFO queue",
        ),
        (
            of("arn:aws:sns:eu-west-1:123456789012:failed.fifo"),
            "not a FIFO topic",
        ),
        (
            of("arn:aws:dynamodb:eu-west-1:123456789012:table/failed/stream/1"),
            "not the stream of a table",
        ),
        (local("orders").into(), "another stream than the mapping's source"),
    ] {
        let message = message(mapping(
            &changed(|s| s.on_failure = Some(destination.clone())),
            NOW,
        ));
        assert_eq!(message.is_empty(), part.is_empty(), "{destination}: {message}");
        assert!(message.contains(part), "{message}");
        assert!(message.len() < 300, "the value is shortened: {message}");
    }
}

#[test]
fn source_and_start_are_fixed() {
    let at = |ms| StartingPosition::AtTimestamp(Wall(ms));
    for (old, new, expected) in [
        (spec(), changed(|s| s.batch_size = 7), vec![]),
        (
            spec(),
            changed(|s| s.function = FunctionName::new("g").unwrap().into()),
            vec![],
        ),
        (
            spec(),
            changed(|s| s.source = local("others")),
            vec!["source_arn"],
        ),
        (
            spec(),
            changed(|s| s.starting_position = Some(StartingPosition::Latest)),
            vec!["starting_position"],
        ),
        (
            spec(),
            changed(|s| s.starting_position = Some(at(1))),
            vec!["starting_position"],
        ),
        (
            changed(|s| s.starting_position = Some(at(1))),
            changed(|s| s.starting_position = Some(at(1))),
            vec![],
        ),
        (
            changed(|s| s.starting_position = Some(at(1))),
            changed(|s| s.starting_position = Some(at(2))),
            vec!["starting_position_timestamp"],
        ),
    ] {
        assert_eq!(fields(update(&old, &new)), expected, "{new:?}");
    }
}

#[test]
fn a_starting_position_is_put_together_from_two_fields() {
    let at = Some(Wall(0));
    let null = "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.";
    let unknown = "1 validation error detected: Value 'latest' at 'startingPosition' failed to satisfy constraint: Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]";
    let alone = "Timestamp only valid with StartingPosition AT_TIMESTAMP";
    let needed = "starting_position_timestamp '' is not valid: needed with starting position AT_TIMESTAMP";
    for (position, timestamp, expected) in [
        (Some("TRIM_HORIZON"), None, Ok(StartingPosition::TrimHorizon)),
        (Some("LATEST"), None, Ok(StartingPosition::Latest)),
        (
            Some("AT_TIMESTAMP"),
            at,
            Ok(StartingPosition::AtTimestamp(Wall(0))),
        ),
        (Some("AT_TIMESTAMP"), None, Err(needed)),
        (Some("LATEST"), at, Err(alone)),
        (Some("TRIM_HORIZON"), at, Err(alone)),
        (Some("latest"), None, Err(unknown)),
        (Some("latest"), at, Err(unknown)),
        (None, None, Err(null)),
        (None, at, Err(null)),
    ] {
        let got = starting_position(position, timestamp).map_err(|v| v.message);
        assert_eq!(got, expected.map_err(str::to_owned), "{position:?} {timestamp:?}");
    }
}

#[test]
fn ranges_of_a_stream() {
    for (shards, retention_hours, expected) in [
        (0, 24, vec!["shard_count"]),
        (1, 1, vec![]),
        (256, 8_760, vec![]),
        (257, 8_761, vec!["shard_count", "retention_hours"]),
        (1, 0, vec!["retention_hours"]),
    ] {
        assert_eq!(
            fields(stream(&StreamSpec {
                shards,
                retention_hours,
                ..StreamSpec::default()
            })),
            expected,
            "{shards} {retention_hours}"
        );
    }
    let text = message(stream(&StreamSpec {
        shards: 1,
        retention_hours: 0,
        ..StreamSpec::default()
    }));
    assert_eq!(text, "retention_hours '0' is not valid: 1 to 8760 hours");
}

fn process(change: impl FnOnce(&mut ProcessTarget)) -> FunctionSpec {
    let mut process = ProcessTarget {
        command: vec!["./bootstrap".to_owned()],
        working_dir: None,
        env: BTreeMap::new(),
        env_pass: vec!["PATH".to_owned()],
        init_timeout_ms: 10_000,
        memory_mb: 128,
    };
    change(&mut process);
    FunctionSpec {
        target: Target::Process(process),
        timeout_ms: 3_000,
        concurrency: 10,
    }
}

#[test]
fn ranges_of_a_function() {
    for (timeout_ms, concurrency, expected) in [
        (0, 1, vec!["timeout"]),
        (1, 1, vec![]),
        (900_000, 1_000, vec![]),
        (900_001, 1_001, vec!["timeout", "concurrency"]),
        (1, 0, vec!["concurrency"]),
    ] {
        let spec = FunctionSpec {
            target: Target::InProcess,
            timeout_ms,
            concurrency,
        };
        assert_eq!(fields(function(&spec)), expected, "{timeout_ms} {concurrency}");
    }
    for (init_timeout_ms, memory_mb, expected) in [
        (99, 128, vec!["process.init_timeout"]),
        (100, 128, vec![]),
        (300_000, 10_240, vec![]),
        (300_001, 10_241, vec!["process.init_timeout", "process.memory_mb"]),
        (100, 127, vec!["process.memory_mb"]),
    ] {
        let spec = process(|p| (p.init_timeout_ms, p.memory_mb) = (init_timeout_ms, memory_mb));
        assert_eq!(fields(function(&spec)), expected, "{init_timeout_ms} {memory_mb}");
    }
}

#[test]
fn a_process_can_be_started_as_set() {
    let text = |n: usize| "x".repeat(n);
    let var = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    for (what, spec, expected) in [
        (
            "no command",
            process(|p| p.command.clear()),
            vec!["process.command"],
        ),
        (
            "an empty program",
            process(|p| p.command = vec![String::new()]),
            vec!["process.command"],
        ),
        (
            "an empty argument",
            process(|p| p.command.push(String::new())),
            vec![],
        ),
        (
            "NUL in an argument",
            process(|p| p.command.push("a\0b".to_owned())),
            vec!["process.command"],
        ),
        ("256 words", process(|p| p.command = vec![text(1); 256]), vec![]),
        (
            "257 words",
            process(|p| p.command = vec![text(1); 257]),
            vec!["process.command"],
        ),
        ("a long word", process(|p| p.command = vec![text(32_768)]), vec![]),
        (
            "too long a word",
            process(|p| p.command = vec![text(32_769)]),
            vec!["process.command"],
        ),
        (
            "long words",
            process(|p| p.command = vec![text(32_768); 8]),
            vec![],
        ),
        (
            "too many long words",
            process(|p| p.command = vec![text(32_768); 9]),
            vec!["process"],
        ),
        (
            "a directory",
            process(|p| p.working_dir = Some("fn".to_owned())),
            vec![],
        ),
        (
            "an empty directory",
            process(|p| p.working_dir = Some(String::new())),
            vec!["process.working_dir"],
        ),
        (
            "NUL in the directory",
            process(|p| p.working_dir = Some("\0".to_owned())),
            vec!["process.working_dir"],
        ),
        ("a variable", process(|p| p.env = var("A", "b=c")), vec![]),
        (
            "a variable without a name",
            process(|p| p.env = var("", "b")),
            vec!["process.env"],
        ),
        (
            "a name with =",
            process(|p| p.env = var("A=", "b")),
            vec!["process.env"],
        ),
        (
            "NUL in a value",
            process(|p| p.env = var("A", "\0")),
            vec!["process.env"],
        ),
        (
            "the Runtime API's",
            process(|p| p.env = var("AWS_LAMBDA_RUNTIME_API", "x")),
            vec!["process.env"],
        ),
        (
            "passed on without a name",
            process(|p| p.env_pass.push(String::new())),
            vec!["process.env_pass"],
        ),
        (
            "the Runtime API's passed on",
            process(|p| p.env_pass.push("AWS_LAMBDA_RUNTIME_API".to_owned())),
            vec!["process.env_pass"],
        ),
        (
            "too many passed on",
            process(|p| p.env_pass = vec![text(1); 257]),
            vec!["process.env_pass"],
        ),
    ] {
        assert_eq!(fields(function(&spec)), expected, "{what}");
    }
}

#[test]
fn a_refused_value_of_a_variable_is_not_repeated() {
    let spec = process(|p| p.env = BTreeMap::from([("A".to_owned(), "secret\0".to_owned())]));
    assert!(!message(function(&spec)).contains("secret"));
}

#[test]
fn a_function_of_lambda_is_named_as_lambda_takes_it() {
    let spec = |function: &str| FunctionSpec {
        target: Target::Lambda(LambdaTarget {
            function: function.to_owned(),
        }),
        timeout_ms: 3_000,
        concurrency: 10,
    };
    for name in [
        "orders",
        "orders:live",
        "orders:$LATEST",
        "123456789012:function:orders:7",
        "arn:aws:lambda:eu-west-1:123456789012:function:orders:live",
        &"f".repeat(64),
    ] {
        assert_eq!(fields(function(&spec(name))), [""; 0], "{name}");
    }
    for name in [
        "",
        "a b",
        "f:a:b",
        "arn:aws:sqs:us-east-1:123456789012:q",
        &"f".repeat(65),
    ] {
        assert_eq!(fields(function(&spec(name))), ["lambda.function"], "{name}");
    }
}

#[test]
fn a_url_is_one_that_can_be_called() {
    let spec = |url: &str| FunctionSpec {
        target: Target::Http(HttpTarget { url: url.to_owned() }),
        timeout_ms: 3_000,
        concurrency: 10,
    };
    let long = |path: usize| format!("http://h/{}", "x".repeat(path));
    for url in [
        "http://127.0.0.1:8080/events",
        "http://localhost",
        "HTTPS://Example.com/a/b?c=d&e=%20",
        "https://my_service.internal:65535",
        "http://[::1]:1/",
        "http://10.0.0.1?x",
        "http://h/a@b",
        &long(2_039),
    ] {
        assert_eq!(fields(function(&spec(url))), [""; 0], "{url}");
    }
    for (url, part) in [
        ("", "1 to 2048"),
        (&long(2_040), "1 to 2048"),
        ("http://h/a b", "without blanks"),
        ("http://h/\u{e4}", "% and two digits"),
        ("http://h/\n", "without blanks"),
        ("h", "begins with http"),
        ("/events", "a whole URL"),
        ("h:80/events", "a whole URL"),
        ("http:///events", "a whole URL"),
        ("http://", "a whole URL"),
        ("ftp://h/", "begins with http:// or https://"),
        ("file:///etc/passwd", "a whole URL"),
        ("unix://h/", "begins with http:// or https://"),
        ("http://h/#top", "without a fragment"),
        ("http://user@h/", "without user and password"),
        ("http://h:0/", "port is 1 to 65535"),
        ("http://h:65536/", "port is 1 to 65535"),
        ("http://h:+80/", "port is 1 to 65535"),
        ("http://h:/", "port is 1 to 65535"),
        ("http://[::1/", "a whole URL"),
        ("http://[h]/", "a name or an IP address"),
        ("http://a!b/", "a name or an IP address"),
        ("http://169.254.169.254/latest/meta-data/", "link-local"),
        ("http://[fe80::1]/", "link-local"),
        ("http://[::ffff:169.254.169.254]/", "link-local"),
        ("http://[fd00:ec2::254]/", "metadata"),
        ("http://0.0.0.0:80/", "unspecified"),
        ("http://224.0.0.1/", "multicast"),
    ] {
        let broken = function(&spec(url)).unwrap_err();
        assert_eq!(fields(Err(broken.clone())), ["http.url"], "{url}");
        assert!(message(Err(broken.clone())).contains(part), "{url}: {broken}");
    }
    let broken = message(function(&spec("http://user:secret@h/")));
    assert!(
        !broken.contains("secret") && !broken.contains("user:"),
        "{broken}"
    );
}

fn queue_spec(name: &str, change: impl FnOnce(&mut MappingSpec)) -> MappingSpec {
    let arn = SourceArn::local_queue(&QueueName::new(name).unwrap());
    let mut spec = MappingSpec::queue(arn, FunctionName::new("f").unwrap());
    change(&mut spec);
    spec
}

#[test]
fn a_queue_has_the_settings_of_a_queue() {
    let unsupported =
        |what: &str| format!("Unsupported {what} parameter for given event source mapping type.");
    let small =
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
    type Case = (&'static str, fn(&mut MappingSpec), String);
    let cases: Vec<Case> = vec![
        ("q", |_| (), String::new()),
        ("q.fifo", |_| (), String::new()),
        ("q", |s| s.batch_size = 11, small.to_owned()),
        ("q", |s| (s.batch_size, s.batching_window_seconds) = (10_000, 1), String::new()),
        ("q", |s| s.batching_window_seconds = 300, String::new()),
        (
            "q.fifo",
            |s| s.batching_window_seconds = 1,
            "Batching window is not supported for FIFO queues".to_owned(),
        ),
        (
            "q.fifo",
            |s| s.batch_size = 11,
            "batch_size '11' is not valid: 1 to 10 for a FIFO queue".to_owned(),
        ),
        ("q", |s| s.maximum_concurrency = Some(2), String::new()),
        ("q.fifo", |s| s.maximum_concurrency = Some(1_000), String::new()),
        (
            "q",
            |s| s.maximum_concurrency = Some(1),
            "1 validation error detected: Value '1' at 'scalingConfig.maximumConcurrency' failed to satisfy \
             constraint: Member must have value greater than or equal to 2"
                .to_owned(),
        ),
        (
            "q",
            |s| s.maximum_concurrency = Some(1_001),
            "1 validation error detected: Value '1001' at 'scalingConfig.maximumConcurrency' failed to satisfy \
             constraint: Member must have value less than or equal to 1000"
                .to_owned(),
        ),
        ("q", |s| s.parallelization_factor = 2, unsupported("ParallelizationFactor")),
        ("q", |s| s.tumbling_window_seconds = 1, unsupported("TumblingWindowInSeconds")),
        ("q", |s| s.bisect_on_error = true, unsupported("BisectBatchOnFunctionError")),
        ("q", |s| s.max_retry_attempts = 3, unsupported("MaximumRetryAttempts")),
        ("q", |s| s.max_record_age_seconds = 60, unsupported("MaximumRecordAgeInSeconds")),
        ("q", |s| s.on_failure = Some(local("dead").into()), unsupported("DestinationConfig")),
        (
            "q",
            |s| s.starting_position = Some(StartingPosition::Latest),
            unsupported("StartingPosition"),
        ),
    ];
    for (name, change, expected) in cases {
        let spec = queue_spec(name, change);
        let text = mapping(&spec, NOW).map_or_else(|e| e.to_string(), |()| String::new());
        assert_eq!(text, expected, "{spec:?}");
    }
}

#[test]
fn a_stream_has_a_start_and_no_scaling() {
    let none = changed(|s| s.starting_position = None);
    let text = mapping(&none, NOW).unwrap_err().to_string();
    assert!(text.contains("Value null at 'startingPosition'"), "{text}");
    let scaled = changed(|s| s.maximum_concurrency = Some(2));
    assert_eq!(
        mapping(&scaled, NOW).unwrap_err().to_string(),
        "Unsupported ScalingConfig parameter for given event source mapping type."
    );
}

#[test]
fn tumbling_windows_need_one_lane() {
    let windowed = |factor| changed(|s| (s.tumbling_window_seconds, s.parallelization_factor) = (60, factor));
    assert_eq!(mapping(&windowed(1), NOW), Ok(()));
    let refused = mapping(&windowed(2), NOW);
    assert_eq!(fields(refused.clone()), ["parallelization_factor"]);
    assert_eq!(
        message(refused),
        "Parallelization factor must be equal to 1 when tumbling window period is configured"
    );
    assert_eq!(update(&windowed(1), &windowed(1)), Ok(()));
    assert!(update(&windowed(1), &windowed(2)).is_err());
}

#[test]
fn the_stream_of_a_table_does_not_start_at_a_time() {
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000";
    let starting = |position| {
        let arn: SourceArn = arn.parse().unwrap();
        let spec = MappingSpec::stream(arn, FunctionName::new("f").unwrap(), position);
        mapping(&spec, NOW).map_err(|e| e.to_string())
    };
    assert_eq!(starting(StartingPosition::TrimHorizon), Ok(()));
    assert_eq!(starting(StartingPosition::Latest), Ok(()));
    assert_eq!(
        starting(StartingPosition::AtTimestamp(Wall(1))),
        Err(format!("Unsupported starting position for arn type: {arn}"))
    );
}

#[test]
fn failures_go_to_a_stream_or_a_standard_queue() {
    let to = |name: &str| {
        let arn = SourceArn::local_queue(&QueueName::new(name).unwrap());
        mapping(&changed(|s| s.on_failure = Some(arn.into())), NOW)
    };
    assert_eq!(to("dead"), Ok(()));
    assert!(
        to("dead.fifo")
            .unwrap_err()
            .to_string()
            .contains("not a FIFO queue")
    );
}

#[test]
fn a_queue_hides_messages_for_as_long_as_the_function_may_run() {
    let check = |hidden: u64, timeout_ms: u64| {
        visibility(Duration::from_secs(hidden), Duration::from_millis(timeout_ms))
            .map_or_else(|e| e.to_string(), |()| String::new())
    };
    assert_eq!(check(30, 30_000), "");
    assert_eq!(
        check(30, 60_000),
        "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds"
    );
    assert_eq!(
        check(30, 30_001),
        "Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds"
    );
}
