//! The function that the tests register: writes down what it got before it answers, and misbehaves as told.
//!
//! A Lambda Runtime API client by hand, over one `TcpStream`: it starts in a millisecond, so that a kill loop
//! spends its time on the server. Arguments: a directory for its journal, what the journal names records by
//! (`seq` or `id`; messages of queues are named `MESSAGE*RECEIVES` instead of by `seq`), and the milliseconds before
//! and after its work (none if they are left out).
//!
//! A record's payload, or a message's body, is `ID`, or `ID ACTION`, or `ID ACTION FLAG`: the action is taken unless a file FLAG is
//! there. The first action other than `report` decides for its batch:
//!
//! | action | what the function does |
//! |---|---|
//! | `report` | returns the record as a batch item failure |
//! | `throw` | posts an error |
//! | `hang` | does not return before FLAG is there; never without one |
//! | `exit` / `crash` | ends by itself / by a signal |
//! | `garbage` | sends what is not HTTP |
//! | `nonsense` | returns what is not JSON |
//! | `large` | returns 7 MB |
//!
//! The journal has one file per process, `PID-NANOSECONDS`, and two lines per invocation, each written at once:
//! `S NANOSECONDS REQUEST ATTEMPT EPOCH SHARD RECORDS` when it was called, and `E NANOSECONDS REQUEST ATTEMPT
//! RESULT` just before it returns, with `done`, `before:N`, `but:N,N` (messages) or `failed`. One that is hung or killed
//! writes no `E`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

const BASE: &str = "/2018-06-01/runtime/invocation/";
const TOO_LARGE: usize = 7_000_000;
const LOOK_FOR_FLAG: Duration = Duration::from_millis(5);

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut missing = |what: &str| {
        args.next()
            .ok_or_else(|| Error::other(format!("argument {what} is missing")))
    };
    let (dir, by) = (missing("DIRECTORY")?, missing("seq|id")?);
    let linger = Duration::from_millis(args.next().and_then(|n| n.parse().ok()).unwrap_or(0));
    let mut journal = Journal::open(Path::new(&dir), by == "id")?;
    let mut api = Api::connect()?;
    loop {
        let call = api.next()?;
        let records = records(&call.event);
        journal.started(&call, &records)?;
        std::thread::sleep(linger);
        let answer = decide(&records);
        if let Some(result) = answer.result() {
            journal.ended(&call, &result)?;
        }
        std::thread::sleep(linger);
        carry_out(&mut api, &call, answer)?;
    }
}

/// A record of the event; all of it borrowed but the payload.
struct Record<'a> {
    /// A record's sequence number, a message's id.
    seq: &'a str,
    /// How often a message was received.
    receives: Option<&'a str>,
    payload: String,
}

impl Record<'_> {
    fn id(&self) -> &str {
        self.payload.split_ascii_whitespace().next().unwrap_or_default()
    }

    /// Action and flag, if the action is to be taken.
    fn action(&self) -> Option<(&str, Option<&Path>)> {
        let mut words = self.payload.split_ascii_whitespace().skip(1);
        let action = words.next()?;
        let flag = words.next().map(Path::new);
        (!flag.is_some_and(Path::exists)).then_some((action, flag))
    }
}

/// What an invocation comes to.
enum Answer {
    /// A body, and how many records it reports as done; none for all.
    Return(Vec<u8>, Option<usize>),
    /// A body, and which messages of a queue it reports as failed.
    ReturnBut(Vec<u8>, Vec<usize>),
    Throw,
    Large,
    Garbage,
    Exit,
    Crash,
    HangUntil(Option<std::path::PathBuf>),
}

impl Answer {
    /// What is written down before it is carried out.
    fn result(&self) -> Option<String> {
        match self {
            Self::Return(_, None) => Some("done".to_owned()),
            Self::Return(_, Some(0))
            | Self::Throw
            | Self::Large
            | Self::Garbage
            | Self::Exit
            | Self::Crash => Some("failed".to_owned()),
            Self::Return(_, Some(n)) => Some(format!("before:{n}")),
            Self::ReturnBut(_, failed) => {
                let failed: Vec<String> = failed.iter().map(usize::to_string).collect();
                Some(format!("but:{}", failed.join(",")))
            }
            Self::HangUntil(flag) => flag.is_some().then(|| "done".to_owned()),
        }
    }
}

fn decide(records: &[Record<'_>]) -> Answer {
    let mut reported = Vec::new();
    for (n, record) in records.iter().enumerate() {
        match record.action() {
            None => {}
            Some(("report", _)) => reported.push(n),
            Some(("throw", _)) => return Answer::Throw,
            Some(("large", _)) => return Answer::Large,
            Some(("garbage", _)) => return Answer::Garbage,
            Some(("exit", _)) => return Answer::Exit,
            Some(("crash", _)) => return Answer::Crash,
            Some(("nonsense", _)) => return Answer::Return(b"this is not JSON".to_vec(), Some(0)),
            Some(("hang", flag)) => return hang(flag),
            Some(_) => return Answer::Throw,
        }
    }
    let items: Vec<String> = reported
        .iter()
        .map(|n| format!(r#"{{"itemIdentifier":"{}"}}"#, records[*n].seq))
        .collect();
    let body = format!(r#"{{"batchItemFailures":[{}]}}"#, items.join(",")).into_bytes();
    let of_queue = records.iter().any(|record| record.receives.is_some());
    if of_queue && !reported.is_empty() {
        return Answer::ReturnBut(body, reported);
    }
    Answer::Return(body, reported.first().copied())
}

/// Waits here, so that nothing is written down before the flag came.
fn hang(flag: Option<&Path>) -> Answer {
    let there = |flag: &Path| flag.exists();
    while !flag.is_some_and(there) {
        std::thread::sleep(LOOK_FOR_FLAG);
    }
    Answer::HangUntil(flag.map(Path::to_path_buf))
}

fn carry_out(api: &mut Api, call: &Call, answer: Answer) -> Result<()> {
    let request = &call.request;
    match answer {
        Answer::Return(body, _) | Answer::ReturnBut(body, _) => {
            api.post(&format!("{request}/response"), &body)
        }
        Answer::HangUntil(_) => api.post(&format!("{request}/response"), b"null"),
        Answer::Throw => {
            let error = br#"{"errorType":"TestError","errorMessage":"as told","stackTrace":[]}"#;
            api.post(&format!("{request}/error"), error)
        }
        Answer::Large => api.post(&format!("{request}/response"), &vec![b'x'; TOO_LARGE]),
        Answer::Garbage => {
            api.stream
                .get_mut()
                .write_all(b"\x00\x01\x02 not HTTP at all\r\n\r\n")?;
            loop {
                std::thread::park();
            }
        }
        Answer::Exit => std::process::exit(3),
        Answer::Crash => std::process::abort(),
    }
}

/// The records of an event of the Kinesis, DynamoDB or SQS shape; of a changed item its attribute `payload`. Fields are found by their names: the server writes them in one
/// order and without white space. (Bodies of the tests need no unescaping.)
fn records(event: &str) -> Vec<Record<'_>> {
    let mut found = Vec::new();
    let mut messages = event;
    while let Some((id, after)) = text_behind(messages, r#""messageId":""#) {
        let Some((body, after)) = text_behind(after, r#""body":""#) else {
            break;
        };
        let Some((receives, after)) = text_behind(after, r#""ApproximateReceiveCount":""#) else {
            break;
        };
        found.push(Record {
            seq: id,
            receives: Some(receives),
            payload: body.to_owned(),
        });
        messages = after;
    }
    let mut rest = event;
    while let Some((seq, after)) = text_behind(rest, r#""sequenceNumber":""#) {
        let Some((data, after)) = text_behind(after, r#""data":""#) else {
            break;
        };
        found.push(Record {
            seq,
            receives: None,
            payload: String::from_utf8_lossy(&decode(data)).into_owned(),
        });
        rest = after;
    }
    let mut changes = event;
    while let Some((_, image)) = changes.split_once(r#""NewImage":"#) {
        let Some((payload, after)) = text_behind(image, r#""payload":{"S":""#) else {
            break;
        };
        let Some((seq, after)) = text_behind(after, r#""SequenceNumber":""#) else {
            break;
        };
        found.push(Record {
            seq,
            receives: None,
            payload: payload.to_owned(),
        });
        changes = after;
    }
    found
}

fn text_behind<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    text[text.find(name)? + name.len()..].split_once('"')
}

fn decode(base64: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for digit in base64.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

/// One invocation.
struct Call {
    request: String,
    attempt: String,
    epoch: String,
    shard: String,
    event: String,
}

/// Names in lower case, and values.
type Headers = Vec<(String, String)>;

/// The Runtime API.
struct Api {
    stream: BufReader<TcpStream>,
}

impl Api {
    fn connect() -> Result<Self> {
        let address = std::env::var("AWS_LAMBDA_RUNTIME_API").map_err(Error::other)?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(1 << 16, stream),
        })
    }

    fn next(&mut self) -> Result<Call> {
        let head = format!("GET {BASE}next HTTP/1.1\r\nHost: runtime\r\n\r\n");
        self.stream.get_mut().write_all(head.as_bytes())?;
        let (headers, body) = self.reply()?;
        let header = |name: &str| {
            let found = headers.iter().find(|(n, _)| n == name);
            found
                .map(|(_, value)| value.clone())
                .unwrap_or_else(|| "0".to_owned())
        };
        let event = String::from_utf8(body).map_err(Error::other)?;
        let shard = text_behind(&event, r#""eventID":""#).and_then(|(id, _)| id.split_once(':'));
        Ok(Call {
            request: header("lambda-runtime-aws-request-id"),
            attempt: header("millstream-attempt"),
            epoch: header("millstream-lease-epoch"),
            shard: shard.map_or_else(|| "-".to_owned(), |(shard, _)| shard.to_owned()),
            event,
        })
    }

    fn post(&mut self, path: &str, body: &[u8]) -> Result<()> {
        let length = body.len();
        let head = format!("POST {BASE}{path} HTTP/1.1\r\nHost: runtime\r\nContent-Length: {length}\r\n\r\n");
        self.stream
            .get_mut()
            .write_all(&[head.as_bytes(), body].concat())?;
        self.reply().map(|_| ())
    }

    fn reply(&mut self) -> Result<(Headers, Vec<u8>)> {
        let mut headers = Headers::new();
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(Error::other("the Runtime API has gone"));
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if let Some((name, value)) = text.split_once(": ") {
                headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut body = vec![0; length.and_then(|(_, n)| n.parse().ok()).unwrap_or(0)];
        self.stream.read_exact(&mut body)?;
        Ok((headers, body))
    }
}

/// What this process has done.
struct Journal {
    file: File,
    by_id: bool,
}

impl Journal {
    fn open(dir: &Path, by_id: bool) -> Result<Self> {
        let path = dir.join(format!("{}-{}", std::process::id(), now()));
        Ok(Self {
            file: OpenOptions::new().create(true).append(true).open(path)?,
            by_id,
        })
    }

    fn started(&mut self, call: &Call, records: &[Record<'_>]) -> Result<()> {
        let name = |r: &Record<'_>| match r.receives {
            _ if self.by_id => r.id().to_owned(),
            Some(receives) => format!("{}*{receives}", r.seq),
            None => r.seq.to_owned(),
        };
        let names: Vec<String> = records.iter().map(name).collect();
        let Call {
            request,
            attempt,
            epoch,
            shard,
            ..
        } = call;
        let line = format!(
            "S {} {request} {attempt} {epoch} {shard} {}\n",
            now(),
            names.join(",")
        );
        self.file.write_all(line.as_bytes())
    }

    fn ended(&mut self, call: &Call, result: &str) -> Result<()> {
        let line = format!("E {} {} {} {result}\n", now(), call.request, call.attempt);
        self.file.write_all(line.as_bytes())
    }
}

/// Since the Unix epoch: the one clock that processes share.
fn now() -> u128 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}
