//! AWS Lambda Powertools for Python, as its users use it: its partial responses mean here what they mean in Lambda.

use crate::client::{Client, NAMESPACE, entry, mapping, mapping_of_queue, message};
use crate::foreign::python;
use crate::server::Server;
use crate::wait::{SOON, until};
use millstream_api::v1;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So long a message that failed stays hidden; no shorter than the function's timeout.
const VISIBILITY: i32 = 3;

/// What a function noted: `done` or `failed`, the text, how often it was received, its group.
type Note = (String, String, u32, String);

struct Scene {
    server: Server,
    client: Client,
    journal: PathBuf,
    queue: String,
}

impl Scene {
    /// A queue mapped to a handler, and the mapping paused: what is sent before it is resumed comes in one batch.
    async fn set(handler: &str, fifo: bool, max_receives: i32) -> Self {
        let server = Server::start().await;
        let client = server.client();
        let journal = server.dir().join("journal");
        let suffix = if fifo { ".fifo" } else { "" };
        let (queue, dead) = (format!("q{suffix}"), format!("dead{suffix}"));
        client.create_queue(&dead, v1::Queue::default()).await;
        let settings = v1::Queue {
            visibility_timeout_seconds: Some(VISIBILITY),
            redrive_policy: Some(v1::RedrivePolicy {
                dead_letter_queue: dead,
                max_receive_count: max_receives,
            }),
            ..Default::default()
        };
        client.create_queue(&queue, settings).await;
        create_function(&client, handler, &journal).await;
        let settings = v1::Mapping {
            function_response_types: vec![v1::FunctionResponseType::ReportBatchItemFailures.into()],
            ..mapping_of_queue(&queue, "python")
        };
        client.create_mapping("m", settings).await;
        client.pause("m").await.unwrap();
        until("the pause to be complete", SOON, async || {
            let paused = client.mapping("m").await.ok()?.state() == v1::MappingState::Paused;
            paused.then_some(())
        })
        .await;
        Self {
            server,
            client,
            journal,
            queue,
        }
    }

    /// Sends `group:text`s, lets the mapping run, and returns what was noted when the queue is empty.
    async fn play(mut self, messages: &[&str]) -> (Vec<Note>, Vec<String>) {
        let entries = messages.iter().map(|text| {
            let (group, body) = text.split_once(':').unwrap();
            let mut entry = message(body);
            if self.queue.ends_with(".fifo") {
                entry.message_group_id = group.to_owned();
                entry.message_deduplication_id = body.replace(' ', "-");
            }
            entry
        });
        let results = self.client.send(&self.queue, entries.collect()).await.unwrap();
        assert!(results.iter().all(|r| r.error_code.is_empty()), "{results:?}");
        self.client.resume("m").await.unwrap();
        until("the queue to be empty", SOON, async || {
            let depth = self
                .client
                .queue(&self.queue)
                .await
                .ok()?
                .depth
                .unwrap_or_default();
            (depth.visible_messages + depth.hidden_messages == 0).then_some(())
        })
        .await;
        let dead = self.client.peek_all(&self.queue.replacen('q', "dead", 1)).await;
        let notes = std::fs::read_to_string(&self.journal).unwrap();
        let notes = notes.lines().map(note).collect();
        self.server.terminate().await;
        (notes, dead.into_iter().map(|m| m.body).collect())
    }
}

async fn create_function(client: &Client, handler: &str, journal: &Path) {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let target = v1::ProcessTarget {
        command: vec![
            text(&python()),
            "-m".to_owned(),
            "awslambdaric".to_owned(),
            format!("powertools_app.{handler}"),
        ],
        working_dir: text(&dir),
        env: [
            ("JOURNAL".to_owned(), text(journal)),
            ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
            ("POWERTOOLS_SERVICE_NAME".to_owned(), "test".to_owned()),
        ]
        .into(),
        init_timeout: Some(SOON.try_into().unwrap()),
        ..Default::default()
    };
    let request = v1::CreateFunctionRequest {
        parent: NAMESPACE.to_owned(),
        function_id: "python".to_owned(),
        function: Some(v1::Function {
            target: Some(v1::function::Target::Process(target)),
            timeout: Some(Duration::from_secs(VISIBILITY as u64).try_into().unwrap()),
            concurrency: Some(1),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.functions.clone().create_function(request).await.unwrap();
}

fn note(line: &str) -> Note {
    let words: Vec<&str> = line.split(' ').collect();
    let [what, text, receives, group] = words[..] else {
        panic!("the journal has the line {line}");
    };
    (
        what.to_owned(),
        text.to_owned(),
        receives.parse().unwrap(),
        group.to_owned(),
    )
}

fn texts(notes: &[Note], what: &str) -> Vec<String> {
    let wanted = notes.iter().filter(|note| note.0 == what);
    wanted
        .map(|(_, text, receives, _)| format!("{text}*{receives}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_processor_returns_what_failed_and_only_that() {
    let scene = Scene::set("standard", false, 2).await;
    let (notes, dead) = scene
        .play(&["-:0", "-:1 flaky", "-:2", "-:3 bad", "-:4", "-:5"])
        .await;
    let done: BTreeSet<String> = texts(&notes, "done").into_iter().collect();
    let want = ["0*1", "1*2", "2*1", "4*1", "5*1"].map(str::to_owned);
    assert_eq!(done, want.into(), "what succeeded is not called again: {notes:?}");
    assert_eq!(texts(&notes, "done").len(), 5, "{notes:?}");
    let failed: BTreeSet<String> = texts(&notes, "failed").into_iter().collect();
    assert_eq!(failed, ["1*1", "3*1", "3*2"].map(str::to_owned).into());
    assert_eq!(dead, ["3 bad"]);
}

const MESSAGES: [&str; 5] = ["a:a0", "a:a1 flaky", "a:a2", "b:b0", "b:b1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fifo_processor_stops_at_the_first_failure() {
    let scene = Scene::set("fifo", true, 5).await;
    let (notes, dead) = scene.play(&MESSAGES).await;
    // Everything behind a1 is reported without a call, the other group too: it comes again, in order.
    let mut done = texts(&notes, "done");
    assert_eq!(done.remove(0), "a0*1");
    assert_eq!(texts(&notes, "failed"), ["a1*1"]);
    let of = |group: char| {
        let of_group = done.iter().filter(|text| text.starts_with(group));
        of_group.map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!((of('a'), of('b')), (vec!["a1*2", "a2*2"], vec!["b0*2", "b1*2"]));
    assert!(dead.is_empty(), "{dead:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fifo_processor_that_skips_groups_lets_others_pass() {
    let scene = Scene::set("fifo_skip", true, 5).await;
    let (notes, dead) = scene.play(&MESSAGES).await;
    assert_eq!(texts(&notes, "failed"), ["a1*1"]);
    assert_eq!(texts(&notes, "done"), ["a0*1", "b0*1", "b1*1", "a1*2", "a2*2"]);
    assert!(dead.is_empty(), "{dead:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_processor_of_a_stream_is_called_from_the_first_failure_on() {
    let mut server = Server::start().await;
    let client = server.client();
    let journal = server.dir().join("journal");
    create_function(&client, "kinesis", &journal).await;
    client.create_stream("s", 1).await;
    let records = ["0", "1 flaky", "2", "3 bad", "4"];
    let entries = records.iter().map(|text| entry("key", *text)).collect();
    client.put("s", entries).await;
    let settings = v1::Mapping {
        function_response_types: vec![v1::FunctionResponseType::ReportBatchItemFailures.into()],
        maximum_retry_attempts: Some(1),
        bisect_batch_on_function_error: Some(true),
        ..mapping("s", "python")
    };
    client.create_mapping("m", settings).await;
    until("all to be done or given up", SOON, async || {
        let counters = client.mapping("m").await.ok()?.counters?;
        (counters.records_done + counters.records_discarded == 5).then_some(())
    })
    .await;
    let notes = std::fs::read_to_string(&journal).unwrap();
    let notes: Vec<Note> = notes.lines().map(note).collect();
    assert!(notes.iter().all(|n| n.3 == "key"), "{notes:?}");
    let done: BTreeSet<&str> = notes
        .iter()
        .filter(|n| n.0 == "done")
        .map(|n| n.1.as_str())
        .collect();
    assert_eq!(done, ["0", "1", "2", "4"].into());
    let given_up = client.given_up("m").await;
    let sizes: Vec<i32> = given_up.iter().map(|d| d.record_count).collect();
    assert_eq!(sizes, [1], "{notes:?}");
    server.terminate().await;
}

/// Changes of a table, as their event is written for any mapping: the parser finds all there is of them, and the report
/// names the one that failed by its sequence number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_a_table_are_parsed_without_loss() {
    let mut server = Server::start().await;
    let client = server.client();
    let journal = server.dir().join("journal");
    create_function(&client, "dynamodb", &journal).await;
    let image = r#"{"id":{"S":"a"},"n":{"N":"1.50"},"b":{"B":"aGk="},"s":{"SS":["x"]},"m":{"M":{"l":{"L":[{"NULL":true},{"BOOL":false}]}}}}"#;
    let good = ["--key", r#"{"id":{"S":"a"}}"#];
    let bad = ["--key", r#"{"id":{"S":"bad"}}"#];
    for (args, failed) in [
        (&[&good[..], &["--new-image", image]].concat(), None),
        (&[good, bad].concat(), Some(1)),
    ] {
        let made = server
            .cli(&[&["generate-event", "dynamodb"], &args[..]].concat())
            .await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let event: Value = serde_json::from_slice(&made.stdout).unwrap();
        let text = String::from_utf8(made.stdout).unwrap();
        let answer = server
            .cli(&["function", "invoke", "python", "--payload", text.trim()])
            .await;
        assert!(
            answer.status.success(),
            "{}",
            String::from_utf8_lossy(&answer.stderr)
        );
        let number = |at: usize| {
            event["Records"][at]["dynamodb"]["SequenceNumber"]
                .as_str()
                .unwrap()
        };
        let report: Value = serde_json::from_slice(&answer.stdout).unwrap();
        let failures: Vec<Value> = failed
            .map(|at| json!({ "itemIdentifier": number(at) }))
            .into_iter()
            .collect();
        assert_eq!(report["batchItemFailures"], json!(failures), "{report}");
        let notes = std::fs::read_to_string(&journal).unwrap();
        assert!(notes.contains(number(0)), "{notes}");
    }
    let notes = std::fs::read_to_string(&journal).unwrap();
    let first = notes.lines().next().unwrap();
    for part in [
        "INSERT {'id': 'a'} ",
        "Decimal('1.5",
        "'b': 'aGk='",
        "{'x'}",
        "[None, False]",
    ] {
        assert!(first.contains(part), "{part} is missing in {first}");
    }
    server.terminate().await;
}
