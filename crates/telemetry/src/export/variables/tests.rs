//! Variables in, settings or refusals out, as tables.

use super::*;

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");

fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<Problem>> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Settings::read(&variables.iter().map(own).collect())
}

#[test]
fn export_is_switched_on_by_an_endpoint_or_by_its_name() {
    for (variables, enabled) in [
        (&[][..], false),
        (&[("OTEL_SERVICE_NAME", "x"), ("PATH", "/bin")][..], false),
        (&[ENDPOINT][..], true),
        (
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h:1/v1/traces")][..],
            true,
        ),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")][..], false),
        (&[("OTEL_TRACES_EXPORTER", "otlp")][..], true),
        (&[("OTEL_TRACES_EXPORTER", "none"), ENDPOINT][..], false),
        (&[("OTEL_SDK_DISABLED", "true"), ENDPOINT][..], false),
        (
            &[("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "otlp")][..],
            false,
        ),
        (&[("OTEL_SDK_DISABLED", "false"), ENDPOINT][..], true),
        // Nothing is exported, so nothing else is looked at.
        (
            &[("OTEL_TRACES_SAMPLER", "?"), ("OTEL_BSP_MAX_QUEUE_SIZE", "?")][..],
            false,
        ),
    ] {
        assert_eq!(read(variables).map(|s| s.enabled), Ok(enabled), "{variables:?}");
    }
}

#[test]
fn what_is_read_here_is_read_as_the_specification_says() {
    let settings = read(&[ENDPOINT]).unwrap();
    assert_eq!(
        (settings.protocol, settings.queue, settings.timeout),
        (Protocol::HttpProtobuf, 2_048, Duration::from_secs(10))
    );
    let settings = read(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "gRPC"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "512"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Basic%20eA==,x-tenant=a,",
        ),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test, team = t",
        ),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
    ])
    .unwrap();
    assert_eq!(
        (settings.protocol, settings.queue, settings.timeout),
        (Protocol::Grpc, 512, Duration::from_millis(2_500))
    );
    assert_eq!(settings.unused, Vec::<String>::new());
}

#[test]
fn what_cannot_be_used_is_refused_by_its_name() {
    for (name, value, part) in [
        (
            "OTEL_SDK_DISABLED",
            "yes",
            "'yes' is not supported: true or false",
        ),
        (
            "OTEL_TRACES_EXPORTER",
            "zipkin",
            "'zipkin' is not supported: otlp or none",
        ),
        ("OTEL_TRACES_EXPORTER", "otlp,console", "otlp or none"),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http/json",
            "grpc or http/protobuf",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "udp",
            "grpc or http/protobuf",
        ),
        (
            "OTEL_EXPORTER_OTLP_COMPRESSION",
            "gzip",
            "'gzip' is not supported: none",
        ),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://h:4317", "no TLS"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "h:4317",
            "not an http:// URL",
        ),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem", "no TLS"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "1", "true or false"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "'10s' is not a whole number"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "not a whole number from 1"),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "a=b,token",
            "'token…' is not of the form key=value",
        ),
        ("OTEL_RESOURCE_ATTRIBUTES", "=v", "not of the form"),
        ("OTEL_TRACES_SAMPLER", "xray", "always_on, always_off"),
        ("OTEL_TRACES_SAMPLER", "Always_On", "not supported"),
        (
            "OTEL_TRACES_SAMPLER_ARG",
            "0.5",
            "means nothing unless OTEL_TRACES_SAMPLER is",
        ),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "from 1 to 1000000"),
        (
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            "4096",
            "more than OTEL_BSP_MAX_QUEUE_SIZE, which is 2048",
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "not a whole number"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "all", "not a whole number"),
    ] {
        let problems = read(&[ENDPOINT, (name, value)]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].variable, name);
        assert!(problems[0].why.contains(part), "{}: {}", name, problems[0].why);
    }
    let ratio = [
        ENDPOINT,
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ];
    assert!(read(&ratio).unwrap_err()[0].why.contains("from 0 to 1"));
}

#[test]
fn every_problem_is_told_at_once() {
    let problems = read(&[
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "x"),
        ("OTEL_TRACES_SAMPLER", "x"),
    ])
    .unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn secrets_in_headers_are_not_shown() {
    let problems = read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", "=hunter2")]).unwrap_err();
    assert!(!problems[0].why.contains("hunter2"), "{problems:?}");
}

#[test]
fn standard_variables_that_change_nothing_are_told() {
    let unused = read(&[
        ENDPOINT,
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_PYTHON_X", "1"),
    ]);
    let unused = unused.unwrap().unused;
    assert_eq!(unused.len(), 1, "{unused:?}");
    assert!(
        unused[0].starts_with("OTEL_METRICS_EXPORTER is set and not used"),
        "{unused:?}"
    );
}
