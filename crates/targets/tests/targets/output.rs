//! What functions print arrives line by line, tagged and bounded.

use crate::rig::{event, pool, response};
use serde_json::json;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};

#[derive(Clone, Debug, Default)]
struct Line {
    message: String,
    function: String,
    stream: String,
    request_id: String,
    cut: bool,
    lost: u64,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "request_id" => self.request_id = format!("{value:?}"),
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "function" => value.clone_into(&mut self.function),
            "stream" => value.clone_into(&mut self.stream),
            _ => {}
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.cut |= field.name() == "cut" && value;
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "lost" {
            self.lost = value;
        }
    }
}

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<Line>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Capture {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "millstream::function" {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lock().unwrap().push(line);
        }
    }
}

/// Runs on one thread, as a subscriber can be set for a thread without disturbing other tests.
fn captured<F: Future>(body: impl FnOnce() -> F) -> Vec<Line> {
    let capture = Capture::default();
    let subscriber = tracing_subscriber::registry().with(capture.clone());
    tracing::subscriber::with_default(subscriber, || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(body())
    });
    let lines = capture.0.lock().unwrap();
    lines.clone()
}

#[test]
fn lines_carry_the_request_that_printed_them() {
    let mut ids = Vec::new();
    let lines = captured(|| async {
        let pool = pool(1);
        for n in 0..20 {
            let invocation = event(&json!({"do": "print", "text": format!("call {n}")}));
            ids.push(invocation.request_id.to_string());
            response(pool.invoke(invocation).await);
        }
        pool.close().await;
    });
    for (n, id) in ids.iter().enumerate() {
        for (stream, text) in [("stdout", format!("call {n}")), ("stderr", format!("e:call {n}"))] {
            let line = lines
                .iter()
                .find(|l| l.stream == stream && l.message == text)
                .expect(&text);
            assert_eq!(
                (&line.request_id, line.function.as_str()),
                (id, "tested"),
                "{text}"
            );
        }
    }
    assert_eq!(lines.len(), 40);
}

#[test]
fn long_lines_are_cut_and_many_lines_dropped_and_counted() {
    let lines = captured(|| async {
        let pool = pool(1);
        response(
            pool.invoke(event(&json!({"do": "print", "text": "x".repeat(100_000)})))
                .await,
        );
        response(
            pool.invoke(event(&json!({"do": "print", "text": "#", "lines": 20_000})))
                .await,
        );
        // A later line tells how many were lost, once the rate allows one.
        for _ in 0..3 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            response(pool.invoke(event(&json!({"do": "print", "text": "later"}))).await);
        }
        pool.close().await;
    });
    let long = lines.iter().find(|l| l.message.starts_with("xx")).unwrap();
    assert_eq!((long.message.len(), long.cut), (16 * 1024, true));
    let lost: u64 = lines.iter().map(|l| l.lost).sum();
    let passed = lines.iter().filter(|l| l.lost == 0).count() as u64;
    assert!(lost > 0, "some were lost");
    assert_eq!(passed + lost, 2 + 20_001 + 6, "every line passed or was counted");
}
