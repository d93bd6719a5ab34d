//! Closures as functions.

use crate::rig::{error, factory, function, invocation, response};
use bytes::Bytes;
use futures::future::join_all;
use millstream_ports::{Body, InvokeFactory, Invoker};
use millstream_targets::{Batch, BoxError, Factory, InProcess, JsonEvent, PoolOptions, Response};
use millstream_types::invocation::FunctionErrorKind::{Crashed, Garbage, Raised, ResponseTooLarge};
use millstream_types::invocation::RecordRange;
use millstream_types::message::{AttributeValue, FifoAttributes, MessageAttribute, SystemAttributes};
use millstream_types::{
    Epoch, Invocation, Mark, Message, Outcome, Payload, Receipt, Record, Seq, Target, Wall, WindowEnvelope,
};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Records 10, 11, 12 and 13, of which the batch holds 11 to 13.
fn batch() -> Invocation {
    let record = |n: u32| Record {
        mark: Mark::of(Seq::from_u128(u128::from(n))),
        arrival: Wall(1),
        partition_key: Bytes::from_static(b"k"),
        data: Bytes::from(format!("data {n}")),
        trace: None,
    };
    let all: Arc<[Record]> = (10..14).map(record).collect();
    invocation(Payload::Records(RecordRange { all, range: 1..4 }))
}

/// Messages a, b and c of one group.
fn messages() -> Invocation {
    let kind = MessageAttribute {
        data_type: "String".into(),
        value: AttributeValue::Text("order".into()),
    };
    let message = |id: &str| Message {
        id: id.into(),
        receipt: Receipt("r".into()),
        body: Bytes::from(format!("body {id}")),
        attributes: Arc::new([("kind".into(), kind.clone())].into()),
        md5_of_body: "".into(),
        md5_of_attributes: None,
        system: SystemAttributes {
            receive_count: 2,
            sent: Wall(1),
            first_received: Wall(2),
            sender: "".into(),
            trace_header: None,
            dead_letter_source: None,
            group: Some("g".into()),
            fifo: Some(FifoAttributes {
                sequence: "7".into(),
                deduplication: "d".into(),
            }),
        },
        trace: None,
    };
    invocation(Payload::Messages(["a", "b", "c"].map(message).into()))
}

fn invoker<F, Fut, R, E>(concurrency: u32, closure: F) -> Arc<dyn Invoker>
where
    F: Fn(Batch) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    R: Into<Response> + 'static,
    E: Into<BoxError> + 'static,
{
    let function = function(Target::InProcess, concurrency);
    let closures = Arc::new(InProcess::new());
    closures.register(function.namespace.clone(), function.name.clone(), closure);
    Factory::new(closures, PoolOptions::default())
        .unwrap()
        .invoker(&function)
        .unwrap()
}

#[tokio::test]
async fn in_a_window_a_closure_gets_its_state_and_returns_the_next_one() {
    let sent = |state: &'static str, is_final| Invocation {
        window: Some(WindowEnvelope {
            start: Wall(60_000),
            end: Wall(120_000),
            state: Bytes::from_static(state.as_bytes()),
            is_final,
            terminated_early: false,
        }),
        ..batch()
    };
    let adds = invoker(1, |batch: Batch| async move {
        let window = batch.window().ok_or("no window")?;
        assert_eq!((window.start_ms(), window.end_ms()), (60_000, 120_000));
        let sum: usize = window.state()?;
        if window.is_final() {
            return Ok::<_, BoxError>(Response::failed_at([1]).with_state_json("[]"));
        }
        Ok(Response::done().with_state(&(sum + batch.records().len()))?)
    });
    for (invocation, expect) in [
        (sent("{}", false), json!({"state": 3})),
        (sent("4", false), json!({"state": 7})),
        (
            sent("7", true),
            json!({"state": [], "batchItemFailures": [{"itemIdentifier": "12"}]}),
        ),
    ] {
        assert_eq!(response(adds.invoke(invocation).await), expect);
    }
    error(adds.invoke(sent("\"text\"", false)).await, Raised);
    error(adds.invoke(batch()).await, Raised);
}

#[tokio::test]
async fn a_closure_gets_the_records_and_what_is_known_of_the_attempt() {
    let sent = batch();
    let id = sent.request_id;
    let invoker = invoker(1, move |batch: Batch| async move {
        let data: Vec<&[u8]> = batch.records().iter().map(|r| &r.data[..]).collect();
        assert_eq!(data, [b"data 11", b"data 12", b"data 13"]);
        assert_eq!(
            (batch.request_id(), batch.attempt(), batch.lease_epoch()),
            (id, 3, Some(Epoch(7)))
        );
        assert_eq!(batch.idempotency_key(), "mapping/shard/1-2");
        assert!(batch.deadline() > std::time::Instant::now());
        Ok::<_, BoxError>(())
    });
    assert_eq!(invoker.body(), Body::Records);
    assert_eq!(
        invoker.invoke(sent).await,
        Outcome::Response(Bytes::from_static(b"null"))
    );
}

#[tokio::test]
async fn failed_records_become_batch_item_failures() {
    let seqs = |n: &[u32]| {
        n.iter()
            .map(|n| Seq::from_u128(u128::from(*n)))
            .collect::<Vec<_>>()
    };
    for (answer, expected) in [
        (Response::done(), json!(null)),
        (Response::failed([]), json!(null)),
        (
            Response::failed(seqs(&[12])),
            json!({"batchItemFailures": [{"itemIdentifier": "12"}]}),
        ),
        (
            Response::failed_at([0, 2]),
            json!({"batchItemFailures": [{"itemIdentifier": "11"}, {"itemIdentifier": "13"}]}),
        ),
    ] {
        let invoker = invoker(1, move |_| std::future::ready(Ok::<_, BoxError>(answer.clone())));
        assert_eq!(response(invoker.invoke(batch()).await), expected);
    }
}

#[tokio::test]
async fn a_closure_gets_messages_with_what_the_queue_knows_of_them() {
    let invoker = invoker(1, |batch: Batch| async move {
        let bodies: Vec<&str> = batch.messages().iter().map(|m| m.text().unwrap()).collect();
        assert_eq!(bodies, ["body a", "body b", "body c"]);
        assert_eq!(
            (batch.len(), batch.is_empty(), batch.records().len()),
            (3, false, 0)
        );
        let first = &batch.messages()[0];
        assert_eq!(
            (&*first.id, first.attribute("kind"), first.attribute("none")),
            ("a", Some("order"), None)
        );
        assert_eq!((first.receive_count(), first.group()), (2, Some("g")));
        Ok::<_, BoxError>(())
    });
    assert_eq!(
        invoker.invoke(messages()).await,
        Outcome::Response(Bytes::from_static(b"null"))
    );
}

#[tokio::test]
async fn failed_messages_become_batch_item_failures() {
    let listed = |ids: &[&str]| {
        let ids: Vec<_> = ids.iter().map(|id| json!({"itemIdentifier": id})).collect();
        json!({"batchItemFailures": ids})
    };
    for (answer, expected) in [
        (Response::done(), json!(null)),
        (Response::failed_messages(["b"]), listed(&["b"])),
        (Response::failed_messages(["b\"}"]), listed(&["b\"}"])),
        (Response::failed_at([0, 2]), listed(&["a", "c"])),
    ] {
        let invoker = invoker(1, move |_| std::future::ready(Ok::<_, BoxError>(answer.clone())));
        assert_eq!(response(invoker.invoke(messages()).await), expected);
    }
    let along_the_way = invoker(1, |batch: Batch| async move {
        for message in batch.messages().iter().filter(|m| &*m.id != "b") {
            batch.fail(message);
        }
        for record in batch.records().iter().skip(1) {
            batch.fail(record);
        }
        Ok::<_, BoxError>(Response::failed_at(batch.records().first().map(|_| 0)))
    });
    assert_eq!(
        response(along_the_way.invoke(messages()).await),
        listed(&["a", "c"])
    );
    assert_eq!(
        response(along_the_way.invoke(batch()).await),
        listed(&["12", "13", "11"])
    );
}

/// Success would delete messages, or pass records, that the closure cannot have seen.
#[tokio::test]
async fn who_looks_for_the_wrong_kind_of_item_has_not_handled_the_batch() {
    let of_streams = invoker(1, |batch: Batch| async move {
        assert!(batch.records().iter().all(|r| !r.data.is_empty()));
        Ok::<_, BoxError>(())
    });
    let error = error(of_streams.invoke(messages()).await, Garbage);
    assert!(error.message.contains("use Batch::messages"), "{}", error.message);
    let of_queues = invoker(1, |batch: Batch| async move {
        assert!(batch.messages().iter().all(|m| !m.body.is_empty()));
        Ok::<_, BoxError>(())
    });
    let error = crate::rig::error(of_queues.invoke(batch()).await, Garbage);
    assert!(error.message.contains("use Batch::records"), "{}", error.message);
    let of_neither = invoker(1, |_| async { Ok::<_, BoxError>(()) });
    for sent in [messages(), batch()] {
        let outcome = of_neither.invoke(sent).await;
        assert_eq!(outcome, Outcome::Response(Bytes::from_static(b"null")));
    }
}

#[tokio::test]
async fn failures_are_told_apart() {
    let raised = invoker(1, |_| async { Err::<(), _>("no luck") });
    assert_eq!(error(raised.invoke(batch()).await, Raised).message, "no luck");

    let wrong = invoker(1, |_| async { Ok::<_, BoxError>(Response::failed_at([3])) });
    assert!(
        error(wrong.invoke(batch()).await, Garbage)
            .message
            .contains("3 records")
    );

    let panics = invoker(1, |batch: Batch| async move {
        assert!(batch.records().is_empty(), "full of records");
        Ok::<_, BoxError>(())
    });
    assert_eq!(
        error(panics.invoke(batch()).await, Crashed).message,
        "full of records"
    );

    let early = invoker(1, |batch: Batch| {
        assert!(batch.records().is_empty(), "before the first await");
        std::future::ready(Ok::<_, BoxError>(()))
    });
    assert_eq!(
        error(early.invoke(batch()).await, Crashed).message,
        "before the first await"
    );
    assert_eq!(early.status().in_flight, 0);
}

#[tokio::test]
async fn a_timeout_drops_the_closure() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&dropped);
    let invoker = invoker(1, move |_| {
        let guard = Dropped(Arc::clone(&seen));
        async move {
            let _guard = guard;
            std::future::pending::<()>().await;
            Ok::<_, BoxError>(())
        }
    });
    let mut late = batch();
    late.timeout = Duration::from_millis(20);
    assert_eq!(
        invoker.invoke(late).await,
        Outcome::Timeout {
            after: Duration::from_millis(20)
        }
    );
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert_eq!(invoker.status().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_is_bounded_and_the_rest_throttled() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let invoker = invoker(2, move |_| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(400)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, BoxError>(())
        }
    });
    let outcomes = join_all((0..20).map(|_| invoker.invoke(batch()))).await;
    let throttled = outcomes
        .iter()
        .filter(|o| matches!(o, Outcome::Throttled { .. }))
        .count();
    assert!(throttled > 0 && throttled < 20, "{throttled}");
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_what_runs() {
    let invoker = invoker(1, |_| async {
        std::future::pending::<()>().await;
        Ok::<_, BoxError>(())
    });
    let running = {
        let invoker = Arc::clone(&invoker);
        tokio::spawn(async move { invoker.invoke(batch()).await })
    };
    crate::rig::until("it runs", || invoker.status().in_flight == 1).await;
    invoker.close().await;
    assert!(matches!(running.await.unwrap(), Outcome::Unreachable { .. }));
    assert!(matches!(
        invoker.invoke(batch()).await,
        Outcome::Unreachable { .. }
    ));
}

#[tokio::test]
async fn a_closure_can_take_the_lambda_event() {
    let function = function(Target::InProcess, 1);
    let closures = Arc::new(InProcess::new());
    closures.register_json(
        function.namespace.clone(),
        function.name.clone(),
        |event: JsonEvent| async move {
            if event.body().is_empty() {
                Err("empty")
            } else {
                Ok(event.body().clone())
            }
        },
    );
    let factory = Factory::new(closures, PoolOptions::default()).unwrap();
    let invoker = factory.invoker(&function).unwrap();
    assert_eq!(invoker.body(), Body::Json);
    let call = |body: Bytes| invoker.invoke(invocation(Payload::Json(body)));
    assert_eq!(
        response(call(Bytes::from_static(b"{\"a\":1}")).await),
        json!({"a": 1})
    );
    error(call(Bytes::new()).await, Raised);
    error(call(Bytes::from(vec![b' '; 6_291_557])).await, ResponseTooLarge);
    let wrong = invoker.invoke(batch()).await;
    assert!(
        matches!(wrong, Outcome::Unreachable { .. }),
        "the code did not run: {wrong:?}"
    );
}

#[test]
fn a_closure_that_is_not_registered_is_refused_with_advice() {
    let refusal = factory().invoker(&function(Target::InProcess, 1)).err().unwrap();
    assert!(
        refusal.contains("default/tested") && refusal.contains("register"),
        "{refusal}"
    );
}
