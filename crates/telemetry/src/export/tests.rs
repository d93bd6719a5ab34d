//! The exporter as a whole, without a collector; with one it is tested as part of the server.

use super::*;
use opentelemetry::trace::{Span as _, Tracer as _};

fn settings(protocol: Protocol) -> Settings {
    Settings {
        enabled: true,
        queue: 8,
        protocol,
        timeout: Duration::from_millis(200),
        unused: Vec::new(),
    }
}

#[test]
fn nothing_is_started_unless_asked_for() {
    assert!(Exporter::start(&Settings::default(), "0").unwrap().is_none());
}

/// The variables of this process are not set, so the default endpoints are used; nobody listens there, or if somebody
/// does, the span arrives. Either way it is accounted for, and the shutdown ends.
#[test]
fn spans_are_accounted_for_and_a_shutdown_ends() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let exporter = {
            let _runtime = runtime.enter();
            Exporter::start(&settings(protocol), "0").unwrap().unwrap()
        };
        exporter.provider.tracer("t").start("s").end();
        assert_eq!(exporter.flow.waiting(), 1);
        exporter.shutdown(Duration::from_secs(30));
        assert_eq!(exporter.flow.waiting(), 0, "{protocol:?}");
        let mut scrape = Scrape::default();
        exporter.collect(&mut scrape);
        let text = scrape.text();
        let ended = text.contains("exported\"} 1") || text.contains("failed\"} 1");
        assert!(ended, "{protocol:?}\n{text}");
    }
}

#[test]
fn the_service_has_a_name_and_a_version() {
    let resource = resource("1.2.3");
    let get = |key: &'static str| resource.get(&Key::from_static_str(key)).map(|v| v.to_string());
    assert_eq!(get("service.name").as_deref(), Some("millstream"));
    assert_eq!(get("service.version").as_deref(), Some("1.2.3"));
}
