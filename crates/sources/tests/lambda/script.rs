//! A server on this machine that takes one request for each connection, and does as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is done with a request.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// Sends these bytes and closes.
    Say(Vec<u8>),
    /// Sends this head, then bytes without end until the client hangs up.
    Pour(String),
    /// Closes without a word.
    HangUp,
    /// Never answers.
    Nothing,
    /// Sends these bytes after a while, and closes.
    Later(Duration, Vec<u8>),
    /// Does one thing with what only asks, and another with the rest.
    Either { asked: Box<Do>, told: Box<Do> },
}

/// A running server.
pub(crate) struct Script {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    poured: Arc<Mutex<u64>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Script {
    /// Does the same with every request.
    pub(crate) async fn always(what: Do) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, poured) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<u64>>::default());
        let (heard, sent) = (Arc::clone(&requests), Arc::clone(&poured));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, what.clone(), Arc::clone(&heard), Arc::clone(&sent)));
            }
        });
        Self {
            port,
            requests,
            poured,
            task,
        }
    }

    /// What it was asked, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many bytes of answers it could send without end.
    pub(crate) fn poured(&self) -> u64 {
        *self.poured.lock().unwrap()
    }
}

async fn serve(mut stream: TcpStream, what: Do, heard: Arc<Mutex<Vec<String>>>, sent: Arc<Mutex<u64>>) {
    let request = read(&mut stream).await;
    let what = match what {
        Do::Either { asked, .. } if request.starts_with("GET ") => *asked,
        Do::Either { told, .. } => *told,
        what => what,
    };
    heard.lock().unwrap().push(request);
    match what {
        Do::Say(bytes) => {
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        Do::Pour(head) => {
            stream.write_all(head.as_bytes()).await.unwrap();
            let piece = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
            while stream.write_all(piece.as_bytes()).await.is_ok() {
                *sent.lock().unwrap() += 0x1_0000;
            }
        }
        Do::Later(after, bytes) => {
            tokio::time::sleep(after).await;
            // Nobody may wait for it any more.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Do::Either { .. } => unreachable!("one of the two was chosen"),
        Do::HangUp => {}
        Do::Nothing => std::future::pending().await,
    }
}

/// The whole request.
async fn read(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let n = stream.read(&mut buffer).await.unwrap();
        all.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(n > 0, "the client went away before its request was whole");
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>())?
                .ok()
        });
        if n == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

/// An answer with a body of known length.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> Do {
    let mut text = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    Do::Say(format!("{text}\r\n{body}").into_bytes())
}
