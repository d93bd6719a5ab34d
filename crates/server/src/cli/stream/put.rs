//! Puts records, in requests of up to 500.

use super::lines::Keys;
use crate::cli::error::CliError;
use crate::cli::input;
use crate::cli::names::{Kind, short};
use crate::cli::output::{Format, to_json, to_yaml};
use crate::cli::session::Session;
use crate::cli::tally::Tally;
use clap::Args;
use millstream_api::v1::{PutRecordsEntry, PutRecordsRequest};
use std::io::BufRead;

/// Most records of a request.
const MAX_RECORDS: usize = 500;
/// Most bytes of a request of several records: full requests, and far from the limit of 12 MiB.
const MAX_BYTES: usize = 8 << 20;
/// What an entry costs besides key and data, at most.
const ENTRY_OVERHEAD: usize = 64;

pub(super) const EXAMPLES: &str = "\
Examples:
  millstream stream put orders --key alice '{\"item\":1}' '{\"item\":2}'
  millstream stream put flights --key-field tailnum --file flights.jsonl
  echo '{\"partition_key\":\"alice\",\"data\":{\"item\":3}}' | millstream stream put orders

Lines of a file without --key or --key-field are objects: partition_key, data (a text is stored as it is, everything
else as its JSON) or data_base64, and explicit_hash_key if wanted.";

/// `put`.
#[derive(Args, Debug)]
pub(crate) struct Put {
    /// Which stream.
    stream: String,
    /// Payloads; with --key. Without any, lines are read.
    #[arg(requires = "key")]
    data: Vec<String>,
    /// The partition key of all records; records of one key are handled in order.
    #[arg(long, short, conflicts_with = "key_field")]
    key: Option<String>,
    /// Lines are JSON objects with their partition key in this field.
    #[arg(long, value_name = "FIELD", conflicts_with = "data")]
    key_field: Option<String>,
    /// Reads lines from this file; `-` or nothing: standard input.
    #[arg(long, short, value_name = "PATH", conflicts_with = "data")]
    file: Option<String>,
}

/// Records that go with one request.
#[derive(Default)]
struct Pending {
    records: Vec<PutRecordsEntry>,
    bytes: usize,
}

impl Pending {
    /// Whether `entry` has to go with the next request.
    fn full_for(&self, entry: &PutRecordsEntry) -> bool {
        !self.records.is_empty()
            && (self.records.len() == MAX_RECORDS || self.bytes + size(entry) > MAX_BYTES)
    }

    fn push(&mut self, entry: PutRecordsEntry) {
        self.bytes += size(&entry);
        self.records.push(entry);
    }
}

fn size(entry: &PutRecordsEntry) -> usize {
    entry.data.len() + entry.partition_key.len() + ENTRY_OVERHEAD
}

impl Put {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let stream = session.name(Kind::Stream, &self.stream)?;
        let mut tally = Tally::of("record", "stored");
        let ended = if self.data.is_empty() {
            self.put_lines(session, &stream, &mut tally).await
        } else {
            self.put_args(session, &stream, &mut tally).await
        };
        tell(session, short(&stream), &tally)?;
        ended?;
        tally.verdict()
    }

    async fn put_args(&self, session: &mut Session, stream: &str, tally: &mut Tally) -> Result<(), CliError> {
        let partition_key = self.key.clone().unwrap_or_default();
        let mut pending = Pending::default();
        for data in &self.data {
            let data = data.clone().into_bytes().into();
            let entry = PutRecordsEntry {
                partition_key: partition_key.clone(),
                data,
                ..Default::default()
            };
            if pending.full_for(&entry) {
                send(session, stream, &mut pending, tally).await?;
            }
            pending.push(entry);
        }
        send(session, stream, &mut pending, tally).await
    }

    async fn put_lines(
        &self,
        session: &mut Session,
        stream: &str,
        tally: &mut Tally,
    ) -> Result<(), CliError> {
        let keys = match (&self.key, &self.key_field) {
            (Some(key), _) => Keys::One(key.clone()),
            (None, Some(field)) => Keys::Field(field.clone()),
            (None, None) => Keys::Envelope,
        };
        let path = self.file.as_deref().unwrap_or("-");
        let (mut reader, length) = input::lines(path)?;
        let bar = input::progress(length);
        let (mut pending, mut line, mut number) = (Pending::default(), String::new(), 0u64);
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
            let text = line.trim_end_matches(['\n', '\r']);
            let entry = keys.record(text).map_err(|why| {
                CliError::usage(
                    format!("{path}:{number}: {why}"),
                    "correct the line; the records before it were put",
                )
            })?;
            let Some(entry) = entry else { continue };
            if pending.full_for(&entry) {
                send(session, stream, &mut pending, tally).await?;
            }
            pending.push(entry);
        }
        send(session, stream, &mut pending, tally).await?;
        bar.finish_and_clear();
        Ok(())
    }
}

async fn send(
    session: &mut Session,
    stream: &str,
    pending: &mut Pending,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let records = std::mem::take(pending).records;
    if records.is_empty() {
        return Ok(());
    }
    let request = session.request(PutRecordsRequest {
        stream: stream.to_owned(),
        records,
    });
    let response = session.streams().put_records(request).await?.into_inner();
    for result in &response.results {
        tally.add(&result.error_code, &result.error_message);
    }
    match session.screen.format() {
        Format::Json => session.screen.line(&to_json(&response, false)?),
        Format::Yaml => session.screen.line(&to_yaml(&response)?),
        _ => Ok(()),
    }
}

/// What was done, unless every answer was shown.
fn tell(session: &mut Session, stream: &str, tally: &Tally) -> Result<(), CliError> {
    match session.screen.format() {
        Format::Table | Format::Wide => {
            if tally.done() > 0 {
                let sentence = tally.sentence("put", &format!("into {stream}"));
                session.screen.note(&sentence);
            }
            Ok(())
        }
        Format::Name => session.screen.line(stream),
        Format::Json | Format::Yaml => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: usize) -> PutRecordsEntry {
        PutRecordsEntry {
            data: vec![0; bytes].into(),
            ..Default::default()
        }
    }

    #[test]
    fn requests_are_cut_by_count_and_by_size() {
        let mut pending = Pending::default();
        assert!(!pending.full_for(&entry(10 << 20)), "a large record may go alone");
        (0..MAX_RECORDS).for_each(|_| pending.push(entry(1)));
        assert!(pending.full_for(&entry(1)));
        let mut pending = Pending::default();
        pending.push(entry(5 << 20));
        assert!(pending.full_for(&entry(4 << 20)) && !pending.full_for(&entry(1 << 20)));
    }
}
