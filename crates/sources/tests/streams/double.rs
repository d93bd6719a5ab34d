//! A scripted server that speaks AWS's JSON protocols: for what no real server does when a test wants it.

use crate::http::message;
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
    /// Half of an answer, then nothing.
    Cut,
}

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
        let (status, body, cut) = match reply {
            Reply::Ok(value) => (200, value.to_string(), false),
            Reply::Error(status, code) => (
                status,
                json!({"__type": code, "message": "scripted"}).to_string(),
                false,
            ),
            Reply::Cut => (200, r#"{"Records":[{"Data":"AA"#.to_owned(), true),
        };
        let length = body.len() + if cut { 1_000 } else { 0 };
        let head = format!(
            "HTTP/1.1 {status} X\r\ndate: {}\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: \
             {length}\r\n\r\n",
            httpdate::fmt_http_date(std::time::SystemTime::now())
        );
        if stream
            .get_mut()
            .write_all((head + &body).as_bytes())
            .await
            .is_err()
            || cut
        {
            return;
        }
    }
}
