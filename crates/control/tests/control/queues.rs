//! Queues over the wire, and mappings of them.

use crate::fakes::{World, fields, reason};
use millstream_api::v1;
use millstream_engine::view::{
    QueueCounters, QueueInspection, QueueSnapshot, ScaleReason, ShardActivity, ShardInspection, SlotActivity,
    SlotInspection,
};
use millstream_ports::QueueDepth;
use millstream_types::{Position, ShardId, Wall};
use prost_types::FieldMask;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tonic::{Code, Request};

const WORK: &str = "namespaces/default/queues/work";
const PARENT: &str = "namespaces/default";
const MB: usize = 1024 * 1024;

fn create(id: &str, queue: v1::Queue) -> v1::CreateQueueRequest {
    v1::CreateQueueRequest {
        parent: PARENT.into(),
        queue_id: id.into(),
        queue: Some(queue),
        validate_only: false,
    }
}

/// A server with the queue `work`.
async fn world() -> World {
    let w = World::start().await;
    made(&w, "work").await;
    w
}

async fn made(w: &World, id: &str) -> v1::Queue {
    let request = create(id, v1::Queue::default());
    w.queues().create_queue(request).await.unwrap().into_inner()
}

async fn get(w: &World) -> v1::Queue {
    let request = v1::GetQueueRequest { name: WORK.into() };
    w.queues().get_queue(request).await.unwrap().into_inner()
}

fn send(bodies: &[&str]) -> v1::SendMessagesRequest {
    let entry = |body: &&str| v1::SendMessagesEntry {
        body: (*body).into(),
        ..Default::default()
    };
    v1::SendMessagesRequest {
        queue: WORK.into(),
        messages: bodies.iter().map(entry).collect(),
    }
}

fn receive(max: i32) -> v1::ReceiveMessagesRequest {
    v1::ReceiveMessagesRequest {
        queue: WORK.into(),
        max_messages: max,
        ..Default::default()
    }
}

fn bodies(messages: &[v1::QueueMessage]) -> Vec<&str> {
    messages.iter().map(|m| m.body.as_str()).collect()
}

#[tokio::test]
async fn messages_have_their_own_trace_or_that_of_the_call() {
    let trace = |span: char| {
        let span = span.to_string().repeat(16);
        format!("00-0af7651916cd43dd8448eb211c80319c-{span}-01")
    };
    let w = world().await;
    let mut request = send(&["context", "header", "attribute", "none"]);
    request.messages[0].trace_context = Some(v1::TraceContext {
        traceparent: trace('1'),
        ..Default::default()
    });
    request.messages[1].aws_trace_header = "Root=1-5759e988-bd862e3fe1be46a994272793".into();
    let value = v1::message_attribute::Value::StringValue(trace('3'));
    request.messages[2].attributes.insert(
        "traceparent".into(),
        v1::MessageAttribute {
            data_type: "String".into(),
            value: Some(value),
        },
    );
    let mut traced = Request::new(request);
    traced
        .metadata_mut()
        .insert("traceparent", trace('4').parse().unwrap());
    w.queues().send_messages(traced).await.unwrap();
    let received = w
        .queues()
        .receive_messages(receive(10))
        .await
        .unwrap()
        .into_inner();
    let traces = received
        .messages
        .into_iter()
        .map(|m| m.trace_context.map(|t| t.traceparent));
    assert_eq!(
        traces.collect::<Vec<_>>(),
        [Some(trace('1')), None, None, Some(trace('4'))]
    );
}

#[tokio::test]
async fn queues_are_administered() {
    let w = World::start().await;
    let mut client = w.queues();
    let made = made(&w, "work").await;
    assert_eq!((made.name.as_str(), made.etag.as_str()), (WORK, "1"));
    assert_eq!(made.arn, "arn:aws:sqs:us-east-1:000000000000:work");
    assert_eq!(
        (made.visibility_timeout_seconds, made.message_retention_seconds),
        (Some(30), Some(345_600))
    );
    assert_eq!(get(&w).await, made);

    let update = |queue, paths: &[&str], validate_only| v1::UpdateQueueRequest {
        queue: Some(queue),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        }),
        validate_only,
    };
    let slower = v1::Queue {
        name: WORK.into(),
        etag: "1".into(),
        delay_seconds: Some(5),
        ..Default::default()
    };
    let would = client
        .update_queue(update(slower.clone(), &[], true))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((would.delay_seconds, would.etag.as_str()), (Some(5), "1"));
    assert_eq!(get(&w).await.delay_seconds, Some(0), "nothing was changed");
    let request = update(slower, &["delay_seconds"], false);
    let changed = client.update_queue(request.clone()).await.unwrap().into_inner();
    assert_eq!((changed.delay_seconds, changed.etag.as_str()), (Some(5), "2"));
    let stale = client.update_queue(request).await.unwrap_err();
    assert_eq!(
        (stale.code(), reason(&stale).as_str()),
        (Code::Aborted, "ETAG_MISMATCH")
    );
    let same = v1::Queue {
        name: WORK.into(),
        delay_seconds: Some(5),
        ..Default::default()
    };
    let same = client.update_queue(update(same, &[], false)).await.unwrap();
    assert_eq!(same.into_inner().etag, "2", "no new version");

    let delete = |etag: &str| v1::DeleteQueueRequest {
        name: WORK.into(),
        etag: etag.into(),
    };
    assert_eq!(
        client.delete_queue(delete("1")).await.unwrap_err().code(),
        Code::Aborted
    );
    client.delete_queue(delete("2")).await.unwrap();
    let gone = client.delete_queue(delete("")).await.unwrap_err();
    assert_eq!(
        (gone.code(), reason(&gone).as_str()),
        (Code::NotFound, "NOT_FOUND")
    );
}

#[tokio::test]
async fn a_change_without_an_etag_survives_others() {
    let w = world().await;
    let change = |delay| v1::UpdateQueueRequest {
        queue: Some(v1::Queue {
            name: WORK.into(),
            delay_seconds: Some(delay),
            ..Default::default()
        }),
        ..Default::default()
    };
    w.broker.meanwhile.store(2, SeqCst);
    let changed = w.queues().update_queue(change(7)).await.unwrap().into_inner();
    assert_eq!(changed.delay_seconds, Some(7));
    w.broker.meanwhile.store(100, SeqCst);
    let busy = w.queues().update_queue(change(8)).await.unwrap_err();
    assert_eq!(reason(&busy), "ETAG_MISMATCH");
}

#[tokio::test]
async fn what_is_wrong_names_its_field() {
    let w = world().await;
    let mut client = w.queues();
    for (id, queue, code, expected) in [
        (
            "no name",
            v1::Queue {
                delay_seconds: Some(-1),
                maximum_message_bytes: Some(-1),
                ..Default::default()
            },
            Code::InvalidArgument,
            &["queue_id", "queue.delay_seconds", "queue.maximum_message_bytes"][..],
        ),
        (
            "q",
            v1::Queue {
                delay_seconds: Some(901),
                ..Default::default()
            },
            Code::InvalidArgument,
            &["queue.delay_seconds"],
        ),
        (
            "q",
            v1::Queue {
                content_based_deduplication: Some(true),
                ..Default::default()
            },
            Code::InvalidArgument,
            &["queue.content_based_deduplication"],
        ),
        (
            "q",
            v1::Queue {
                redrive_policy: Some(v1::RedrivePolicy {
                    dead_letter_queue: "nosuch".into(),
                    max_receive_count: 3,
                }),
                ..Default::default()
            },
            Code::InvalidArgument,
            &["queue.redrive_policy.dead_letter_queue"],
        ),
    ] {
        let refused = client.create_queue(create(id, queue)).await.unwrap_err();
        assert_eq!(
            (refused.code(), fields(&refused)),
            (code, expected.iter().map(|f| (*f).to_owned()).collect())
        );
    }
    let twice = client
        .create_queue(create("work", v1::Queue::default()))
        .await
        .unwrap_err();
    assert_eq!(twice.code(), Code::AlreadyExists);
    let dry = v1::CreateQueueRequest {
        validate_only: true,
        ..create("dry", v1::Queue::default())
    };
    let would = client.create_queue(dry).await.unwrap().into_inner();
    assert_eq!(
        (would.name.as_str(), would.etag.as_str()),
        ("namespaces/default/queues/dry", "")
    );
    let request = v1::GetQueueRequest { name: would.name };
    assert_eq!(
        client.get_queue(request).await.unwrap_err().code(),
        Code::NotFound
    );
    let request = v1::GetQueueRequest {
        name: "namespaces/default/streams/work".into(),
    };
    assert_eq!(fields(&client.get_queue(request).await.unwrap_err()), ["name"]);
}

#[tokio::test]
async fn queues_are_listed_page_by_page() {
    let w = World::start().await;
    for id in ["c", "a", "b.fifo"] {
        made(&w, id).await;
    }
    let list = |page_token| v1::ListQueuesRequest {
        parent: PARENT.into(),
        page_size: 2,
        page_token,
    };
    let mut client = w.queues();
    let first = client
        .list_queues(list(String::new()))
        .await
        .unwrap()
        .into_inner();
    let second = client
        .list_queues(list(first.next_page_token))
        .await
        .unwrap()
        .into_inner();
    let names: Vec<_> = first
        .queues
        .iter()
        .chain(&second.queues)
        .map(|q| &q.name[26..])
        .collect();
    assert_eq!(
        (names, second.next_page_token.as_str()),
        (vec!["a", "b.fifo", "c"], "")
    );
}

#[tokio::test]
async fn a_message_from_its_sending_to_its_end() {
    let w = world().await;
    let mut client = w.queues();
    let mut request = send(&["a", "b", "c"]);
    request.messages[1].delay_seconds = Some(901);
    let sent = client.send_messages(request).await.unwrap().into_inner();
    assert_eq!(sent.failed_message_count, 1);
    let codes: Vec<_> = sent.results.iter().map(|r| r.error_code.as_str()).collect();
    assert_eq!(codes, ["", "INVALID_MESSAGE", ""]);

    let received = client
        .receive_messages(receive(10))
        .await
        .unwrap()
        .into_inner()
        .messages;
    assert_eq!(bodies(&received), ["a", "c"]);
    assert_eq!(get(&w).await.depth.unwrap().hidden_messages, 2);
    let again = client.receive_messages(receive(10)).await.unwrap().into_inner();
    assert_eq!(again.messages, []);

    let [a, c] = &received[..] else { panic!() };
    let show = v1::ChangeMessageVisibilityRequest {
        queue: WORK.into(),
        entries: vec![v1::ChangeMessageVisibilityEntry {
            receipt_handle: a.receipt_handle.clone(),
            visibility_timeout_seconds: 0,
        }],
    };
    let answer = client.change_message_visibility(show).await.unwrap().into_inner();
    assert_eq!(answer.results, [v1::MessageResult::default()]);
    let delete = v1::DeleteMessagesRequest {
        queue: WORK.into(),
        receipt_handles: vec![c.receipt_handle.clone(), "nosuch".into()],
    };
    let answer = client.delete_messages(delete).await.unwrap().into_inner();
    let codes: Vec<_> = answer.results.iter().map(|r| r.error_code.as_str()).collect();
    assert_eq!(codes, ["", "INVALID_RECEIPT"]);
    let once_more = client
        .receive_messages(receive(0))
        .await
        .unwrap()
        .into_inner()
        .messages;
    assert_eq!((bodies(&once_more), once_more[0].receive_count), (vec!["a"], 2));

    let purge = v1::PurgeQueueRequest { name: WORK.into() };
    client.purge_queue(purge).await.unwrap();
    assert_eq!(get(&w).await.depth.unwrap().hidden_messages, 0);
}

#[tokio::test]
async fn answers_with_messages_are_bounded_by_bytes() {
    let w = world().await;
    let mut client = w.queues();
    let large = "x".repeat(MB);
    for _ in 0..5 {
        client.send_messages(send(&[&large])).await.unwrap();
    }
    let peek = |page_token, page_size| v1::PeekMessagesRequest {
        queue: WORK.into(),
        page_size,
        page_token,
    };
    // The client takes 4 MiB at once, as clients do if nobody tells them otherwise.
    let (mut lengths, mut token) = (Vec::new(), String::new());
    loop {
        let page = client.peek_messages(peek(token, 0)).await.unwrap().into_inner();
        assert!(page.messages.iter().all(|m| {
            m.state() == v1::MessageState::Visible && m.receipt_handle.is_empty() && m.receive_count == 0
        }));
        lengths.push(page.messages.len());
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(lengths, [3, 2]);
    let received = client.receive_messages(receive(10)).await.unwrap().into_inner();
    assert_eq!(received.messages.len(), 3, "the others are not hidden:");
    let received = client.receive_messages(receive(10)).await.unwrap().into_inner();
    assert_eq!(received.messages.len(), 2);

    let one = client
        .peek_messages(peek(String::new(), 1))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(one.messages[0].state(), v1::MessageState::InFlight);
    made(&w, "other").await;
    let elsewhere = v1::PeekMessagesRequest {
        queue: "namespaces/default/queues/other".into(),
        ..peek(one.next_page_token, 1)
    };
    assert_eq!(
        fields(&client.peek_messages(elsewhere).await.unwrap_err()),
        ["page_token"]
    );
}

#[tokio::test]
async fn a_receive_waits_for_a_message() {
    let w = world().await;
    let mut client = w.queues();
    let long = v1::ReceiveMessagesRequest {
        wait_time_seconds: Some(20),
        ..receive(1)
    };
    let waiting = tokio::spawn(async move { client.receive_messages(long).await });
    w.broker.waits.notified().await;
    w.queues().send_messages(send(&["late"])).await.unwrap();
    let received = waiting.await.unwrap().unwrap().into_inner().messages;
    assert_eq!(bodies(&received), ["late"]);
    assert_eq!(
        w.broker.received.lock().unwrap()[0].wait,
        Some(Duration::from_secs(20)),
        "without a deadline of the caller's, there is time for the longest wait"
    );
}

/// An answer that comes after the caller has gone costs every message in it a visibility timeout.
#[tokio::test]
async fn a_wait_ends_before_the_callers_deadline() {
    let w = world().await;
    let patient = v1::UpdateQueueRequest {
        queue: Some(v1::Queue {
            name: WORK.into(),
            receive_wait_time_seconds: Some(20),
            ..Default::default()
        }),
        ..Default::default()
    };
    w.queues().update_queue(patient).await.unwrap();
    w.queues().send_messages(send(&["a", "b", "c"])).await.unwrap();
    for (wait, deadline) in [(Some(20), 15), (None, 15), (None, 60)] {
        let mut request = Request::new(v1::ReceiveMessagesRequest {
            wait_time_seconds: wait,
            ..receive(1)
        });
        request.set_timeout(Duration::from_secs(deadline));
        w.queues().receive_messages(request).await.unwrap();
    }
    let asked: Vec<_> = w.broker.received.lock().unwrap().iter().map(|o| o.wait).collect();
    for capped in &asked[..2] {
        let wait = capped.unwrap();
        assert!(
            wait <= Duration::from_millis(14_500) && !wait.is_zero(),
            "{wait:?}"
        );
    }
    assert_eq!(asked[2], None, "the queue's own wait fits");
}

#[tokio::test]
async fn receives_end_at_shutdown_and_do_not_delay_it() {
    // Without the receive's own end this would wait for the drain, which is longer than any test runs.
    let w = World::with(|o| o.drain = Duration::from_secs(3_600)).await;
    made(&w, "work").await;
    let mut client = w.queues();
    let mut request = Request::new(v1::ReceiveMessagesRequest {
        wait_time_seconds: Some(20),
        ..receive(1)
    });
    request.set_timeout(Duration::from_secs(60));
    let waiting = tokio::spawn(async move { client.receive_messages(request).await });
    w.broker.waits.notified().await;
    w.shutdown.cancel();
    let ended = waiting.await.unwrap().unwrap_err();
    assert_eq!(
        (ended.code(), reason(&ended).as_str()),
        (Code::Unavailable, "SHUTTING_DOWN")
    );
    w.server.stopped().await.unwrap();
}

#[tokio::test]
async fn one_long_poll_too_many_is_refused() {
    let w = World::with(|o| o.limits.polls = 1).await;
    made(&w, "work").await;
    let long = || v1::ReceiveMessagesRequest {
        wait_time_seconds: Some(20),
        ..receive(1)
    };
    let mut client = w.queues();
    let waiting = tokio::spawn(async move { client.receive_messages(long()).await });
    w.broker.waits.notified().await;
    let refused = w.queues().receive_messages(long()).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::ResourceExhausted, "OVERLOADED")
    );
    w.queues().send_messages(send(&["a"])).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn limits_of_the_broker_are_told_with_a_hint() {
    let w = world().await;
    w.broker.disk_full.store(true, SeqCst);
    w.broker.over_limit.store(true, SeqCst);
    let full = w.queues().send_messages(send(&["a"])).await.unwrap_err();
    let over = w.queues().receive_messages(receive(1)).await.unwrap_err();
    for (status, expected) in [(full, "DISK_FULL"), (over, "OVER_LIMIT")] {
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::ResourceExhausted, expected)
        );
    }
    let missing = v1::SendMessagesRequest {
        queue: "namespaces/default/queues/nosuch".into(),
        ..send(&["a"])
    };
    w.broker.disk_full.store(false, SeqCst);
    assert_eq!(
        w.queues().send_messages(missing).await.unwrap_err().code(),
        Code::NotFound
    );
}

/// A mapping of a queue to a new function of the mapping's name.
fn mapping(id: &str, queue: &str, concurrency: Option<i32>) -> v1::CreateMappingRequest {
    v1::CreateMappingRequest {
        parent: PARENT.into(),
        mapping_id: id.into(),
        mapping: Some(v1::Mapping {
            source_arn: format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
            function: id.into(),
            scaling_config: concurrency.map(|n| v1::ScalingConfig {
                maximum_concurrency: Some(n),
            }),
            ..v1::Mapping::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_mapping_of_a_queue_lives() {
    let w = World::start().await;
    w.make_function("m").await;
    let mut client = w.mappings();
    let made = client
        .create_mapping(mapping("m", "work", Some(2)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(made.batch_size, Some(10));
    assert_eq!(made.scaling_config.unwrap().maximum_concurrency, Some(2));
    assert_eq!(
        (made.parallelization_factor, made.destination_config.clone()),
        (None, None),
        "settings of streams are not shown"
    );
    let update = |concurrency: Option<i32>, path: &str| v1::UpdateMappingRequest {
        mapping: Some(v1::Mapping {
            name: made.name.clone(),
            scaling_config: concurrency.map(|n| v1::ScalingConfig {
                maximum_concurrency: Some(n),
            }),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec![path.to_owned()],
        }),
        validate_only: false,
    };
    let path = "scaling_config.maximum_concurrency";
    let changed = client
        .update_mapping(update(Some(3), path))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(changed.scaling_config.unwrap().maximum_concurrency, Some(3));
    let refused = client
        .update_mapping(update(Some(1_001), path))
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["mapping.scaling_config.maximum_concurrency"]);
    let cleared = client
        .update_mapping(update(None, "scaling_config"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(cleared.scaling_config, None);
    let listed = client
        .list_mappings(v1::ListMappingsRequest {
            parent: PARENT.into(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.mappings, [cleared]);

    let inside = inspect(&w).await;
    assert_eq!(
        inside.queue, None,
        "nothing is known while the consumer does not run"
    );
    *w.live.shards.lock().unwrap() = vec![consumer()];
    let inside = inspect(&w).await;
    assert_eq!(inside.shards, [], "a queue has none");
    let queue = inside.queue.unwrap();
    assert_eq!((queue.visible_messages, queue.requests_last_hour), (Some(3), 180));
    assert_eq!(queue.slots[0].reason, "no process is free");
}

async fn inspect(w: &World) -> v1::MappingInspection {
    let request = v1::InspectMappingRequest {
        name: "namespaces/default/mappings/m".into(),
    };
    w.mappings().inspect_mapping(request).await.unwrap().into_inner()
}

/// A consumer of a queue, as the engine shows one.
fn consumer() -> ShardInspection {
    let held = SlotInspection {
        slot: 0,
        activity: SlotActivity::Held,
        messages: 10,
        groups: 0,
        request_id: None,
        since: Wall(1_000),
        next: Some(Wall(2_000)),
        reason: Some("no process is free".into()),
    };
    let snapshot = QueueSnapshot {
        concurrency: 5,
        concurrency_reason: ScaleReason::Idle,
        messages_in_flight: 10,
        batches_in_flight: 0,
        active_groups: 0,
        requests_last_hour: 180,
        slots: vec![held],
        buffered_bytes: 0,
        counters: QueueCounters::default(),
        last_attempt_failed: None,
        queue_trouble: None,
        function_trouble: None,
        draining: false,
    };
    let depth = Some(QueueDepth {
        visible: 3,
        ..QueueDepth::default()
    });
    ShardInspection {
        shard: ShardId::new("queue").unwrap(),
        activity: ShardActivity::Running,
        lease: None,
        checkpoint: Position::Trim,
        read_through: None,
        lag_ms: None,
        lag_records: None,
        buffered_bytes: 0,
        lanes: Vec::new(),
        last_error: None,
        window: None,
        queue: Some(Box::new(QueueInspection { snapshot, depth })),
    }
}

#[tokio::test]
async fn a_queue_takes_failures_of_a_stream_unless_it_is_fifo() {
    let w = World::start().await;
    w.make_function("m").await;
    let to = |queue: &str| {
        let mut request = crate::fakes::new_mapping("m");
        request.mapping.as_mut().unwrap().destination_config = Some(v1::DestinationConfig {
            on_failure: Some(v1::OnFailure {
                destination: format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
            }),
        });
        request
    };
    let field = "mapping.destination_config.on_failure.destination";
    for (queue, says) in [
        ("dead.fifo", "not a FIFO queue"),
        ("nosuch", "no such stream or queue"),
    ] {
        let refused = w.mappings().create_mapping(to(queue)).await.unwrap_err();
        assert_eq!(fields(&refused), [field], "{queue}");
        assert!(refused.message().contains(says), "{}", refused.message());
    }
    let made = w
        .mappings()
        .create_mapping(to("dead"))
        .await
        .unwrap()
        .into_inner();
    let destination = made.destination_config.unwrap().on_failure.unwrap().destination;
    assert_eq!(destination, "arn:aws:sqs:us-east-1:000000000000:dead");
}

#[tokio::test]
async fn a_queue_that_is_not_there_or_hides_too_short_is_told_in_awss_words() {
    let w = World::start().await;
    w.make_function("m").await;
    let missing = w
        .mappings()
        .create_mapping(mapping("m", "nosuch", None))
        .await
        .unwrap_err();
    assert_eq!(fields(&missing), ["mapping.source_arn"]);
    assert!(
        missing
            .message()
            .contains("AWS.SimpleQueueService.NonExistentQueue"),
        "{}",
        missing.message()
    );
    let slow = v1::UpdateFunctionRequest {
        function: Some(v1::Function {
            name: "namespaces/default/functions/m".into(),
            timeout: Some(prost_types::Duration {
                seconds: 60,
                nanos: 0,
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    w.functions().update_function(slow).await.unwrap();
    let refused = w
        .mappings()
        .create_mapping(mapping("m", "work", None))
        .await
        .unwrap_err();
    assert_eq!(
        refused.message(),
        "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds"
    );
}
