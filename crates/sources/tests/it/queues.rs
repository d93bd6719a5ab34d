//! Receives, deletes, visibility, settings, and what happens when something is not there.

use crate::ministack::{ACCOUNT, Ministack, arn, queue};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};
use millstream_ports::{EntryError, QueueSource, SourceError, Sources};
use millstream_sources::{AwsSources, ConnectionSettings, Connections};
use millstream_types::message::AttributeValue;
use millstream_types::{Message, Namespace, Receipt};
use std::time::Duration;

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(20);
const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";

async fn create(client: &aws_sdk_sqs::Client, name: &str, settings: &[(&str, &str)]) -> String {
    let mut create = client.create_queue().queue_name(name);
    for (key, value) in settings {
        create = create.attributes((*key).into(), *value);
    }
    create.send().await.unwrap().queue_url.unwrap()
}

async fn send(client: &aws_sdk_sqs::Client, url: &str, group: Option<&str>, body: &str) {
    let sent = client
        .send_message()
        .queue_url(url)
        .message_body(body)
        .set_message_group_id(group.map(str::to_owned))
        .set_message_deduplication_id(group.map(|_| body.to_owned()));
    sent.send().await.unwrap();
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|m| m.text().unwrap()).collect()
}

/// Receives until something comes, for a while: a message that was given back may not be there at once.
async fn soon(queue: &dyn QueueSource) -> Vec<Message> {
    for _ in 0..60 {
        let found = queue.receive(10, Duration::from_secs(1)).await.unwrap();
        if !found.is_empty() {
            return found;
        }
    }
    panic!("nothing came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_comes_with_all_that_it_has() {
    let server = Ministack::start();
    let (client, sources) = (server.client(), server.sources());
    let url = create(&client, "full.fifo", &[("FifoQueue", "true")]).await;
    let value = |kind: &str| MessageAttributeValue::builder().data_type(kind);
    let trace = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(TRACE);
    let sent = client
        .send_message()
        .queue_url(&url)
        .message_body("text ä")
        .message_group_id("group")
        .message_deduplication_id("once")
        .message_attributes("n", value("Number").string_value("12.5").build().unwrap())
        .message_attributes(
            "b",
            value("Binary").binary_value(Blob::new([0, 255])).build().unwrap(),
        )
        .message_system_attributes(
            MessageSystemAttributeNameForSends::AwsTraceHeader,
            trace.build().unwrap(),
        );
    let sent = sent.send().await.unwrap();
    let queue = queue(&sources, "full.fifo").await;
    let found = queue.receive(10, LONG).await.unwrap();
    assert_eq!(found.len(), 1);
    let m = &found[0];
    assert_eq!(Some(&*m.id), sent.message_id());
    assert_eq!(m.text().unwrap(), "text ä");
    assert_eq!(Some(&*m.md5_of_body), sent.md5_of_message_body());
    assert_eq!(m.md5_of_attributes.as_deref(), sent.md5_of_message_attributes());
    assert_eq!(m.attribute("n"), Some("12.5"));
    assert_eq!(
        m.attributes["b"].value,
        AttributeValue::Binary(bytes::Bytes::from_static(&[0, 255]))
    );
    assert_eq!(m.attributes.len(), 2);
    let s = &m.system;
    assert_eq!(
        (s.receive_count, &*s.sender, s.trace_header.as_deref()),
        (1, ACCOUNT, Some(TRACE))
    );
    assert!(
        s.sent.0 > 1_700_000_000_000 && s.first_received >= s.sent,
        "{s:?}"
    );
    let fifo = s.fifo.as_ref().unwrap();
    assert_eq!((m.group(), &*fifo.deduplication), (Some("group"), "once"));
    assert_eq!(Some(&*fifo.sequence), sent.sequence_number());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_have_answers_of_their_own() {
    let server = Ministack::start();
    let (client, sources) = (server.client(), server.sources());
    let url = create(&client, "jobs", &[]).await;
    for body in ["a", "b", "c"] {
        send(&client, &url, None, body).await;
    }
    let queue = queue(&sources, "jobs").await;
    let mut found = Vec::new();
    while found.len() < 3 {
        found.extend(queue.receive(10, LONG).await.unwrap());
    }
    let bogus = Receipt("bogus".into());
    let answers = queue.delete(&[found[0].receipt.clone(), bogus.clone()]).await;
    assert!(
        matches!(answers[..], [Ok(()), Err(EntryError::Receipt(_))]),
        "{answers:?}"
    );
    let entries = [
        (found[1].receipt.clone(), NOW),
        (bogus, NOW),
        (found[2].receipt.clone(), LONG),
    ];
    let answers = queue.change_visibility(&entries).await;
    assert!(
        matches!(answers[..], [Ok(()), Err(EntryError::Receipt(_)), Ok(())]),
        "{answers:?}"
    );
    let again = soon(&*queue).await;
    assert_eq!(bodies(&again), bodies(&found[1..2]), "the one that was shown");
    assert_eq!(again[0].receive_count(), 2);
    let too_many = vec![found[2].receipt.clone(); 11];
    let answers = queue.delete(&too_many).await;
    assert_eq!(answers.len(), 11);
    assert!(
        answers
            .iter()
            .all(|a| matches!(a, Err(EntryError::Unavailable(_))))
    );
    assert!(queue.delete(&[]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_and_counts_are_those_of_the_queue() {
    let server = Ministack::start();
    let (client, sources) = (server.client(), server.sources());
    create(&client, "dead.fifo", &[("FifoQueue", "true")]).await;
    let policy = format!(
        r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"7"}}"#,
        arn("dead.fifo")
    );
    let settings = [
        ("FifoQueue", "true"),
        ("VisibilityTimeout", "45"),
        ("RedrivePolicy", &policy),
    ];
    let url = create(&client, "jobs.fifo", &settings).await;
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
        send(&client, &url, Some(group), body).await;
    }
    let queue = queue(&sources, "jobs.fifo").await;
    let found = queue.attributes().await.unwrap();
    assert_eq!(
        (found.fifo, found.visibility_timeout, found.max_receive_count),
        (true, Duration::from_secs(45), Some(7))
    );
    let one = queue.receive(1, LONG).await.unwrap();
    assert_eq!(bodies(&one), ["a1"]);
    assert_eq!(
        bodies(&queue.receive(10, LONG).await.unwrap()),
        ["b1"],
        "group a is locked"
    );
    // Counts are looked at now and then only: another handle of the same queue has the same.
    let fresh = crate::ministack::queue(&server.sources(), "jobs.fifo").await;
    let depth = fresh.depth().await.unwrap();
    assert_eq!(
        (depth.visible, depth.in_flight, depth.delayed, depth.oldest),
        (1, 2, 0, None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_to_a_poll_that_nobody_waits_for_is_shown_again() {
    let server = Ministack::start();
    let (client, sources) = (server.client(), server.sources());
    // Longer than the test: nothing comes back by itself.
    let hidden = [("VisibilityTimeout", "43200")];
    let url = create(&client, "jobs", &hidden).await;
    let queue = queue(&sources, "jobs").await;
    let cut = tokio::time::timeout(Duration::from_secs(2), queue.receive(10, LONG)).await;
    assert!(cut.is_err(), "nothing was there");
    send(&client, &url, None, "a").await;
    let found = soon(&*queue).await;
    assert_eq!(bodies(&found), ["a"]);
    assert!(sources.close(LONG + LONG).await, "every poll has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_gone_is_told_and_found_again() {
    let server = Ministack::start();
    let (client, sources) = (server.client(), server.sources());
    let queue = queue(&sources, "jobs").await;
    let gone = |e: SourceError| assert!(matches!(e, SourceError::NoSuchQueue { .. }), "{e}");
    gone(queue.attributes().await.unwrap_err());
    gone(queue.receive(1, NOW).await.unwrap_err());
    for _ in 0..2 {
        let url = create(&client, "jobs", &[]).await;
        send(&client, &url, None, "a").await;
        let found = soon(&*queue).await;
        client.delete_queue().queue_url(url).send().await.unwrap();
        gone(queue.receive(1, NOW).await.unwrap_err());
        let answers = queue.delete(&[found[0].receipt.clone()]).await;
        assert!(
            matches!(answers[..], [Err(EntryError::Unavailable(_))]),
            "{answers:?}"
        );
        gone(queue.depth().await.unwrap_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_unavailable() {
    let server = Ministack::start();
    let sources = server.sources();
    let queue = queue(&sources, "jobs").await;
    drop(server);
    for e in [
        queue.receive(1, NOW).await.unwrap_err(),
        queue.attributes().await.unwrap_err(),
    ] {
        assert!(e.retryable() && e.to_string().contains("GetQueueUrl"), "{e}");
    }
    let answers = queue.delete(&[Receipt("any".into())]).await;
    assert!(
        matches!(answers[..], [Err(EntryError::Unavailable(_))]),
        "{answers:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_or_a_connection_nothing_is_asked() {
    let settings = ConnectionSettings {
        pattern: format!("arn:aws:sqs:*:{ACCOUNT}:*"),
        endpoint_url: Some("http://127.0.0.1:9".to_owned()),
        credentials: Some("env:MILLSTREAM_TEST_NOT_SET".to_owned()),
        ..ConnectionSettings::default()
    };
    let sources = AwsSources::new(Connections::read(&[settings]).unwrap());
    let e = queue(&sources, "jobs").await.attributes().await.unwrap_err();
    assert!(
        e.to_string().contains("$MILLSTREAM_TEST_NOT_SET_ACCESS_KEY_ID"),
        "{e}"
    );
    let namespace = Namespace::default();
    let elsewhere = "arn:aws:sqs:us-east-1:999999999999:jobs".parse().unwrap();
    assert!(!sources.serves(&elsewhere));
    let e = sources.queue(&namespace, &elsewhere).await.err().unwrap();
    assert!(matches!(e, SourceError::NotServed(_)), "{e}");
    let stream = format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s")
        .parse()
        .unwrap();
    let e = sources.queue(&namespace, &stream).await.err().unwrap();
    assert!(matches!(e, SourceError::NoSuchQueue { .. }), "{e}");
}
