//! Sends messages, in requests of up to 10 messages and 1 MiB.

use super::MAX_MESSAGES;
use super::entry::{Lines, attribute, size};
use crate::cli::error::CliError;
use crate::cli::input;
use crate::cli::names::{Kind, short};
use crate::cli::output::{Format, to_json, to_yaml};
use crate::cli::session::Session;
use crate::cli::tally::Tally;
use crate::units::whole_seconds;
use clap::Args;
use millstream_api::v1::{self, SendMessagesEntry, SendMessagesRequest, SendMessagesResponse};
use std::collections::VecDeque;
use std::io::BufRead;
use tokio::task::JoinHandle;
use tonic::{Response, Status};

/// Most bytes of a request.
const MAX_BYTES: usize = 1 << 20;
/// Requests on their way at once to a standard queue, which promises no order. A FIFO queue gets one after the other.
const WINDOW: usize = 8;

pub(super) const EXAMPLES: &str = "\
Examples:
  millstream queue send jobs '{\"item\":1}' '{\"item\":2}' --attribute kind=order --attribute weight:Number=1.5
  millstream queue send flights.fifo --group-field dest --file flights.jsonl
  echo '{\"body\":{\"item\":3},\"message_group_id\":\"alice\"}' | millstream queue send jobs.fifo --jsonl
  millstream queue peek dead -o json | millstream queue send jobs --jsonl

Lines are bodies. With --jsonl they are objects: body (a text is sent as it is, everything else as its JSON), and if
wanted attributes, message_group_id, message_deduplication_id, delay_seconds, aws_trace_header and trace_context; an
attribute is a text, a number, or {\"data_type\": …, \"string_value\" or \"binary_value\": …}. What flags say holds for
every message that does not say otherwise.";

/// `send`.
#[derive(Args, Debug)]
pub(crate) struct Send {
    /// Which queue.
    queue: String,
    /// Bodies. Without any, lines are read.
    bodies: Vec<String>,
    /// Reads lines from this file; `-` or nothing: standard input.
    #[arg(long, short, value_name = "PATH", conflicts_with = "bodies")]
    file: Option<String>,
    /// The whole input is one body.
    #[arg(long, conflicts_with_all = ["bodies", "jsonl", "group_field", "deduplication_field"])]
    whole: bool,
    /// Lines are JSON objects that say all about their message.
    #[arg(long, conflicts_with_all = ["bodies", "group_field", "deduplication_field"])]
    jsonl: bool,
    /// Lines are JSON objects with their message group in this field.
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["bodies", "group"])]
    group_field: Option<String>,
    /// Lines are JSON objects with their deduplication id in this field.
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["bodies", "deduplication_id"])]
    deduplication_field: Option<String>,
    /// The message group; FIFO queues need one.
    #[arg(long, visible_alias = "message-group-id", value_name = "ID")]
    group: Option<String>,
    /// The deduplication id of one message; FIFO queues need one unless they take the content for it.
    #[arg(long, visible_alias = "message-deduplication-id", value_name = "ID")]
    deduplication_id: Option<String>,
    /// How long messages stay hidden at first, 0 to 15m; standard queues only [default: the queue's delay].
    #[arg(long, visible_alias = "delay-seconds", value_name = "SECONDS", value_parser = whole_seconds, allow_negative_numbers = true)]
    delay: Option<i32>,
    /// An attribute, NAME=VALUE or NAME:TYPE=VALUE with String, Number or Binary (in Base64); up to 10.
    #[arg(long, short, value_name = "ATTRIBUTE", value_parser = attribute)]
    attribute: Vec<(String, v1::MessageAttribute)>,
    /// The system attribute AWSTraceHeader.
    #[arg(long, visible_alias = "aws-trace-header", value_name = "HEADER")]
    trace_header: Option<String>,
}

/// Messages that go with one request.
#[derive(Default)]
struct Pending {
    messages: Vec<SendMessagesEntry>,
    bytes: usize,
}

impl Pending {
    /// Whether `message` has to go with the next request.
    fn full_for(&self, message: &SendMessagesEntry) -> bool {
        let many = self.messages.len() == MAX_MESSAGES || self.bytes + size(message) > MAX_BYTES;
        many && !self.messages.is_empty()
    }

    fn push(&mut self, message: SendMessagesEntry) {
        self.bytes += size(&message);
        self.messages.push(message);
    }
}

type Answer = Result<Response<SendMessagesResponse>, Status>;

/// Sends requests, several at once where the order does not matter, and shows the answers in the order of the requests.
struct Sender<'a> {
    session: &'a mut Session,
    queue: String,
    window: usize,
    pending: Pending,
    on_their_way: VecDeque<JoinHandle<Answer>>,
    tally: Tally,
}

impl Send {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let queue = session.name(Kind::Queue, &self.queue)?;
        if self.deduplication_id.is_some() && self.bodies.len() != 1 && !self.whole {
            return Err(CliError::usage(
                "--deduplication-id is for one message: a second one would be taken for its repetition",
                "give one body, or use --deduplication-field or --jsonl",
            ));
        }
        let mut sender = Sender {
            window: if queue.ends_with(".fifo") { 1 } else { WINDOW },
            session,
            queue,
            pending: Pending::default(),
            on_their_way: VecDeque::new(),
            tally: Tally::of("message", "sent"),
        };
        let ended = self.feed(&mut sender).await;
        // What is on its way is waited for in any case: it counts.
        let arrived = sender.finish(ended.is_ok()).await;
        sender.tell();
        ended.and(arrived)?;
        sender.tally.verdict()
    }

    async fn feed(&self, sender: &mut Sender<'_>) -> Result<(), CliError> {
        let path = self.file.as_deref().unwrap_or("-");
        if self.whole {
            let text = String::from_utf8(input::whole(path)?).map_err(|_| {
                CliError::usage(
                    format!("{path} is not UTF-8"),
                    "bodies are text: encode it, e.g. in Base64",
                )
            })?;
            return sender.add(self.body(&text)).await;
        }
        if self.bodies.is_empty() {
            return self.feed_lines(path, sender).await;
        }
        for body in &self.bodies {
            sender.add(self.body(body)).await?;
        }
        Ok(())
    }

    async fn feed_lines(&self, path: &str, sender: &mut Sender<'_>) -> Result<(), CliError> {
        let lines = self.lines();
        let (mut reader, length) = input::lines(path)?;
        let bar = input::progress(length);
        let (mut line, mut number) = (String::new(), 0u64);
        loop {
            line.clear();
            number += 1;
            let read = reader
                .read_line(&mut line)
                .map_err(|e| input::cannot_read(path, &e))?;
            if read == 0 {
                break;
            }
            bar.inc(read as u64);
            let message = lines
                .message(line.trim_end_matches(['\n', '\r']))
                .map_err(|why| {
                    CliError::usage(
                        format!("{path}:{number}: {why}"),
                        "correct the line; the messages before it were sent",
                    )
                })?;
            if let Some(message) = message {
                sender.add(self.completed(message)).await?;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn lines(&self) -> Lines {
        match (self.jsonl, &self.group_field, &self.deduplication_field) {
            (true, ..) => Lines::Messages,
            (false, None, None) => Lines::Bodies,
            (false, group, deduplication) => Lines::Fields {
                group: group.clone(),
                deduplication: deduplication.clone(),
            },
        }
    }

    fn body(&self, text: &str) -> SendMessagesEntry {
        self.completed(SendMessagesEntry {
            body: text.to_owned(),
            ..SendMessagesEntry::default()
        })
    }

    /// The message with what the flags say, where it does not say so itself.
    fn completed(&self, mut message: SendMessagesEntry) -> SendMessagesEntry {
        let or = |text: &mut String, flag: &Option<String>| {
            if text.is_empty() {
                text.clone_from(flag.as_ref().unwrap_or(&String::new()));
            }
        };
        or(&mut message.message_group_id, &self.group);
        or(&mut message.message_deduplication_id, &self.deduplication_id);
        or(&mut message.aws_trace_header, &self.trace_header);
        message.delay_seconds = message.delay_seconds.or(self.delay);
        for (name, a) in &self.attribute {
            message
                .attributes
                .entry(name.clone())
                .or_insert_with(|| a.clone());
        }
        message
    }
}

impl Sender<'_> {
    /// Adds a message, and sends when a request is full.
    async fn add(&mut self, message: SendMessagesEntry) -> Result<(), CliError> {
        if self.pending.full_for(&message) {
            self.send().await?;
        }
        self.pending.push(message);
        Ok(())
    }

    async fn send(&mut self) -> Result<(), CliError> {
        let messages = std::mem::take(&mut self.pending).messages;
        if messages.is_empty() {
            return Ok(());
        }
        while self.on_their_way.len() >= self.window {
            self.arrive().await?;
        }
        let queue = self.queue.clone();
        let request = self.session.request(SendMessagesRequest { queue, messages });
        let mut client = self.session.queues();
        let answer = tokio::spawn(async move { client.send_messages(request).await });
        self.on_their_way.push_back(answer);
        Ok(())
    }

    /// Takes the next answer.
    async fn arrive(&mut self) -> Result<(), CliError> {
        let Some(answer) = self.on_their_way.pop_front() else {
            return Ok(());
        };
        let answer = answer
            .await
            .map_err(|e| CliError::failed("INTERNAL", e.to_string(), "report this"))?;
        let response = answer?.into_inner();
        for result in &response.results {
            self.tally.add(&result.error_code, &result.error_message);
        }
        let screen = &mut self.session.screen;
        match screen.format() {
            Format::Json => screen.line(&to_json(&response, false)?),
            Format::Yaml => screen.line(&to_yaml(&response)?),
            Format::Name => {
                let ids = response.results.iter().map(|r| &r.message_id);
                ids.filter(|id| !id.is_empty()).try_for_each(|id| screen.line(id))
            }
            Format::Table | Format::Wide => Ok(()),
        }
    }

    /// Sends what is left, if that makes sense, and takes all answers; the first error.
    async fn finish(&mut self, send: bool) -> Result<(), CliError> {
        let mut first = if send { self.send().await } else { Ok(()) };
        while !self.on_their_way.is_empty() {
            let arrived = self.arrive().await;
            first = first.and(arrived);
        }
        first
    }

    fn tell(&mut self) {
        if self.session.screen.format().is_table() && self.tally.done() > 0 {
            let to = format!("to {}", short(&self.queue));
            self.session.screen.note(&self.tally.sentence("sent", &to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn message(bytes: usize) -> SendMessagesEntry {
        SendMessagesEntry {
            body: "x".repeat(bytes),
            ..Default::default()
        }
    }

    #[test]
    fn requests_are_cut_by_count_and_by_size() {
        let mut pending = Pending::default();
        assert!(
            !pending.full_for(&message(MAX_BYTES + 1)),
            "too large a message goes alone, to be refused"
        );
        (0..MAX_MESSAGES).for_each(|_| pending.push(message(1)));
        assert!(pending.full_for(&message(1)));
        let mut pending = Pending::default();
        pending.push(message(MAX_BYTES / 2));
        assert!(!pending.full_for(&message(MAX_BYTES / 2)) && pending.full_for(&message(MAX_BYTES / 2 + 1)));
    }

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        send: Send,
    }

    fn parse(line: &str) -> Send {
        Line::try_parse_from(["x", "q"].into_iter().chain(line.split_whitespace()))
            .unwrap()
            .send
    }

    #[test]
    fn flags_hold_for_messages_that_do_not_say_otherwise() {
        let send = parse("--jsonl --group g --delay 5 --attribute a=1 --attribute b=2 --trace-header h");
        let own = SendMessagesEntry {
            message_group_id: "own".to_owned(),
            delay_seconds: Some(0),
            attributes: [attribute("a=own").unwrap()].into(),
            ..message(1)
        };
        let got = send.completed(own);
        assert_eq!(
            (
                got.message_group_id.as_str(),
                got.delay_seconds,
                got.aws_trace_header.as_str()
            ),
            ("own", Some(0), "h")
        );
        assert_eq!(got.attributes.len(), 2);
        assert_eq!(got.attributes["a"], attribute("a=own").unwrap().1);
        let got = send.completed(message(1));
        assert_eq!((got.message_group_id.as_str(), got.delay_seconds), ("g", Some(5)));
    }

    #[test]
    fn lines_are_what_the_flags_say() {
        let fields = |group: Option<&str>, deduplication: Option<&str>| Lines::Fields {
            group: group.map(str::to_owned),
            deduplication: deduplication.map(str::to_owned),
        };
        for (line, want) in [
            ("", Lines::Bodies),
            ("--jsonl", Lines::Messages),
            ("--group-field g", fields(Some("g"), None)),
            (
                "--group-field g --deduplication-field d",
                fields(Some("g"), Some("d")),
            ),
        ] {
            assert_eq!(parse(line).lines(), want, "{line}");
        }
    }
}
