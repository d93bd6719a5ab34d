//! Puts records, in requests of up to 500.

use super::lines::Keys;
use crate::cli::error::{CliError, exit};
use crate::cli::input;
use crate::cli::names::{Kind, short};
use crate::cli::output::{Format, count, to_json, to_yaml};
use crate::cli::session::Session;
use crate::cli::when;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use millstream_api::v1::{PutRecordsEntry, PutRecordsRequest, PutRecordsResponse};
use std::io::{BufRead, IsTerminal};
use std::time::{Duration, Instant};

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

/// How far it got.
struct Totals {
    stored: usize,
    refused: usize,
    /// The first refusal.
    error: Option<(String, String)>,
    started: Instant,
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
        let mut totals = Totals {
            stored: 0,
            refused: 0,
            error: None,
            started: Instant::now(),
        };
        let ended = if self.data.is_empty() {
            self.put_lines(session, &stream, &mut totals).await
        } else {
            self.put_args(session, &stream, &mut totals).await
        };
        totals.tell(session, short(&stream))?;
        ended?;
        totals.verdict()
    }

    async fn put_args(
        &self,
        session: &mut Session,
        stream: &str,
        totals: &mut Totals,
    ) -> Result<(), CliError> {
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
                send(session, stream, &mut pending, totals).await?;
            }
            pending.push(entry);
        }
        send(session, stream, &mut pending, totals).await
    }

    async fn put_lines(
        &self,
        session: &mut Session,
        stream: &str,
        totals: &mut Totals,
    ) -> Result<(), CliError> {
        let keys = match (&self.key, &self.key_field) {
            (Some(key), _) => Keys::One(key.clone()),
            (None, Some(field)) => Keys::Field(field.clone()),
            (None, None) => Keys::Envelope,
        };
        let path = self.file.as_deref().unwrap_or("-");
        let (mut reader, length) = input::lines(path)?;
        let bar = progress(length);
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
                send(session, stream, &mut pending, totals).await?;
            }
            pending.push(entry);
        }
        send(session, stream, &mut pending, totals).await?;
        bar.finish_and_clear();
        Ok(())
    }
}

async fn send(
    session: &mut Session,
    stream: &str,
    pending: &mut Pending,
    totals: &mut Totals,
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
    totals.add(&response);
    match session.screen.format() {
        Format::Json => session.screen.line(&to_json(&response, false)?),
        Format::Yaml => session.screen.line(&to_yaml(&response)?),
        _ => Ok(()),
    }
}

impl Totals {
    fn add(&mut self, response: &PutRecordsResponse) {
        for result in &response.results {
            if result.error_code.is_empty() {
                self.stored += 1;
                continue;
            }
            self.refused += 1;
            self.error
                .get_or_insert_with(|| (result.error_code.clone(), result.error_message.clone()));
        }
    }

    fn tell(&self, session: &mut Session, stream: &str) -> Result<(), CliError> {
        let took = self.started.elapsed();
        let sentence = format!(
            "put {} into {stream} in {}",
            count(self.stored, "record"),
            when::short(took)
        );
        let rate = self.stored as f64 / took.as_secs_f64().max(1e-9);
        let sentence = if took > Duration::from_secs(1) {
            format!("{sentence} ({rate:.0}/s)")
        } else {
            sentence
        };
        match session.screen.format() {
            Format::Table | Format::Wide => {
                if self.stored > 0 {
                    session.screen.note(&sentence);
                }
                Ok(())
            }
            Format::Name => session.screen.line(stream),
            Format::Json | Format::Yaml => Ok(()),
        }
    }

    fn verdict(&self) -> Result<(), CliError> {
        let Some((code, message)) = &self.error else {
            return Ok(());
        };
        let (exit_code, reason, next) = match code.as_str() {
            "INVALID_RECORD" => (
                exit::USAGE,
                "INVALID_RECORD",
                "correct these records; the others are stored",
            ),
            "DISK_FULL" => (
                exit::UNAVAILABLE,
                "DISK_FULL",
                "make room on the server's disk, then put these records again",
            ),
            _ => (
                exit::UNAVAILABLE,
                "UNAVAILABLE",
                "put these records again; some may be stored already",
            ),
        };
        let not_stored = format!(
            "{} of {} records were not stored",
            self.refused,
            self.refused + self.stored
        );
        Err(CliError::Other {
            code: exit_code,
            reason,
            message: format!("{not_stored}: {message}"),
            next: next.to_owned(),
        })
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress(length: Option<u64>) -> ProgressBar {
    let Some(length) = length.filter(|_| std::io::stderr().is_terminal()) else {
        return ProgressBar::hidden();
    };
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_api::v1::PutRecordsResult;

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

    #[test]
    fn refused_records_are_counted_and_the_first_refusal_told() {
        let mut totals = Totals {
            stored: 0,
            refused: 0,
            error: None,
            started: Instant::now(),
        };
        assert!(totals.verdict().is_ok());
        let result = |code: &str| PutRecordsResult {
            error_code: code.to_owned(),
            ..Default::default()
        };
        totals.add(&PutRecordsResponse {
            failed_record_count: 2,
            results: vec![result(""), result("DISK_FULL"), result("UNAVAILABLE")],
        });
        let e = totals.verdict().unwrap_err();
        assert_eq!(e.exit_code(), exit::UNAVAILABLE);
        assert!(
            e.lines()[0].starts_with("DISK_FULL: 2 of 3 records were not stored"),
            "{:?}",
            e.lines()
        );
    }
}
