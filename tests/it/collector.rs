//! A real OTLP collector (rotel, from Python's index), and what it says that it received.

use crate::wait::{SOON, until};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A collector on free ports; it goes with this.
pub(crate) struct Collector {
    _child: Child,
    log: PathBuf,
    /// `IP:PORT` for OTLP over gRPC.
    pub(crate) grpc: String,
    /// `IP:PORT` for OTLP over HTTP.
    pub(crate) http: String,
    _dir: TempDir,
}

/// A span as the collector shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) trace: String,
    pub(crate) parent: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) message: String,
    /// With their types, e.g. `Int(3)`.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Trace and span.
    pub(crate) links: Vec<(String, String)>,
}

/// Ports that are free now. Somebody else may take them before the collector does; then it is started again.
fn free_ports() -> [u16; 2] {
    let listeners = [0, 0].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

impl Collector {
    /// Starts one that takes spans.
    ///
    /// # Panics
    /// If it cannot be started, or does not listen soon.
    pub(crate) async fn start() -> Self {
        for _ in 0..5 {
            if let Some(started) = Self::try_start().await {
                return started;
            }
        }
        panic!("rotel does not start");
    }

    async fn try_start() -> Option<Self> {
        let python = crate::foreign::python();
        let found = Command::new(&python)
            .args(["-c", "import os, rotel; print(os.path.dirname(rotel.__file__))"])
            .output()
            .await
            .unwrap();
        assert!(found.status.success(), "rotel is not installed: {found:?}");
        let agent = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim()).join("rotel-agent");
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("log");
        let [grpc, http] = free_ports().map(|port| format!("127.0.0.1:{port}"));
        let mut child = Command::new(agent)
            .arg("start")
            .args(["--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http])
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--exporter", "blackhole", "--pid-file"])
            .arg(dir.path().join("pid"))
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let listens = until("rotel to listen or to end", SOON, async || {
            if child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let (a, b) = tokio::join!(TcpStream::connect(&grpc), TcpStream::connect(&http));
            (a.is_ok() && b.is_ok()).then_some(true)
        })
        .await;
        listens.then_some(Self {
            _child: child,
            log,
            grpc,
            http,
            _dir: dir,
        })
    }

    /// Every span that has arrived.
    pub(crate) fn spans(&self) -> Vec<Span> {
        parse(&std::fs::read_to_string(&self.log).unwrap())
    }

    /// Waits until `enough` says so of the spans that have arrived.
    pub(crate) async fn wait(&self, what: &str, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        until(what, SOON, async || {
            Some(self.spans()).filter(|spans| enough(spans))
        })
        .await
    }
}

/// Which attributes the lines are of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Resource,
    Span,
    Links,
}

/// Reads the collector's debug log: `Name : value` lines, and `-> key: value` below headings.
fn parse(log: &str) -> Vec<Span> {
    let (mut spans, mut service, mut part) = (Vec::<Span>::new(), String::new(), Part::Resource);
    for line in log.lines() {
        let text = line.trim();
        if text.starts_with("Resource attributes") {
            part = Part::Resource;
        } else if text.starts_with("Span #") {
            part = Part::Span;
            spans.push(Span {
                service: service.clone(),
                ..Span::default()
            });
        } else if text.starts_with("SpanLink #") {
            part = Part::Links;
            spans.last_mut().unwrap().links.push(<_>::default());
        } else if let Some((key, value)) = text.strip_prefix("-> ").and_then(|t| t.split_once(": ")) {
            match (part, spans.last_mut(), key) {
                (Part::Resource, _, "service.name") => service = unquoted(value),
                (Part::Span, Some(span), _) => drop(span.attributes.insert(key.to_owned(), value.to_owned())),
                (Part::Links, Some(span), "Trace ID") => span.links.last_mut().unwrap().0 = value.to_owned(),
                (Part::Links, Some(span), "ID") => span.links.last_mut().unwrap().1 = value.to_owned(),
                _ => {}
            }
        } else if let (Part::Span, Some(span), Some((name, value))) =
            (part, spans.last_mut(), text.split_once(':'))
        {
            let place = match name.trim() {
                "Trace ID" => &mut span.trace,
                "Parent ID" => &mut span.parent,
                "ID" => &mut span.id,
                "Name" => &mut span.name,
                "Kind" => &mut span.kind,
                "Status code" => &mut span.status,
                "Status message" => &mut span.message,
                _ => continue,
            };
            *place = value.trim().to_owned();
        }
    }
    spans
}

/// The text in `Str(text)`.
fn unquoted(value: &str) -> String {
    let inner = value.strip_prefix("Str(").and_then(|v| v.strip_suffix(')'));
    inner.unwrap_or(value).to_owned()
}

impl Span {
    /// The text of an attribute.
    pub(crate) fn attribute(&self, key: &str) -> Option<&str> {
        let value = self.attributes.get(key)?;
        let inner = value.split_once('(').and_then(|(_, v)| v.strip_suffix(')'));
        Some(inner.unwrap_or(value))
    }
}
