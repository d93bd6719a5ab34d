//! Tumbling windows of a Python function through kills: every window comes to the exact sum of its records.

use crate::client::{Client, NAMESPACE, entry, mapping};
use crate::foreign::python;
use crate::server::Server;
use crate::wait::{SOON, until};
use millstream_api::v1;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Length of a window in s.
pub(crate) const LENGTH: i64 = 2;
const KILLS: usize = 4;

/// Sum, count and last number of the records of a window.
pub(crate) type Total = (i64, i64, String);
/// Shard, and start in s.
pub(crate) type Window = (String, i64);

pub(crate) async fn create_function(client: &Client, journal: &Path) {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let target = v1::ProcessTarget {
        command: ["-m", "awslambdaric", "windows_app.handler"].iter().fold(
            vec![text(&python())],
            |mut command, arg| {
                command.push((*arg).to_owned());
                command
            },
        ),
        working_dir: text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("python")),
        env: [
            ("JOURNAL".to_owned(), text(journal)),
            ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
        ]
        .into(),
        init_timeout: Some(SOON.try_into().unwrap()),
        ..Default::default()
    };
    let request = v1::CreateFunctionRequest {
        parent: NAMESPACE.to_owned(),
        function_id: "totals".to_owned(),
        function: Some(v1::Function {
            target: Some(v1::function::Target::Process(target)),
            timeout: Some(Duration::from_secs(30).try_into().unwrap()),
            concurrency: Some(4),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.functions.clone().create_function(request).await.unwrap();
}

/// What the stream holds, by window. The first word of a record is its number.
pub(crate) async fn expected(client: &Client) -> BTreeMap<Window, Total> {
    let mut totals = BTreeMap::new();
    for shard in client.stream("orders").await.unwrap().shards {
        for record in client.read_shard("orders", &shard.shard_id).await {
            let arrival = record.approximate_arrival_time.unwrap().seconds;
            let window = (shard.shard_id.clone(), arrival - arrival % LENGTH);
            let total: &mut Total = totals.entry(window).or_default();
            let text = std::str::from_utf8(&record.data).unwrap();
            total.0 += text.split(' ').next().unwrap().parse::<i64>().unwrap();
            total.1 += 1;
            total.2 = record.sequence_number;
        }
    }
    totals
}

/// What the function noted at the end of each window; more than once if a crash came right after it.
pub(crate) fn noted(journal: &Path) -> Vec<(Window, Total)> {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    let seconds = |value: &Value| {
        let time: prost_types::Timestamp = value.as_str().unwrap().parse().unwrap();
        time.seconds
    };
    let of = |line: &str| {
        let v: Value = serde_json::from_str(line).unwrap();
        assert_eq!(v["early"], false, "{line}");
        assert_eq!(seconds(&v["end"]) - seconds(&v["start"]), LENGTH, "{line}");
        let state = &v["state"];
        let total = (
            state["sum"].as_i64().unwrap(),
            state["count"].as_i64().unwrap(),
            state["last"].as_str().unwrap().to_owned(),
        );
        let shard = v["shard"].as_str().unwrap().to_owned();
        ((shard, seconds(&v["start"])), total)
    };
    // A line that the kill cut short is not the function's: it is written by one call.
    text.lines().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_window_comes_to_the_sum_of_its_records_through_kills() {
    let mut server = Server::start().await;
    let journal = server.dir().join("journal");
    let mut client = server.client();
    client.create_stream("orders", 2).await;
    create_function(&client, &journal).await;
    let settings = v1::Mapping {
        batch_size: Some(7),
        tumbling_window_in_seconds: Some(LENGTH as i32),
        ..mapping("orders", "totals")
    };
    let made = client.create_mapping("totals", settings).await;
    assert_eq!(made.tumbling_window_in_seconds, Some(LENGTH as i32));

    let mut number = 0;
    for kill in 0..=KILLS {
        // Until windows have ended since the last kill, so that each finds states under way.
        let before = noted(&journal).len();
        until("windows to end", SOON, async || {
            number += 10;
            let records = (number - 10..number).map(|n| entry(&format!("key-{}", n % 9), n.to_string()));
            client.put("orders", records.collect()).await;
            (noted(&journal).len() >= before + 2).then_some(())
        })
        .await;
        if kill < KILLS {
            server.kill9().await;
            server.restart().await;
            client = server.client();
        }
    }
    let open = server.cli(&["mapping", "describe", "totals"]).await;
    let shown = String::from_utf8(open.stdout).unwrap();
    assert!(shown.contains("tumbling windows of 2 s"), "{shown}");

    until("every window to end", SOON, async || {
        let inspection = client.inspect("totals").await.ok()?;
        let shards = &inspection.shards;
        let quiet = |s: &v1::ShardInspection| s.window.is_none() && s.lag_records == Some(0);
        shards.iter().all(quiet).then_some(())
    })
    .await;
    let (expected, noted) = (expected(&client).await, noted(&journal));
    let ended: BTreeSet<&Window> = noted.iter().map(|(window, _)| window).collect();
    assert_eq!(ended, expected.keys().collect());
    for (window, total) in &noted {
        assert_eq!(total, &expected[window], "{window:?}");
    }
    assert!(expected.len() > KILLS, "{expected:?}");
    assert!(
        noted.len() <= expected.len() + 2 * KILLS,
        "a window is told again only when a kill came right after it"
    );
    server.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_set_refused_shown_and_switched_off() {
    let mut server = Server::start().await;
    let client = server.client();
    client.create_stream("orders", 1).await;
    create_function(&client, &server.dir().join("journal")).await;
    let refused = server
        .cli(&[
            "mapping",
            "create",
            "m",
            "--stream",
            "orders",
            "--function",
            "totals",
            "--from",
            "trim",
            "--tumbling-window",
            "1m",
            "--factor",
            "2",
        ])
        .await;
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    let words = "Parallelization factor must be equal to 1 when tumbling window period is configured";
    assert!(!refused.status.success() && text.contains(words), "{text}");
    let settings = v1::Mapping {
        tumbling_window_in_seconds: Some(900),
        ..mapping("orders", "totals")
    };
    client.create_mapping("m", settings).await;
    client.put("orders", vec![entry("k", "5")]).await;
    let open = until("the window to open", SOON, async || {
        let inspection = client.inspect("m").await.ok()?;
        inspection.shards.first()?.window.filter(|w| w.state_bytes > 2)
    })
    .await;
    let (start, end) = (open.start_time.unwrap().seconds, open.end_time.unwrap().seconds);
    assert_eq!((end - start, start % 900), (900, 0));
    let shown = server.cli(&["mapping", "describe", "m"]).await;
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("WINDOW") && shown.contains("tumbling windows of 900 s"),
        "{shown}"
    );
    let off = server
        .cli(&["mapping", "update", "m", "--tumbling-window", "0"])
        .await;
    assert!(off.status.success(), "{}", String::from_utf8_lossy(&off.stderr));
    until("the window to end", SOON, async || {
        let noted = noted_any(&server.dir().join("journal"));
        (noted == [(5, 1)]).then_some(())
    })
    .await;
    server.terminate().await;
}

/// Sum and count of what was noted, whatever the window.
fn noted_any(journal: &Path) -> Vec<(i64, i64)> {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    let of = |line: &str| {
        let v: Value = serde_json::from_str(line).unwrap();
        (
            v["state"]["sum"].as_i64().unwrap(),
            v["state"]["count"].as_i64().unwrap(),
        )
    };
    text.lines().map(of).collect()
}
