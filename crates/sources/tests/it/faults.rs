//! What a service answers when it does not do what it is asked, and what that is to the engine: a scripted server.

use millstream_ports::{EntryError, QueueSource, SourceError, Sources};
use millstream_sources::{AwsSources, ConnectionSettings, Connections, MAX_ATTEMPTS};
use millstream_types::{Namespace, Receipt};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const ARN: &str = "arn:aws:sqs:us-east-1:123456789012:jobs";

/// How the server answers everything but the question for the queue's URL.
#[derive(Clone, Copy, Debug)]
struct Answer {
    status: u16,
    body: &'static str,
}

/// What a server was asked.
#[derive(Default)]
struct Seen {
    asked: AtomicU32,
    /// The `ReceiveRequestAttemptId` and the `WaitTimeSeconds` of each receive.
    receives: Mutex<Vec<(Option<String>, u64)>>,
    /// Every other answer is lost on its way, after so long.
    loses: Option<Duration>,
}

/// A server that says the same again and again, and counts how often it is asked.
struct Scripted {
    queue: Arc<dyn QueueSource>,
    seen: Arc<Seen>,
    _keys: TempDir,
}

impl Scripted {
    async fn start(answer: Answer) -> Self {
        Self::start_for(ARN, answer, Seen::default()).await
    }

    async fn start_for(arn: &str, answer: Answer, seen: Seen) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(seen);
        let sees = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, answer, Arc::clone(&sees)));
            }
        });
        let keys = TempDir::new().unwrap();
        let path = keys.path().join("keys");
        std::fs::write(
            &path,
            "[default]\naws_access_key_id = id\naws_secret_access_key = secret\n",
        )
        .unwrap();
        let settings = ConnectionSettings {
            pattern: "arn:aws:sqs:*".to_owned(),
            endpoint_url: Some(format!("http://{address}")),
            credentials: Some(format!("file:{}", path.display())),
            ..ConnectionSettings::default()
        };
        let sources = AwsSources::new(Connections::read(&[settings]).unwrap());
        let arn = arn.parse().unwrap();
        let queue = sources.queue(&Namespace::default(), &arn).await.unwrap();
        Self {
            queue,
            seen,
            _keys: keys,
        }
    }

    fn asked(&self) -> u32 {
        self.seen.asked.load(Ordering::SeqCst)
    }
}

/// Answers what comes on a connection until it is closed.
async fn serve(connection: TcpStream, answer: Answer, seen: Arc<Seen>) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    loop {
        let (mut length, mut target) = (0, String::new());
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if let Some(value) = line.strip_prefix("x-amz-target: ") {
                target = value.to_owned();
            } else if line.is_empty() {
                break;
            }
        }
        let mut request = vec![0; length];
        connection.read_exact(&mut request).await?;
        let Answer { status, body } = if target.ends_with("getqueueurl") {
            let body = r#"{"QueueUrl":"http://localhost/123456789012/jobs"}"#;
            Answer { status: 200, body }
        } else {
            let n = seen.asked.fetch_add(1, Ordering::SeqCst);
            if target.ends_with("receivemessage") {
                let request: Value = serde_json::from_slice(&request).unwrap();
                let id = request["ReceiveRequestAttemptId"].as_str().map(str::to_owned);
                let wait = request["WaitTimeSeconds"].as_u64().unwrap();
                seen.receives.lock().unwrap().push((id, wait));
            }
            if let Some(after) = seen.loses
                && n.is_multiple_of(2)
            {
                tokio::time::sleep(after).await;
                return Ok(());
            }
            answer
        };
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(body.as_bytes()).await?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_told_apart_and_tried_again_only_where_that_helps() {
    type Fits = fn(&SourceError) -> bool;
    let denied = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User: u is not authorized to perform: sqs:receivemessage"}"#;
    let cases: [(u16, &str, Fits, &str, u32); 6] = [
        (
            403,
            denied,
            |e| matches!(e, SourceError::Refused(_)),
            "ReceiveMessage: AccessDeniedException: User: u is not authorized",
            1,
        ),
        (
            400,
            r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}"#,
            |e| matches!(e, SourceError::NoSuchQueue { .. }),
            "The specified queue does not exist.",
            1,
        ),
        (
            400,
            r#"{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slower"}"#,
            |e| matches!(e, SourceError::Throttled(_)),
            "RequestThrottled: slower) throttles reading",
            MAX_ATTEMPTS,
        ),
        (
            403,
            r#"{"__type":"com.amazonaws.sqs#OverLimit","message":"too many in flight"}"#,
            |e| matches!(e, SourceError::Throttled(_)),
            "OverLimit",
            1,
        ),
        (
            503,
            r#"{"__type":"ServiceUnavailable","message":"later"}"#,
            |e| matches!(e, SourceError::Unavailable(_)),
            "ReceiveMessage: ServiceUnavailable: later",
            MAX_ATTEMPTS,
        ),
        (
            200,
            "<html>",
            |e| matches!(e, SourceError::Unavailable(_)),
            "ReceiveMessage: ",
            MAX_ATTEMPTS,
        ),
    ];
    for (status, body, fits, text, tries) in cases {
        let server = Scripted::start(Answer { status, body }).await;
        let e = server.queue.receive(1, Duration::ZERO).await.unwrap_err();
        assert!(fits(&e) && e.to_string().contains(text), "{status} {body}: {e}");
        assert_eq!(server.asked(), tries, "{status} {body}");
        let answers = server
            .queue
            .delete(&[Receipt("r".into()), Receipt("s".into())])
            .await;
        assert_eq!(answers.len(), 2);
        assert!(
            answers
                .iter()
                .all(|a| matches!(a, Err(EntryError::Unavailable(_)))),
            "{answers:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_nothing_was_said_of_may_be_tried_again() {
    let body = r#"{"Successful":[{"Id":"0"}],"Failed":[{"Id":"2","Code":"InternalError","SenderFault":false,"Message":"m"},{"Id":"3","Code":"ReceiptHandleIsInvalid","SenderFault":true}]}"#;
    let server = Scripted::start(Answer { status: 200, body }).await;
    let receipts = ["a", "b", "c", "d"].map(|r| Receipt(r.into()));
    let answers = server.queue.delete(&receipts).await;
    let expected = [
        Ok(()),
        Err(EntryError::Unavailable(
            "SQS did not say what became of it".to_owned(),
        )),
        Err(EntryError::Unavailable("InternalError: m".to_owned())),
        Err(EntryError::Receipt("ReceiptHandleIsInvalid".to_owned())),
    ];
    assert_eq!(answers, expected);
}

/// What a FIFO queue has handed out and the network has lost is handed out again to whoever repeats the question; else it
/// stays hidden, and its group with it, for a whole visibility timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_receive_of_a_fifo_queue_is_told_to_be_one() {
    let answer = Answer {
        status: 200,
        body: "{}",
    };
    for (arn, is_fifo) in [(ARN.to_owned(), false), (format!("{ARN}.fifo"), true)] {
        let loses = Seen {
            loses: Some(Duration::ZERO),
            ..Seen::default()
        };
        let server = Scripted::start_for(&arn, answer, loses).await;
        for _ in 0..2 {
            let received = server.queue.receive(10, Duration::ZERO).await.unwrap();
            assert!(received.is_empty());
        }
        let receives = server.seen.receives.lock().unwrap().clone();
        let ids: Vec<_> = receives.into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 4, "{ids:?}");
        assert!(ids[0] == ids[1] && ids[2] == ids[3], "{ids:?}");
        assert_eq!(ids[0] != ids[2], is_fifo, "{ids:?}");
        assert_eq!(ids[0].is_some(), is_fifo, "{ids:?}");
    }
}

/// A long poll that is lost near its end would otherwise be cut off in the middle of its repetition, with what the queue
/// then hands out to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_receive_waits_for_what_is_left_of_the_wait() {
    let answer = Answer {
        status: 200,
        body: "{}",
    };
    let loses = Seen {
        loses: Some(Duration::from_secs(2)),
        ..Seen::default()
    };
    let server = Scripted::start_for(ARN, answer, loses).await;
    server.queue.receive(10, Duration::from_secs(4)).await.unwrap();
    let receives = server.seen.receives.lock().unwrap().clone();
    assert!(matches!(receives[..], [(None, 4), (None, 0..=2)]), "{receives:?}");
}
