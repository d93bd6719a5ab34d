//! Queues of the built binary, over gRPC and on the command line: administration, messages from their sending to their
//! end, FIFO, dead letters, restarts, and mappings of them.

use crate::cli::{fails, json, ok};
use crate::client::{Client, mapping_name, mapping_of_queue, message, queue_arn, queue_name, test_function};
use crate::function::calls;
use crate::server::Server;
use crate::wait::{SOON, until};
use millstream_api::v1;
use serde_json::Value;
use std::time::Duration;
use tonic::{Code, Request};
use v1::message_attribute::Value as Attribute;

/// Long enough that nothing comes back by itself during a test.
const HIDDEN: i32 = 43_200;

fn receive(queue: &str, max: i32) -> v1::ReceiveMessagesRequest {
    v1::ReceiveMessagesRequest {
        queue: queue_name(queue),
        max_messages: max,
        visibility_timeout_seconds: Some(HIDDEN),
        ..Default::default()
    }
}

/// Receives up to so many messages, without waiting.
async fn received(client: &Client, queue: &str, max: i32) -> Vec<v1::QueueMessage> {
    let request = receive(queue, max);
    client
        .queues
        .clone()
        .receive_messages(request)
        .await
        .unwrap()
        .into_inner()
        .messages
}

/// Lets received messages be received again at once.
async fn show(client: &Client, queue: &str, messages: &[v1::QueueMessage]) -> Vec<v1::MessageResult> {
    let entry = |m: &v1::QueueMessage| v1::ChangeMessageVisibilityEntry {
        receipt_handle: m.receipt_handle.clone(),
        visibility_timeout_seconds: 0,
    };
    let request = v1::ChangeMessageVisibilityRequest {
        queue: queue_name(queue),
        entries: messages.iter().map(entry).collect(),
    };
    let answer = client.queues.clone().change_message_visibility(request).await;
    answer.unwrap().into_inner().results
}

/// The error codes of a delete, empty where it worked.
async fn deleted(client: &Client, queue: &str, messages: &[v1::QueueMessage]) -> Vec<String> {
    let request = v1::DeleteMessagesRequest {
        queue: queue_name(queue),
        receipt_handles: messages.iter().map(|m| m.receipt_handle.clone()).collect(),
    };
    let answer = client.queues.clone().delete_messages(request).await.unwrap();
    let results = answer.into_inner().results;
    results.into_iter().map(|r| r.error_code).collect()
}

fn bodies(messages: &[v1::QueueMessage]) -> Vec<&str> {
    messages.iter().map(|m| m.body.as_str()).collect()
}

/// How many are visible, hidden, delayed.
async fn depth(client: &Client, queue: &str) -> (i64, i64, i64) {
    let d = client.queue(queue).await.unwrap().depth.unwrap();
    (d.visible_messages, d.hidden_messages, d.delayed_messages)
}

fn in_group(group: &str, body: &str) -> v1::SendMessagesEntry {
    v1::SendMessagesEntry {
        message_group_id: group.to_owned(),
        ..message(body)
    }
}

fn dead_letters(queue: &str, max_receive_count: i32) -> Option<v1::RedrivePolicy> {
    Some(v1::RedrivePolicy {
        dead_letter_queue: queue.to_owned(),
        max_receive_count,
    })
}

#[tokio::test]
async fn a_message_from_its_sending_to_its_end() {
    let server = Server::start().await;
    let client = server.client();
    client.create_queue("jobs", v1::Queue::default()).await;
    let full = v1::SendMessagesEntry {
        attributes: [(
            "weight".to_owned(),
            v1::MessageAttribute {
                data_type: "Number".to_owned(),
                value: Some(Attribute::StringValue("1.5".to_owned())),
            },
        )]
        .into(),
        aws_trace_header: "Root=1-5759e988-bd862e3fe1be46a994272793".to_owned(),
        ..message("hello")
    };
    let delayed = v1::SendMessagesEntry {
        delay_seconds: Some(900),
        ..message("later")
    };
    let wrong = message("");
    let results = client
        .send("jobs", vec![full.clone(), delayed, wrong])
        .await
        .unwrap();
    // MD5 of `hello`, as anybody can compute it.
    assert_eq!(results[0].md5_of_body, "5d41402abc4b2a76b9719d911017c592");
    let codes: Vec<_> = results.iter().map(|r| r.error_code.as_str()).collect();
    assert_eq!(codes, ["", "", "INVALID_MESSAGE"], "{results:?}");
    assert_eq!(depth(&client, "jobs").await, (1, 0, 1));

    let seen = client.peek_all("jobs").await;
    assert_eq!(bodies(&seen), ["hello", "later"]);
    assert_eq!(
        (seen[0].state(), seen[1].state(), seen[0].receive_count),
        (v1::MessageState::Visible, v1::MessageState::Delayed, 0)
    );
    let first = received(&client, "jobs", 10).await;
    assert_eq!(bodies(&first), ["hello"]);
    assert_eq!(
        (&first[0].message_id, &first[0].attributes),
        (&results[0].message_id, &full.attributes)
    );
    assert_eq!(
        (first[0].receive_count, &first[0].aws_trace_header),
        (1, &full.aws_trace_header)
    );
    assert_eq!(depth(&client, "jobs").await, (0, 1, 1));
    assert!(received(&client, "jobs", 10).await.is_empty(), "it is hidden");

    show(&client, "jobs", &first).await;
    let second = received(&client, "jobs", 10).await;
    assert_eq!((second[0].body.as_str(), second[0].receive_count), ("hello", 2));
    assert_ne!(second[0].receipt_handle, first[0].receipt_handle);
    assert_eq!(
        show(&client, "jobs", &first).await[0].error_code,
        "INVALID_RECEIPT"
    );
    assert_eq!(deleted(&client, "jobs", &second).await, [""]);
    assert_eq!(depth(&client, "jobs").await, (0, 0, 1));

    let purge = v1::PurgeQueueRequest {
        name: queue_name("jobs"),
    };
    client.queues.clone().purge_queue(purge).await.unwrap();
    assert_eq!(depth(&client, "jobs").await, (0, 0, 0));
    assert!(client.peek_all("jobs").await.is_empty());
}

#[tokio::test]
async fn a_fifo_queue_keeps_order_per_group_and_knows_repetitions() {
    let server = Server::start().await;
    let client = server.client();
    let settings = v1::Queue {
        content_based_deduplication: Some(true),
        ..Default::default()
    };
    client.create_queue("jobs.fifo", settings).await;
    let sent = ["a1", "a2", "b1", "a3", "b2"].map(|body| in_group(&body[..1], body));
    let first = client.send("jobs.fifo", sent.to_vec()).await.unwrap();
    let again = client.send("jobs.fifo", vec![sent[0].clone()]).await.unwrap();
    assert_eq!(again[0].message_id, first[0].message_id, "a repetition");
    let refused = client.send("jobs.fifo", vec![message("x")]).await.unwrap();
    assert_eq!(refused[0].error_code, "INVALID_MESSAGE");
    assert!(
        refused[0].error_message.contains("message_group_id"),
        "{refused:?}"
    );

    let two = received(&client, "jobs.fifo", 2).await;
    assert_eq!(bodies(&two), ["a1", "a2"]);
    let seen = client.peek_all("jobs.fifo").await;
    assert_eq!(bodies(&seen), ["a1", "a2", "b1", "a3", "b2"]);
    assert_eq!(seen[3].state(), v1::MessageState::Blocked);
    let other = received(&client, "jobs.fifo", 10).await;
    assert_eq!(bodies(&other), ["b1", "b2"], "group a is locked");
    assert!(two[0].sequence_number < two[1].sequence_number);
    // The first comes again, so everything behind it waits.
    show(&client, "jobs.fifo", &two).await;
    let all = received(&client, "jobs.fifo", 10).await;
    assert_eq!(bodies(&all), ["a1", "a2", "a3"]);
    assert_eq!(deleted(&client, "jobs.fifo", &all).await, [""; 3]);
    let again = client.send("jobs.fifo", vec![sent[0].clone()]).await.unwrap();
    assert_eq!(again[0].error_code, "");
    assert!(
        received(&client, "jobs.fifo", 10).await.is_empty(),
        "it is a repetition still, though the first one is done"
    );
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letters_and_can_be_sent_again() {
    let server = Server::start().await;
    let client = server.client();
    client.create_queue("dead", v1::Queue::default()).await;
    let settings = v1::Queue {
        redrive_policy: dead_letters("dead", 2),
        ..Default::default()
    };
    client.create_queue("jobs", settings).await;
    let dead = client.queue("dead").await.unwrap();
    assert_eq!(dead.dead_letter_sources, ["jobs"]);
    ok(
        &server,
        &["queue", "send", "jobs", "poison", "--attribute", "n:Number=7"],
    )
    .await;
    for n in 1..=2 {
        let got = received(&client, "jobs", 10).await;
        assert_eq!((got.len(), got[0].receive_count), (1, n));
        show(&client, "jobs", &got).await;
    }
    assert!(received(&client, "jobs", 10).await.is_empty());
    let seen = until("the message among the dead letters", SOON, async || {
        let seen = client.peek_all("dead").await;
        (!seen.is_empty()).then_some(seen)
    })
    .await;
    assert_eq!(bodies(&seen), ["poison"]);
    assert_eq!(seen[0].dead_letter_source_arn, queue_arn("jobs"));
    assert_eq!(depth(&client, "jobs").await, (0, 0, 0));

    // By hand: what is printed is what is sent.
    let printed = ok(&server, &["queue", "peek", "dead", "-o", "json"]).await;
    let file = server.dir().join("dead.jsonl");
    std::fs::write(&file, printed).unwrap();
    let file = file.to_str().unwrap();
    ok(&server, &["queue", "send", "jobs", "--jsonl", "--file", file]).await;
    let again = received(&client, "jobs", 10).await;
    assert_eq!((bodies(&again), again[0].receive_count), (vec!["poison"], 1));
    assert_eq!(again[0].attributes, seen[0].attributes);
}

#[tokio::test]
async fn queues_survive_a_kill() {
    let mut server = Server::start().await;
    let client = server.client();
    client.create_queue("dead", v1::Queue::default()).await;
    let settings = v1::Queue {
        redrive_policy: dead_letters("dead", 5),
        visibility_timeout_seconds: Some(77),
        ..Default::default()
    };
    client.create_queue("jobs", settings).await;
    let settings = v1::Queue {
        content_based_deduplication: Some(true),
        ..Default::default()
    };
    client.create_queue("jobs.fifo", settings).await;
    let before = client.queue("jobs").await.unwrap();
    let delayed = v1::SendMessagesEntry {
        delay_seconds: Some(900),
        ..message("later")
    };
    let sent = ["done", "held", "left"].map(message).into_iter().chain([delayed]);
    client.send("jobs", sent.collect()).await.unwrap();
    let fifo = ["1", "2", "3"].map(|body| in_group("g", body));
    client.send("jobs.fifo", fifo.to_vec()).await.unwrap();
    let held = received(&client, "jobs", 2).await;
    let done = held
        .iter()
        .filter(|m| m.body == "done")
        .cloned()
        .collect::<Vec<_>>();
    assert_eq!(deleted(&client, "jobs", &done).await, [""]);
    let locked = received(&client, "jobs.fifo", 1).await;
    // A receive does not wait for its write; what is written after it does.
    client.create_queue("last", v1::Queue::default()).await;

    server.kill9().await;
    server.restart().await;
    let client = server.client();
    let after = client.queue("jobs").await.unwrap();
    assert_eq!(
        (after.etag, after.redrive_policy, after.visibility_timeout_seconds),
        (before.etag, before.redrive_policy, Some(77))
    );
    let seen = client.peek_all("jobs").await;
    let states: Vec<_> = seen
        .iter()
        .map(|m| (m.body.as_str(), m.state(), m.receive_count))
        .collect();
    assert_eq!(
        states,
        [
            ("held", v1::MessageState::InFlight, 1),
            ("left", v1::MessageState::Visible, 0),
            ("later", v1::MessageState::Delayed, 0),
        ]
    );
    assert_eq!(bodies(&received(&client, "jobs", 10).await), ["left"]);
    let held: Vec<_> = held.into_iter().filter(|m| m.body == "held").collect();
    assert_eq!(
        deleted(&client, "jobs", &held).await,
        [""],
        "a receipt is good in the next life"
    );
    assert!(
        received(&client, "jobs.fifo", 10).await.is_empty(),
        "the group is locked still"
    );
    show(&client, "jobs.fifo", &locked).await;
    client.send("jobs.fifo", vec![fifo[1].clone()]).await.unwrap();
    let all = received(&client, "jobs.fifo", 10).await;
    assert_eq!(
        bodies(&all),
        ["1", "2", "3"],
        "in order, and the repetition is known"
    );
}

#[tokio::test]
async fn a_long_poll_is_woken_and_one_that_is_given_up_takes_nothing() {
    let server = Server::start().await;
    let client = server.client();
    client.create_queue("jobs", v1::Queue::default()).await;
    let long = v1::ReceiveMessagesRequest {
        wait_time_seconds: Some(20),
        ..receive("jobs", 10)
    };
    // Given up while it waits: the deadline of the client passes long before that of the server.
    let given_up = tokio::time::timeout(
        Duration::from_millis(200),
        client.queues.clone().receive_messages(long.clone()),
    )
    .await;
    assert!(given_up.is_err(), "there was nothing to receive");
    // And one that is waited for, whose deadline is longer than its wait.
    let mut queues = client.queues.clone();
    let mut request = Request::new(long);
    request.set_timeout(SOON);
    let waiting = tokio::spawn(async move { queues.receive_messages(request).await });
    client.send("jobs", vec![message("a")]).await.unwrap();
    let got = waiting.await.unwrap().unwrap().into_inner().messages;
    assert_eq!(
        (bodies(&got), got[0].receive_count),
        (vec!["a"], 1),
        "nobody else has received it"
    );
}

#[tokio::test]
async fn a_long_poll_ends_when_the_server_does() {
    let mut server = Server::start().await;
    let client = server.client();
    client.create_queue("jobs", v1::Queue::default()).await;
    let mut queues = client.queues.clone();
    let mut request = Request::new(v1::ReceiveMessagesRequest {
        wait_time_seconds: Some(20),
        ..receive("jobs", 1)
    });
    request.set_timeout(SOON);
    let waiting = tokio::spawn(async move { queues.receive_messages(request).await });
    // Asked on the same connection after the receive, so that the receive has begun.
    client.queue("jobs").await.unwrap();
    server.terminate().await;
    let status = waiting.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
}

#[tokio::test]
async fn wrong_values_are_refused_with_field_value_and_what_is_allowed() {
    let server = Server::start().await;
    let client = server.client();
    client.create_queue("jobs", v1::Queue::default()).await;
    client.create_queue("jobs.fifo", v1::Queue::default()).await;
    for (line, code, says) in [
        (
            "create q --visibility-timeout 43201",
            2,
            "queue.visibility_timeout_seconds '43201' is not valid: 0 to 43200",
        ),
        (
            "create q --retention 59",
            2,
            "queue.message_retention_seconds '59' is not valid: 60 to 1209600",
        ),
        (
            "create q --delay 901",
            2,
            "queue.delay_seconds '901' is not valid: 0 to 900",
        ),
        (
            "create q --wait-time 21",
            2,
            "queue.receive_wait_time_seconds '21' is not valid: 0 to 20",
        ),
        (
            "create q --max-message-bytes 1023",
            2,
            "queue.maximum_message_bytes '1023' is not valid: 1024 to 1048576",
        ),
        (
            "create q --content-based-deduplication",
            2,
            "queue.content_based_deduplication",
        ),
        (
            "create q --deduplication-scope message-group",
            2,
            "queue.deduplication_scope",
        ),
        (
            "create q --dead-letter-queue jobs --max-receive-count 1001",
            2,
            "queue.redrive_policy.max_receive_count '1001' is not valid: 1 to 1000",
        ),
        (
            "create q --dead-letter-queue nosuch --max-receive-count 3",
            2,
            "queue.redrive_policy.dead_letter_queue 'nosuch'",
        ),
        (
            "create q --dead-letter-queue jobs.fifo --max-receive-count 3",
            2,
            "queue.redrive_policy.dead_letter_queue 'jobs.fifo'",
        ),
        (
            "create q --dead-letter-queue jobs",
            2,
            "--max-receive-count is not",
        ),
        (
            "create jobs --dead-letter-queue jobs --max-receive-count 3",
            2,
            "another queue",
        ),
        ("create a.b", 2, "queue_id"),
        ("create jobs", 4, "ALREADY_EXISTS"),
        ("update jobs", 2, "nothing to change"),
        (
            "update jobs --delay -1",
            2,
            "queue.delay_seconds '-1' is not valid: 0 to 900",
        ),
        ("update jobs --max-receive-count 3", 2, "has no redrive policy"),
        ("update jobs --etag 9 --delay 1", 4, "ETAG_MISMATCH"),
        ("get nosuch", 3, "nosuch"),
        ("purge nosuch --yes", 3, "nosuch"),
        ("purge jobs", 2, "--yes"),
        ("delete jobs", 2, "--yes"),
        ("send nosuch a", 3, "nosuch"),
        ("send jobs.fifo a", 2, "message_group_id '' is not valid"),
        (
            "send jobs a --delay 901",
            2,
            "delay_seconds '901 s' is not valid: 0 to 900",
        ),
        (
            "send jobs a --deduplication-id d",
            2,
            "message_deduplication_id 'd' is not valid",
        ),
        ("send jobs a b --deduplication-id d", 2, "for one message"),
        ("send jobs a --attribute n:Number=x", 2, "INVALID_MESSAGE"),
        ("send jobs --file nosuch", 1, "nosuch cannot be read"),
        ("receive jobs --max 11", 2, "11"),
        (
            "receive jobs --wait 21",
            2,
            "wait_time_seconds '21' is not valid: 0 to 20",
        ),
        ("delete-messages jobs nosuch", 4, "INVALID_RECEIPT"),
        ("change-visibility jobs nosuch --timeout 0", 4, "INVALID_RECEIPT"),
        (
            "change-visibility jobs x --timeout 43201",
            2,
            "visibility_timeout_seconds '43201' is not valid: 0 to 43200",
        ),
    ] {
        let args: Vec<&str> = ["queue"].into_iter().chain(line.split(' ')).collect();
        let (got, stderr) = fails(&server, &args).await;
        assert!(
            got == code && stderr.contains(says),
            "{line}: code {got}, not {code}: {stderr}"
        );
    }
    assert!(client.peek_all("jobs").await.is_empty());
}

#[tokio::test]
async fn the_command_line_sends_looks_receives_and_settles() {
    let server = Server::start().await;
    ok(
        &server,
        &["queue", "create", "jobs", "--visibility-timeout", "12h"],
    )
    .await;
    let dry = json(&server, &["queue", "create", "dry", "--delay", "5", "--dry-run"]).await;
    assert_eq!((&dry["delay_seconds"], &dry["etag"]), (&5.into(), &"".into()));
    assert_eq!(
        ok(&server, &["queue", "ls", "-o", "name"]).await.trim(),
        queue_name("jobs")
    );

    let lines: String = (0..25).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let file = server.dir().join("lines");
    std::fs::write(&file, lines).unwrap();
    let file = file.to_str().unwrap();
    let args = [
        "queue",
        "send",
        "jobs",
        "--file",
        file,
        "--attribute",
        "k=v",
        "-o",
        "name",
    ];
    let ids = ok(&server, &args).await;
    assert_eq!(ids.lines().count(), 25);
    let large = "x".repeat(400_000);
    std::fs::write(file, format!("{large}\n{large}\n{large}\n")).unwrap();
    let answers = ok(&server, &["queue", "send", "jobs", "--file", file, "-o", "json"]).await;
    assert_eq!(answers.lines().count(), 2, "three times 400 kB are two requests");

    let peeked = ok(&server, &["queue", "peek", "jobs", "--limit", "26", "-o", "json"]).await;
    let peeked: Vec<Value> = peeked
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut numbers: Vec<String> = peeked[..25]
        .iter()
        .map(|m| m["body"].as_str().unwrap().to_owned())
        .collect();
    numbers.sort_by_key(|body| (body.len(), body.clone()));
    let expected: Vec<String> = (0..25).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(numbers, expected);
    assert_eq!(peeked[0]["attributes"]["k"]["string_value"], "v");
    assert_eq!(peeked[25]["body"].as_str().map(str::len), Some(400_000));

    let depth = async || {
        let depth = &json(&server, &["queue", "get", "jobs"]).await["depth"];
        (
            depth["visible_messages"].as_i64().unwrap(),
            depth["hidden_messages"].as_i64().unwrap(),
        )
    };
    assert_eq!(depth().await, (28, 0), "nothing was received");
    let receipts = ok(
        &server,
        &["queue", "receive", "jobs", "--max", "10", "-o", "name"],
    )
    .await;
    let receipts: Vec<&str> = receipts.lines().collect();
    assert_eq!((receipts.len(), depth().await), (10, (18, 10)));
    let shown = [
        "queue",
        "change-visibility",
        "jobs",
        receipts[0],
        "--timeout",
        "0",
    ];
    ok(&server, &shown).await;
    assert_eq!(depth().await, (19, 9));
    let delete = [&["queue", "delete-messages", "jobs"][..], &receipts[1..]].concat();
    ok(&server, &delete).await;
    assert_eq!(depth().await, (19, 0));
    let body = ok(&server, &["queue", "receive", "jobs", "--raw", "--delete"]).await;
    assert!(body.starts_with("{\"n\":"), "{body}");
    assert_eq!(depth().await, (18, 0));
    ok(&server, &["queue", "purge", "jobs", "--yes"]).await;
    assert_eq!(depth().await, (0, 0));

    let changed = [
        "queue",
        "update",
        "jobs",
        "--unset",
        "visibility-timeout",
        "--delay",
        "1m",
    ];
    let changed = json(&server, &changed).await;
    assert_eq!(
        (&changed["visibility_timeout_seconds"], &changed["delay_seconds"]),
        (&30.into(), &60.into())
    );
    let described = ok(&server, &["queue", "describe", "jobs"]).await;
    assert!(described.contains("Delay        1m"), "{described}");
    ok(&server, &["queue", "delete", "jobs", "--yes"]).await;
    assert_eq!(fails(&server, &["queue", "get", "jobs"]).await.0, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_of_a_queue_is_made_watched_paused_and_drained() {
    let mut server = Server::start().await;
    ok(&server, &["queue", "create", "dead"]).await;
    let create = "queue create jobs --dead-letter-queue dead --max-receive-count 1 --visibility-timeout 30s";
    ok(&server, &create.split(' ').collect::<Vec<_>>()).await;
    let journal = server.dir().join("calls");
    let command = test_function(&journal, "id");
    let mut args = vec!["function", "create", "work", "--timeout", "30s", "--"];
    args.extend(command.iter().map(String::as_str));
    ok(&server, &args).await;
    let create =
        "mapping create work --queue jobs --function work --max-concurrency 2 --report-batch-item-failures";
    ok(&server, &create.split(' ').collect::<Vec<_>>()).await;
    let handled = || calls(&journal).iter().map(|c| c.done().len()).sum::<usize>();

    ok(&server, &["queue", "send", "jobs", "a", "b", "c"]).await;
    ok(&server, &["mapping", "wait", "work", "--for", "idle"]).await;
    assert_eq!(handled(), 3);
    let got = json(&server, &["mapping", "get", "work"]).await;
    assert_eq!(
        (&got["batch_size"], &got["scaling_config"]["maximum_concurrency"]),
        (&10.into(), &2.into()),
        "{got}"
    );
    let inside = json(&server, &["mapping", "inspect", "work"]).await;
    let queue = &inside["queue"];
    assert_eq!(queue["concurrency"], 2, "{inside}");
    assert_eq!(queue["counters"]["messages_deleted"], 3, "{inside}");
    assert!(queue["requests_last_hour"].as_i64() > Some(0), "{inside}");
    let described = ok(&server, &["mapping", "describe", "work"]).await;
    for part in [
        "at once 2",
        "Queue        about 0 visible",
        "3 deleted",
        "RECEIVING",
    ] {
        assert!(described.contains(part), "{part} is missing in {described}");
    }

    // What waits in a paused mapping's queue survives a restart and is handled after it.
    ok(&server, &["mapping", "pause", "work"]).await;
    ok(&server, &["mapping", "wait", "work", "--for", "paused"]).await;
    ok(&server, &["queue", "send", "jobs", "d"]).await;
    server.terminate().await;
    server.restart().await;
    assert_eq!(handled(), 3);
    let update = [
        "mapping",
        "update",
        "work",
        "--unset",
        "max-concurrency",
        "--batch-size",
        "1",
    ];
    let updated = json(&server, &update).await;
    assert_eq!(updated.get("scaling_config"), None, "{updated}");
    ok(&server, &["mapping", "resume", "work"]).await;
    ok(&server, &["mapping", "wait", "work", "--for", "idle"]).await;
    assert_eq!(handled(), 4);

    ok(&server, &["mapping", "delete", "work", "--yes"]).await;
    ok(&server, &["mapping", "wait", "work", "--for", "deleted"]).await;
    server.terminate().await;
}

#[tokio::test]
async fn a_mapping_of_a_queue_is_refused_where_it_makes_no_sense() {
    let server = Server::start().await;
    let client = server.client();
    client.create_stream("orders", 1).await;
    client.create_queue("jobs", v1::Queue::default()).await;
    client.create_queue("jobs.fifo", v1::Queue::default()).await;
    client.create_queue("dead.fifo", v1::Queue::default()).await;
    let function = test_function(&server.dir().join("calls"), "id");
    client
        .create_function("f", &function, Duration::from_secs(30), 1)
        .await;
    client
        .create_function("slow", &function, Duration::from_secs(31), 1)
        .await;
    for (line, says) in [
        (
            "--queue nosuch --function f",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        (
            "--queue jobs --function slow",
            "Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds",
        ),
        (
            "--queue jobs --function f --max-concurrency 1",
            "'scalingConfig.maximumConcurrency'",
        ),
        (
            "--queue jobs --function f --batch-size 11",
            "Maximum batch window",
        ),
        (
            "--queue jobs.fifo --function f --batch-size 11",
            "1 to 10 for a FIFO queue",
        ),
        (
            "--queue jobs.fifo --function f --window 1",
            "Batching window is not supported for FIFO queues",
        ),
        (
            "--queue jobs --function f --bisect",
            "Unsupported BisectBatchOnFunctionError",
        ),
        (
            "--queue jobs --function f --on-failure orders",
            "Unsupported DestinationConfig",
        ),
        (
            "--stream orders --function f --from trim --max-concurrency 2",
            "Unsupported ScalingConfig",
        ),
        (
            "--stream orders --function f --from trim --on-failure queue/dead.fifo",
            "a stream of the built-in broker, not a FIFO queue",
        ),
        (
            "--stream orders --function f --from trim --on-failure queue/nosuch",
            "nosuch",
        ),
        (
            "--source-arn arn:aws:kinesis:us-east-1:000000000000:stream/orders --function f",
            "startingPosition",
        ),
    ] {
        let args: Vec<&str> = ["mapping", "create", "m"]
            .into_iter()
            .chain(line.split(' '))
            .collect();
        let (code, stderr) = fails(&server, &args).await;
        assert!(
            code == 2 && stderr.contains(says),
            "{line}: code {code}: {stderr}"
        );
    }
    // Where it does make sense, it is made; once.
    let by_arn = format!("mapping create m --source-arn {} --function f", queue_arn("jobs"));
    ok(&server, &by_arn.split(' ').collect::<Vec<_>>()).await;
    let again = client
        .mappings
        .clone()
        .create_mapping(v1::CreateMappingRequest {
            parent: crate::client::NAMESPACE.to_owned(),
            mapping_id: "n".to_owned(),
            mapping: Some(mapping_of_queue("jobs", "f")),
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert!(
        again
            .message()
            .starts_with("An event source mapping with SQS arn (\" arn:aws:sqs"),
        "{again}"
    );
    let made = client.mapping("m").await.unwrap();
    assert_eq!((made.name, made.starting_position), (mapping_name("m"), 0));
    let to_queue = "mapping create s --stream orders --function slow --from trim --on-failure queue/jobs";
    ok(&server, &to_queue.split(' ').collect::<Vec<_>>()).await;
    until("the mapping to run", SOON, async || {
        let m = client.mapping("s").await.unwrap();
        (m.state() == v1::MappingState::Active).then_some(())
    })
    .await;
}
