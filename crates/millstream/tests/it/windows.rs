//! Tumbling windows of a closure: it gets window and state, and returns the new state.

use millstream::{Batch, BoxError, Millstream, Response};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Start of the window in ms, and the sum of its records.
type Totals = Arc<Mutex<Vec<(u64, u64)>>>;

fn add_up(batch: &Batch, totals: &Totals) -> Result<Response, BoxError> {
    let window = batch.window().ok_or("no window")?;
    let mut sum: u64 = window.state()?;
    for record in batch.records() {
        sum += std::str::from_utf8(&record.data)?.parse::<u64>()?;
        let arrival = record.arrival.0;
        assert!(window.start_ms() <= arrival && arrival < window.end_ms());
    }
    if window.is_final() {
        assert!(batch.is_empty() && !window.is_terminated_early());
        totals.lock().unwrap().push((window.start_ms(), sum));
    }
    Ok(Response::done().with_state(&sum)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_adds_up_per_window() {
    let dir = tempfile::tempdir().unwrap();
    let totals = Totals::default();
    let told = totals.clone();
    let running = Millstream::builder()
        .data_dir(dir.path())
        .stream("orders", 1)
        .function("totals", move |batch: Batch| {
            let told = told.clone();
            async move { add_up(&batch, &told) }
        })
        .mapping("m", |m| {
            m.stream("orders")
                .function("totals")
                .batch_size(3)
                .tumbling_window_seconds(1)
        })
        .start()
        .await
        .unwrap();
    let mut put = 0;
    // Until two windows have ended: each by a record of the next one.
    let ended = tokio::time::timeout(Duration::from_secs(60), async {
        while totals.lock().unwrap().len() < 2 {
            put += 1;
            running.put("orders", "k", put.to_string()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    ended.await.unwrap();
    // What is open ends when it is switched off: no record of a window is left behind.
    running.shutdown().await;
    let told = totals.clone();
    let running = Millstream::builder()
        .data_dir(dir.path())
        .function("totals", move |batch: Batch| {
            let told = told.clone();
            async move { add_up(&batch, &told) }
        })
        .mapping("m", |m| m.stream("orders").function("totals").batch_size(3))
        .start()
        .await
        .unwrap();
    let all = (1..=put).sum::<u64>();
    let sum = || totals.lock().unwrap().iter().map(|(_, sum)| sum).sum::<u64>();
    let complete = tokio::time::timeout(Duration::from_secs(60), async {
        while sum() < all {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    complete.await.unwrap();
    running.shutdown().await;
    assert_eq!(sum(), all);
    let starts: Vec<u64> = totals.lock().unwrap().iter().map(|(start, _)| *start).collect();
    assert!(starts.iter().all(|start| start % 1_000 == 0), "{starts:?}");
    assert!(starts.is_sorted_by(|a, b| a < b), "each once: {starts:?}");
}
