//! How fast it is: `cargo test --release -p millstream-core --lib filter::tests::rate -- --ignored --nocapture`.

#![allow(clippy::print_stderr, reason = "a measurement is to be read")]

use super::criteria;
use super::sources::{identity, record};
use crate::filter::{RecordFilter, Scratch};
use std::time::Instant;

fn measure(name: &str, patterns: &[&str], data: &str) {
    let filter = RecordFilter::new(&criteria(patterns), identity())
        .unwrap()
        .unwrap();
    let record = record(data.as_bytes(), "customer-17", 1_700_000_000_000);
    let mut scratch = Scratch::default();
    let mut best = f64::MAX;
    for _ in 0..7 {
        let (rounds, begin) = (200_000, Instant::now());
        let matched = (0..rounds).filter(|_| {
            filter
                .matches(std::hint::black_box(&record), &mut scratch)
                .is_some()
        });
        let matched = matched.count();
        assert!(matched == 0 || matched == rounds);
        best = best.min(begin.elapsed().as_secs_f64() / rounds as f64);
    }
    eprintln!(
        "{name:<44} {:>5} bytes {:>7.0} ns {:>6.2} M/s",
        data.len(),
        best * 1e9,
        1e-6 / best
    );
}

#[test]
#[ignore = "a measurement"]
fn rate() {
    let mut small = serde_json::json!({
        "id": "7d1a0c3e-5b1f-4c9e-a3b0-0f3f5a4f2c11", "kind": "order", "customer": 4217,
        "total": 129.95, "currency": "EUR", "items": ["a-1", "b-2"], "address": {"city": "Köln", "zip": "50667"},
    });
    let text = small.to_string();
    let kilobyte = {
        small["note"] = "The quick brown fox jumps over the lazy dog. ".repeat(18).into();
        small.to_string()
    };
    let numbers = serde_json::json!({"v": (0..200).collect::<Vec<u32>>(), "kind": "order"}).to_string();
    let one = r#"{"data":{"kind":["order"]}}"#;
    let missed = r#"{"data":{"kind":["refund"]}}"#;
    let three =
        r#"{"data":{"kind":["order"],"total":[{"numeric":[">",100]}],"address":{"city":[{"prefix":"K"}]}}}"#;
    let or = r#"{"data":{"$or":[{"kind":["x"]},{"total":[{"numeric":["<",1]}]},{"items":["b-2"]}]}}"#;
    measure("one field", &[one], &text);
    measure("one field, not matched", &[missed], &text);
    measure("three fields, two levels", &[three], &text);
    measure("five patterns", &[missed, missed, or, missed, three], &text);
    measure(
        "metadata only",
        &[r#"{"partitionKey":[{"prefix":"customer-"}]}"#],
        &text,
    );
    measure("one field", &[one], &kilobyte);
    measure("three fields, two levels", &[three], &kilobyte);
    measure("one field behind 200 numbers", &[one], &numbers);
    measure(
        "not JSON",
        &[one],
        "just a text that is not JSON at all, of some length",
    );
}
