//! Who owns which setting: apply, or whoever else changed it.

use super::{diff, lines, write};
use crate::cli::{json, ok};
use crate::server::Server;

fn mapping(settings: &str) -> String {
    format!(
        "apiVersion: millstream/v1\nkind: Mapping\nmetadata: {{name: m}}\nspec:\n  stream: s\n  function: f\n  \
         starting_position: LATEST\n{settings}"
    )
}

async fn batch_size(server: &Server) -> i64 {
    json(server, &["mapping", "get", "m"]).await["batch_size"]
        .as_i64()
        .unwrap()
}

async fn apply(server: &Server, settings: &str) -> (String, String) {
    write(server, "m.yaml", &mapping(settings));
    let (told, warnings) = lines(server, &["apply", "-f", "m.yaml"]).await;
    (
        told.concat().trim_start_matches("mapping/m ").to_owned(),
        warnings,
    )
}

async fn somebody_else_sets(server: &Server, size: &str) {
    ok(server, &["mapping", "update", "m", "--batch-size", size]).await;
}

async fn with_mapping() -> Server {
    let server = Server::start().await;
    ok(&server, &["stream", "create", "s"]).await;
    ok(&server, &["function", "create", "f", "--", "true"]).await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_apply_set_and_nobody_changed_goes_back_to_its_default() {
    let server = with_mapping().await;
    let (created, configured, unchanged) = ("created", "configured", "unchanged");
    for (settings, want, size) in [
        ("  batch_size: 50\n", created, 50),
        ("  batch_size: 60\n", configured, 60),
        ("", configured, 100),
        ("", unchanged, 100),
        ("  batch_size: 100\n", unchanged, 100),
        ("  batch_size: 70\n", configured, 70),
        ("", configured, 100),
    ] {
        let (told, warnings) = apply(&server, settings).await;
        assert_eq!((told.as_str(), warnings.as_str()), (want, ""), "{settings}");
        assert_eq!(batch_size(&server).await, size, "{settings}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_set_is_left_alone_unless_the_file_says_otherwise() {
    let server = with_mapping().await;
    // Never in the file.
    apply(&server, "").await;
    somebody_else_sets(&server, "70").await;
    assert_eq!(apply(&server, "").await, ("unchanged".to_owned(), String::new()));
    assert_eq!(batch_size(&server).await, 70);

    // In the file: overwritten with a warning, which diff shows beforehand.
    assert_eq!(apply(&server, "  batch_size: 50\n").await.0, "configured");
    somebody_else_sets(&server, "80").await;
    let warning = "warning: mapping/m: batch_size was changed by somebody else, from '50' to '80'; the file sets it back \
                   to '50'\n";
    let (code, shown, said) = diff(&server, "m.yaml").await;
    assert_eq!((code, said.as_str()), (1, warning));
    assert!(
        shown.contains("-  batch_size: 80\n+  batch_size: 50\n"),
        "{shown}"
    );
    assert_eq!(batch_size(&server).await, 80);
    let told = apply(&server, "  batch_size: 50\n").await;
    assert_eq!(told, ("configured".to_owned(), warning.to_owned()));
    assert_eq!(batch_size(&server).await, 50);

    // Only what the file says is overwritten.
    ok(&server, &["mapping", "update", "m", "--max-retries", "3"]).await;
    let told = apply(&server, "  batch_size: 60\n").await;
    assert_eq!(told, ("configured".to_owned(), String::new()));
    let now = json(&server, &["mapping", "get", "m"]).await;
    assert_eq!(
        (now["batch_size"].as_i64(), now["maximum_retry_attempts"].as_i64()),
        (Some(60), Some(3))
    );

    // No longer in the file, but changed by somebody else since: left alone, and nobody's from then on.
    somebody_else_sets(&server, "90").await;
    let (told, said) = apply(&server, "").await;
    assert_eq!(told, "unchanged");
    assert!(
        said.contains("was changed by somebody else, from '60' to '90': it stays"),
        "{said}"
    );
    assert_eq!(apply(&server, "").await, ("unchanged".to_owned(), String::new()));
    assert_eq!(batch_size(&server).await, 90);

    // Both want the same: nothing to warn of.
    apply(&server, "  batch_size: 50\n").await;
    somebody_else_sets(&server, "55").await;
    assert_eq!(
        apply(&server, "  batch_size: 55\n").await,
        ("unchanged".to_owned(), String::new())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_by_hand_is_somebody_elses_change() {
    let server = with_mapping().await;
    apply(&server, "  paused: false\n").await;
    ok(&server, &["mapping", "pause", "m"]).await;
    let (told, said) = apply(&server, "  paused: false\n").await;
    assert_eq!(told, "configured");
    assert!(
        said.contains("paused was changed by somebody else, from 'false' to 'true'"),
        "{said}"
    );
    // A file that says nothing about it leaves it alone.
    let server = with_mapping().await;
    apply(&server, "").await;
    ok(&server, &["mapping", "pause", "m"]).await;
    assert_eq!(apply(&server, "").await, ("unchanged".to_owned(), String::new()));
    assert_eq!(json(&server, &["mapping", "get", "m"]).await["paused"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_queues_and_functions_are_owned_alike() {
    let server = Server::start().await;
    let text = |stream: &str, queue: &str, function: &str| {
        format!(
            "apiVersion: millstream/v1\nkind: Stream\nmetadata: {{name: s}}\nspec: {{{stream}}}\n---\n\
             apiVersion: millstream/v1\nkind: Queue\nmetadata: {{name: q}}\nspec: {{{queue}}}\n---\n\
             apiVersion: millstream/v1\nkind: Function\nmetadata: {{name: f}}\nspec: {{process: {{command: [a]{function}}}}}\n"
        )
    };
    let apply = async |file: String| {
        write(&server, "x.yaml", &file);
        lines(&server, &["apply", "-f", "x.yaml"]).await
    };
    let values = async || {
        (
            json(&server, &["stream", "get", "s"]).await["retention_hours"].clone(),
            json(&server, &["queue", "get", "q"]).await["delay_seconds"].clone(),
            json(&server, &["function", "get", "f"]).await["process"]["memory_mb"].clone(),
        )
    };
    let set = text("retention_hours: 48", "delay_seconds: 5", ", memory_mb: 256");
    apply(set.clone()).await;
    assert_eq!(values().await, (48.into(), 5.into(), 256.into()));
    apply(text("", "", "")).await;
    assert_eq!(values().await, (24.into(), 0.into(), 128.into()));
    apply(set.clone()).await;
    for line in [
        "stream update s --retention 72",
        "queue update q --delay 7",
        "function update f --memory-mb 512",
    ] {
        ok(&server, &line.split(' ').collect::<Vec<_>>()).await;
    }
    let (told, said) = apply(text("", "", "")).await;
    assert!(told.iter().all(|line| line.ends_with("unchanged")), "{told:?}");
    assert_eq!(said.lines().count(), 3, "{said}");
    assert_eq!(values().await, (72.into(), 7.into(), 512.into()));
    let (_, said) = apply(set).await;
    assert_eq!(said, "", "nobody's since the last time");
    assert_eq!(values().await, (48.into(), 5.into(), 256.into()));
}

/// What a function's processes take over by default is what it goes back to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_what_is_shown_of_it_and_the_file_again() {
    let server = Server::start().await;
    let file =
        "apiVersion: millstream/v1\nkind: Function\nmetadata: {name: f}\nspec: {process: {command: [a]}}\n";
    write(&server, "f.yaml", file);
    ok(&server, &["apply", "-f", "f.yaml"]).await;
    let shown = ok(&server, &["get", "function", "f", "-o", "yaml"]).await;
    write(&server, "shown.yaml", &shown);
    for name in ["shown.yaml", "f.yaml", "shown.yaml", "f.yaml"] {
        let told = lines(&server, &["apply", "-f", name]).await;
        assert_eq!(
            told,
            (vec!["function/f unchanged".to_owned()], String::new()),
            "{name}"
        );
        let pass = json(&server, &["function", "get", "f"]).await["process"]["env_pass"].clone();
        assert_eq!(pass, serde_json::json!(["PATH"]), "{name}");
    }
}
