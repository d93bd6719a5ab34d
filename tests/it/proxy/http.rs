//! One HTTP/1.1 message after another, by hand, as far as AWS's JSON protocols use it.

use std::io::{Error, Result};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Longest head, and longest body, that is taken.
const MOST_HEAD: u64 = 64 << 10;
const MOST_BODY: usize = 32 << 20;
/// What concerns one connection only, or is said anew.
const HOP: [&str; 4] = ["connection", "keep-alive", "transfer-encoding", "content-length"];

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Answer,
}

/// A request or an answer.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) first: String,
    /// Names in lower case. Without those of a hop.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// An answer that no component gave.
    pub(super) fn answer(status: u16, kind: &str, body: &str) -> Self {
        Self {
            first: format!("HTTP/1.1 {status} Injected"),
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: body.as_bytes().to_vec(),
        }
    }

    /// What is asked for, as `x-amz-target` names it: `SERVICE_DATE.Operation`.
    pub(super) fn target(&self) -> &str {
        let found = self.headers.iter().find(|(name, _)| name == "x-amz-target");
        found.map_or("", |(_, value)| value)
    }

    /// As it is sent on, with one more header.
    pub(super) fn bytes(&self, connection: &str) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let length = self.body.len();
        head += &format!("connection: {connection}\r\ncontent-length: {length}\r\n\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    /// All of the head, half of the body, which is shorter than the head says in any case.
    pub(super) fn half(&self) -> Vec<u8> {
        let whole = Self {
            body: if self.body.is_empty() {
                b" ".to_vec()
            } else {
                self.body.clone()
            },
            ..self.clone()
        };
        let mut bytes = whole.bytes("close");
        bytes.truncate(bytes.len() - whole.body.len().div_ceil(2));
        bytes
    }
}

/// The next message; none at the end of the connection.
pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin), kind: Kind) -> Result<Option<Message>> {
    let mut head = (&mut *from).take(MOST_HEAD);
    let mut first = String::new();
    if head.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let (mut headers, mut length, mut is_chunked) = (Vec::new(), None, false);
    loop {
        let mut line = String::new();
        if head.read_line(&mut line).await? == 0 {
            return Err(Error::other("a head does not end"));
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "content-length" => length = Some(value.parse().map_err(Error::other)?),
            "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
            _ => {}
        }
        if !HOP.contains(&name.as_str()) {
            headers.push((name, value.to_owned()));
        }
    }
    let body = match (is_chunked, length, kind) {
        (true, _, _) => chunks(from).await?,
        (false, Some(length), _) => exactly(from, length).await?,
        (false, None, Kind::Request) => Vec::new(),
        (false, None, Kind::Answer) => {
            let mut body = Vec::new();
            from.take(MOST_BODY as u64).read_to_end(&mut body).await?;
            body
        }
    };
    let first = first.trim_end().to_owned();
    Ok(Some(Message { first, headers, body }))
}

async fn exactly(from: &mut (impl AsyncBufRead + Unpin), length: usize) -> Result<Vec<u8>> {
    if length > MOST_BODY {
        return Err(Error::other(format!("a body of {length} bytes")));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    Ok(body)
}

async fn chunks(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() <= MOST_BODY {
        let mut line = String::new();
        (&mut *from).take(MOST_HEAD).read_line(&mut line).await?;
        let size = line.trim_end().split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(Error::other)?;
        // Its end is a line of its own; nobody here sends trailers.
        let chunk = exactly(from, size + 2).await?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
    Err(Error::other("a body without end"))
}
