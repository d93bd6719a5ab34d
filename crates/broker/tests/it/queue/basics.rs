//! What a standard queue does: send, receive, hide, delete, look.

use super::rig::{Rig, START, bodies, entry, ns, queue};
use bytes::Bytes;
use millstream_ports::{
    Credit, EntryError, MessageState, QueueError, Queues, ReceiveOptions, SendEntry, SendError,
};
use millstream_types::message::{AttributeValue, MessageAttribute};
use millstream_types::{QueueSpec, TraceContext, Wall};
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test]
async fn a_message_is_received_as_it_was_sent() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    let attribute = |data_type: &str, value| MessageAttribute {
        data_type: data_type.into(),
        value,
    };
    let trace = TraceContext {
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        tracestate: None,
    };
    let sent = SendEntry {
        attributes: [
            ("t".into(), attribute("String", AttributeValue::Text("x".into()))),
            (
                "b".into(),
                attribute("Binary.png", AttributeValue::Binary(Bytes::from_static(&[0, 1]))),
            ),
        ]
        .into(),
        group: Some("fair".into()),
        trace_header: Some("Root=1-5759e988-bd862e3fe1be46a994272793".into()),
        trace: Some(trace.clone()),
        ..entry("hello")
    };
    let receipt = rig.send_all("q", vec![sent.clone()]).await.remove(0).unwrap();
    rig.advance(2);
    let got = rig.receive("q", 10).await.remove(0);
    assert_eq!((&got.id, &got.md5_of_body), (&receipt.id, &receipt.md5_of_body));
    assert_eq!(&*got.md5_of_body, "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(
        (&got.body[..], &*got.attributes),
        (&b"hello"[..], &sent.attributes)
    );
    assert_eq!(got.md5_of_attributes, receipt.md5_of_attributes);
    assert!(got.md5_of_attributes.is_some() && receipt.sequence.is_none());
    assert_eq!(got.trace, Some(trace));
    let system = got.system;
    assert_eq!(
        (system.sent, system.first_received),
        (Wall(START), Wall(START + 2_000))
    );
    assert_eq!((system.receive_count, system.group.as_deref()), (1, Some("fair")));
    assert_eq!(system.trace_header.as_deref(), sent.trace_header.as_deref());
    assert!(system.fifo.is_none() && system.dead_letter_source.is_none());
}

#[tokio::test]
async fn a_received_message_is_hidden_until_it_is_deleted_or_its_time_is_over() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    rig.send("q", &["a", "b"]).await;
    let first = rig.receive("q", 10).await;
    assert_eq!(bodies(&first), ["a", "b"]);
    assert!(rig.receive("q", 10).await.is_empty());
    assert_eq!(rig.counts("q").await, (0, 2, 0));
    assert_eq!(rig.delete("q", &[&first[0]]).await, [Ok(())]);
    rig.advance(29);
    assert!(rig.receive("q", 10).await.is_empty());
    rig.advance(1);
    let again = rig.receive("q", 10).await;
    assert_eq!(bodies(&again), ["b"]);
    assert_eq!((again[0].system.receive_count, &again[0].id), (2, &first[1].id));
    assert_eq!(again[0].system.first_received, first[1].system.first_received);
    assert_ne!(again[0].receipt, first[1].receipt);
    rig.delete("q", &[&again[0]]).await;
    rig.advance(60);
    assert!(rig.receive("q", 10).await.is_empty());
    assert_eq!(rig.counts("q").await, (0, 0, 0));
}

#[tokio::test]
async fn visibility_is_changed_and_ended() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    rig.send("q", &["a"]).await;
    let got = rig.receive("q", 1).await.remove(0);
    rig.hide("q", &got, 100).await.unwrap();
    rig.advance(99);
    assert!(rig.receive("q", 1).await.is_empty());
    rig.hide("q", &got, 0).await.unwrap();
    let again = rig.receive("q", 1).await.remove(0);
    assert_eq!(again.system.receive_count, 2);
    let stale = rig.hide("q", &got, 10).await;
    assert!(matches!(stale, Err(EntryError::Receipt(_))), "{stale:?}");
    // 12 hours from the receive, however often it is asked for.
    rig.hide("q", &again, 43_200).await.unwrap();
    rig.advance(43_000);
    rig.hide("q", &again, 200).await.unwrap();
    let e = rig.hide("q", &again, 201).await.unwrap_err().to_string();
    assert!(e.contains("12 hours"), "{e}");
}

#[tokio::test]
async fn receipts_that_mean_nothing_are_refused_and_others_are_not_held_up() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    rig.plain("other").await;
    rig.send("q", &["a", "b"]).await;
    rig.send("other", &["x"]).await;
    let mine = rig.receive("q", 2).await;
    let theirs = rig.receive("other", 1).await.remove(0);
    rig.advance(30);
    let again = rig.receive("q", 1).await.remove(0);
    let answers = rig.delete("q", &[&theirs, &mine[0], &again, &again]).await;
    assert!(matches!(&answers[0], Err(EntryError::Receipt(why)) if why.contains("no receipt")));
    assert!(matches!(&answers[1], Err(EntryError::Receipt(why)) if why.contains("received again")));
    assert_eq!(answers[2..], [Ok(()), Ok(())]);
    assert_eq!(
        rig.delete("q", &[&again]).await,
        [Ok(())],
        "what is gone is no error"
    );
    // Visible again, and not received since: the last receipt still counts.
    assert_eq!(rig.delete("q", &[&mine[1]]).await, [Ok(())]);
    assert_eq!(rig.counts("q").await, (0, 0, 0));
}

#[tokio::test]
async fn a_delay_hides_a_new_message() {
    let rig = Rig::new().await;
    let spec = QueueSpec {
        delay_seconds: 10,
        ..QueueSpec::default()
    };
    rig.create("q", spec).await;
    let at_once = SendEntry {
        delay: Some(Duration::ZERO),
        ..entry("now")
    };
    rig.send("q", &["later"]).await;
    rig.send_all("q", vec![at_once]).await;
    assert_eq!(rig.counts("q").await, (1, 0, 1));
    assert_eq!(bodies(&rig.receive("q", 10).await), ["now"]);
    rig.advance(10);
    let later = rig.receive("q", 10).await;
    assert_eq!(bodies(&later), ["later"]);
    assert_eq!(later[0].system.receive_count, 1);
    rig.delete("q", &[&later[0]]).await;
    assert_eq!(rig.counts("q").await, (0, 1, 0));
}

#[tokio::test]
async fn entries_of_a_send_stand_for_themselves() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    let answers = rig.send_all("q", vec![entry("a"), entry(""), entry("c")]).await;
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert!(matches!(
        &answers[1],
        Err(SendError::Invalid { field: "body", .. })
    ));
    assert_eq!(bodies(&rig.receive("q", 10).await), ["a", "c"]);
    let large = "x".repeat(600_000);
    for (entries, want) in [
        (vec![], "entries '0 entries' is not valid: 1 to 10"),
        (vec![entry("x"); 11], "'11 entries'"),
        (vec![entry(&large), entry(&large)], "'1200000 bytes'"),
    ] {
        let e = rig
            .broker
            .send(&ns(), &queue("q"), entries)
            .await
            .unwrap_err()
            .to_string();
        assert!(e.contains(want), "{e}");
    }
    assert_eq!(rig.counts("q").await, (0, 2, 0));
}

#[tokio::test]
async fn a_receive_takes_what_it_asks_for() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    rig.send("q", &["aaaa", "bbbb", "cccc", "dddd"]).await;
    let options = |max, max_bytes| ReceiveOptions {
        max,
        max_bytes: Some(max_bytes),
        wait: Some(Duration::ZERO),
        visibility: Some(Duration::from_secs(5)),
    };
    let receive = async |options| rig.broker.receive(&ns(), &queue("q"), options).await;
    assert_eq!(bodies(&receive(options(10, 8)).await.unwrap()), ["aaaa", "bbbb"]);
    assert_eq!(
        bodies(&receive(options(10, 1)).await.unwrap()),
        ["cccc"],
        "one in any case"
    );
    assert_eq!(bodies(&receive(options(1, 100)).await.unwrap()), ["dddd"]);
    rig.advance(5);
    assert_eq!(rig.receive("q", 10).await.len(), 4);
    for (bad, field) in [
        (options(0, 1), "max"),
        (options(11, 1), "max"),
        (
            ReceiveOptions {
                wait: Some(Duration::from_secs(21)),
                ..options(1, 1)
            },
            "wait",
        ),
        (
            ReceiveOptions {
                visibility: Some(Duration::from_secs(43_201)),
                ..options(1, 1)
            },
            "visibility",
        ),
    ] {
        let e = receive(bad).await.unwrap_err();
        assert!(
            matches!(&e, QueueError::Invalid { field: f, .. } if *f == field),
            "{e}"
        );
    }
}

#[tokio::test]
async fn what_came_back_does_not_hold_up_what_is_new() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    let names: Vec<String> = (0..10).map(|n| format!("old{n}")).collect();
    rig.send("q", &names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    for message in rig.receive("q", 10).await {
        rig.hide("q", &message, 0).await.unwrap();
    }
    rig.send("q", &["new"]).await;
    let got = rig.receive("q", 10).await;
    assert!(bodies(&got).contains(&"new"), "{:?}", bodies(&got));
}

#[tokio::test]
async fn looking_changes_nothing_and_tells_what_keeps_a_message() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    let delayed = SendEntry {
        delay: Some(Duration::from_secs(60)),
        ..entry("d")
    };
    rig.send("q", &["a", "b"]).await;
    rig.send_all("q", vec![delayed]).await;
    rig.send("q", &["c"]).await;
    let taken = rig.receive("q", 1).await;
    let page = rig.peek("q").await;
    let seen: Vec<_> = page
        .iter()
        .map(|p| (super::rig::body(&p.message), p.state))
        .collect();
    let want = [
        ("a", MessageState::InFlight(Wall(START + 30_000))),
        ("b", MessageState::Visible),
        ("d", MessageState::Delayed(Wall(START + 60_000))),
        ("c", MessageState::Visible),
    ];
    assert_eq!(seen, want);
    assert_eq!(
        (page[0].message.system.receive_count, &*page[0].message.receipt.0),
        (1, "")
    );
    assert_eq!(rig.counts("q").await, (2, 1, 1));
    rig.delete("q", &[&taken[0]]).await;
    let mut seen = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let credit = Credit { records: 1, bytes: 0 };
        let (page, next) = rig
            .broker
            .peek(&ns(), &queue("q"), after.as_deref(), credit)
            .await
            .unwrap();
        seen.extend(page.iter().map(|p| super::rig::body(&p.message).to_owned()));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["b", "d", "c"]);
    let credit = Credit { records: 1, bytes: 0 };
    let e = rig
        .broker
        .peek(&ns(), &queue("q"), Some(b"x"), credit)
        .await
        .unwrap_err();
    assert!(matches!(e, QueueError::Invalid { .. }), "{e}");
}

#[tokio::test]
async fn a_purge_takes_everything_that_is_there_now() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    rig.send("q", &["a", "b"]).await;
    let held = rig.receive("q", 1).await;
    rig.broker.purge(&ns(), &queue("q")).await.unwrap();
    assert_eq!(rig.counts("q").await, (0, 0, 0));
    rig.send("q", &["c"]).await;
    assert_eq!(rig.delete("q", &[&held[0]]).await, [Ok(())]);
    let rig = rig.reopen().await;
    rig.advance(60);
    assert_eq!(bodies(&rig.receive("q", 10).await), ["c"]);
}

#[tokio::test]
async fn a_deleted_queue_is_gone_and_one_of_its_name_is_another() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    rig.send("q", &["a", "b"]).await;
    let held = rig.receive("q", 1).await;
    let e = rig.broker.delete(&ns(), &queue("q"), Some(7)).await.unwrap_err();
    assert!(matches!(e, QueueError::Conflict { actual: 1, .. }), "{e}");
    rig.broker.delete(&ns(), &queue("q"), Some(1)).await.unwrap();
    assert!(matches!(
        rig.try_receive("q", 1).await,
        Err(QueueError::NotFound(_))
    ));
    rig.plain("q").await;
    assert!(matches!(
        rig.delete("q", &[&held[0]]).await[..],
        [Err(EntryError::Receipt(_))]
    ));
    assert_eq!(rig.counts("q").await, (0, 0, 0));
    let rig = rig.reopen().await;
    rig.advance(60);
    assert!(rig.receive("q", 10).await.is_empty());
}

#[tokio::test]
async fn settings_are_listed_changed_and_checked() {
    let rig = Rig::new().await;
    rig.plain("b").await;
    rig.plain("a").await;
    let names = async |after: Option<&str>, limit| {
        let after = after.map(queue);
        let list = rig.broker.list(&ns(), after.as_ref(), limit).await.unwrap();
        list.into_iter().map(|q| q.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 10).await, ["a", "b"]);
    assert_eq!(
        (names(None, 1).await, names(Some("a"), 10).await),
        (vec!["a".into()], vec!["b".into()])
    );
    let spec = QueueSpec {
        visibility_timeout_seconds: 5,
        ..QueueSpec::default()
    };
    let set = async |spec: &QueueSpec, expected, dry| {
        rig.broker
            .set(&ns(), &queue("a"), spec.clone(), expected, dry)
            .await
    };
    let dry = set(&spec, Some(1), true).await.unwrap();
    assert_eq!((dry.revision, dry.spec.visibility_timeout_seconds), (1, 5));
    rig.advance(1);
    let changed = set(&spec, Some(1), false).await.unwrap();
    assert_eq!(
        (changed.revision, changed.created.0, changed.modified.0),
        (2, START, START + 1_000)
    );
    assert!(matches!(
        set(&spec, Some(1), false).await,
        Err(QueueError::Conflict { .. })
    ));
    assert_eq!(
        set(&spec, None, false).await.unwrap().revision,
        2,
        "the same again is no change"
    );
    let wrong = QueueSpec {
        delay_seconds: 901,
        ..spec.clone()
    };
    assert!(matches!(
        set(&wrong, None, false).await,
        Err(QueueError::Invalid { .. })
    ));
    rig.send("a", &["x"]).await;
    rig.receive("a", 1).await;
    rig.advance(5);
    assert_eq!(rig.receive("a", 1).await.len(), 1, "the new timeout counts");
    let again = rig
        .broker
        .create(&ns(), &queue("a"), QueueSpec::default(), true)
        .await;
    assert!(matches!(again, Err(QueueError::AlreadyExists(_))));
    let dry = rig.broker.create(&ns(), &queue("c"), spec, true).await.unwrap();
    assert_eq!((dry.revision, names(None, 10).await.len()), (0, 2));
}

#[tokio::test]
async fn depth_tells_the_age_of_the_oldest_message() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    assert_eq!(rig.depth("q").await.oldest, None);
    rig.send("q", &["a"]).await;
    rig.advance(3);
    rig.send("q", &["b"]).await;
    assert_eq!(rig.depth("q").await.oldest, Some(Duration::from_secs(3)));
    let a = rig.receive("q", 1).await;
    assert_eq!(rig.depth("q").await.oldest, Some(Duration::from_secs(3)));
    rig.delete("q", &[&a[0]]).await;
    assert_eq!(rig.depth("q").await.oldest, Some(Duration::ZERO));
}

/// Many receives at once share a deep queue without two of them getting the same message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_receives_get_different_messages() {
    let rig = Rig::new().await;
    rig.plain("q").await;
    let names: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    for ten in names.chunks(10) {
        rig.send("q", &ten.iter().map(String::as_str).collect::<Vec<_>>())
            .await;
    }
    let receiving = (0..8).map(|_| {
        let broker = rig.broker.clone();
        tokio::spawn(async move {
            let mut got = Vec::new();
            loop {
                let options = ReceiveOptions {
                    max: 7,
                    wait: Some(Duration::ZERO),
                    ..ReceiveOptions::default()
                };
                let messages = broker.receive(&ns(), &queue("q"), options).await.unwrap();
                if messages.is_empty() {
                    return got;
                }
                got.extend(messages.into_iter().map(|m| m.id));
            }
        })
    });
    let mut all = Vec::new();
    for task in receiving.collect::<Vec<_>>() {
        all.extend(task.await.unwrap());
    }
    let distinct: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!((all.len(), distinct.len()), (2_000, 2_000));
}
