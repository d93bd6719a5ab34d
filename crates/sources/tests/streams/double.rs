//! A scripted server that speaks AWS's JSON protocols: for what no real server does when a test wants it.

use crate::http::message;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server answers.
pub(crate) enum Reply {
    /// A result.
    Ok(Value),
    /// An error with this code.
    Error(u16, &'static str),
    /// Events of a subscription, which ends after them.
    Pushed(Vec<Value>),
    /// Half of an answer, then nothing.
    Cut,
}

/// How a call is to fail.
pub(crate) type Fault = fn() -> Reply;

/// A script: the operation and its input to the answer.
pub(crate) type Script = Box<dyn FnMut(&str, &Value) -> Reply + Send>;

/// A running scripted server.
pub(crate) struct Double {
    pub(crate) endpoint: String,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Double {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (script, seen) = (Arc::new(Mutex::new(script)), calls.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(BufReader::new(stream), script.clone(), seen.clone()));
            }
        });
        Self { endpoint, calls }
    }

    /// How often an operation was called.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|o| *o == operation)
            .count()
    }
}

async fn serve(mut stream: BufReader<TcpStream>, script: Arc<Mutex<Script>>, seen: Arc<Mutex<Vec<String>>>) {
    while let Some((_, target, body)) = message(&mut stream, "x-amz-target").await {
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let input: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let reply = (script.lock().unwrap())(&operation, &input);
        seen.lock().unwrap().push(operation);
        let (mut status, mut kind, mut missing) = (200, "application/x-amz-json-1.1", 0);
        let body = match reply {
            Reply::Ok(value) => value.to_string().into_bytes(),
            Reply::Error(code, name) => {
                status = code;
                json!({"__type": name, "message": "scripted"})
                    .to_string()
                    .into_bytes()
            }
            Reply::Pushed(events) => {
                kind = "application/vnd.amazon.eventstream";
                frames(&events)
            }
            Reply::Cut => {
                missing = 1_000;
                br#"{"Records":[{"Data":"AA"#.to_vec()
            }
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ndate: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            httpdate::fmt_http_date(std::time::SystemTime::now()),
            body.len() + missing
        );
        let answer = [head.as_bytes(), &body].concat();
        if stream.get_mut().write_all(&answer).await.is_err() || missing > 0 {
            return;
        }
    }
}

/// Events in AWS's binary form, after the one with which a subscription opens.
fn frames(events: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    let opening = ("initial-response", json!({}));
    let pushed = events
        .iter()
        .map(|event| ("SubscribeToShardEvent", event.clone()));
    for (kind, payload) in [opening].into_iter().chain(pushed) {
        let header =
            |name: &'static str, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
        let message = Message::new(payload.to_string())
            .add_header(header(":message-type", "event"))
            .add_header(header(":event-type", kind))
            .add_header(header(":content-type", "application/json"));
        write_message_to(&message, &mut out).unwrap();
    }
    out
}
