//! Reads records for people: shard by shard, never without a limit.

use crate::cli::error::CliError;
use crate::cli::names::Kind;
use crate::cli::output::{Columns, Format, Table, to_json, to_yaml};
use crate::cli::session::Session;
use crate::cli::when;
use clap::Args;
use millstream_api::v1;
use std::time::Duration;
use v1::read_records_request::Start;

const COLUMNS: Columns = Columns {
    narrow: &["SHARD", "SEQUENCE", "ARRIVED", "KEY", "DATA"],
    wide: &["BYTES", "TRACEPARENT"],
};
/// Letters of a payload that a table shows, unless it is wide.
const SHOWN: usize = 80;
/// How long a watch waits between two looks at a stream where nothing came.
const IDLE: Duration = Duration::from_millis(500);

/// Where reading starts.
#[derive(Clone, Debug, PartialEq)]
struct From(Start);

/// `trim`, `latest`, a sequence number, or a time.
fn from(text: &str) -> Result<From, String> {
    let start = match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "trim" | "trim-horizon" => Start::TrimHorizon(()),
        "latest" => Start::Latest(()),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() => {
            Start::AtSequenceNumber(digits.to_owned())
        }
        _ => Start::AtTime(when::parse(text).map_err(|_| {
            format!("'{text}' is not a position: trim, latest, a sequence number, or a time like 2026-11-22T10:00:00Z")
        })?),
    };
    Ok(From(start))
}

/// `read`.
#[derive(Args, Debug)]
pub(crate) struct Read {
    /// Which stream.
    stream: String,
    /// Only these shards [default: all, one after the other].
    #[arg(long, value_name = "ID")]
    shard: Vec<String>,
    /// Where to start: `trim`, `latest`, a sequence number (with one --shard), or a time.
    #[arg(long, default_value = "trim", value_parser = from, value_name = "POSITION")]
    from: From,
    /// Most records to show.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Then show what comes, until Ctrl-C or the limit.
    #[arg(short, long)]
    watch: bool,
    /// Print the payloads only, as they are, one a line.
    #[arg(long)]
    raw: bool,
}

/// A shard and where its next page starts; none when it is closed and read.
struct Cursor {
    shard: String,
    token: Option<String>,
}

impl Read {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let stream = session.name(Kind::Stream, &self.stream)?;
        let mut cursors = self.cursors(session, &stream).await?;
        if matches!(self.from.0, Start::AtSequenceNumber(_)) && cursors.len() > 1 {
            return Err(CliError::usage(
                "a sequence number belongs to one shard",
                "name it with --shard",
            ));
        }
        let wide = session.screen.format() == Format::Wide;
        let mut left = self.limit;
        let mut table = Table::new(COLUMNS, wide);
        let mut opened = false;
        loop {
            let before = left;
            for cursor in &mut cursors {
                self.read(session, &stream, cursor, &mut left, &mut table).await?;
            }
            // The first round decides how wide the columns are.
            if !std::mem::replace(&mut opened, true) && (self.watch || before > left) {
                self.head(session, &table)?;
            }
            session.screen.rows(&mut table)?;
            if left == 0 || !self.watch || cursors.iter().all(|c| c.token.is_none()) {
                break;
            }
            if before == left {
                tokio::time::sleep(IDLE).await;
            }
        }
        if left == self.limit {
            session.screen.note("nothing found");
        } else if left == 0 && !self.watch {
            session.screen.note(&format!(
                "stopped at {} records: there may be more, raise --limit",
                self.limit
            ));
        }
        Ok(())
    }

    async fn cursors(&self, session: &Session, stream: &str) -> Result<Vec<Cursor>, CliError> {
        let shards = if self.shard.is_empty() {
            let request = session.request(v1::GetStreamRequest {
                name: stream.to_owned(),
            });
            let found = session.streams().get_stream(request).await?.into_inner();
            found.shards.into_iter().map(|s| s.shard_id).collect()
        } else {
            self.shard.clone()
        };
        Ok(shards
            .into_iter()
            .map(|shard| Cursor {
                shard,
                token: Some(String::new()),
            })
            .collect())
    }

    /// Reads a shard until it has nothing more for now, or the limit is reached.
    async fn read(
        &self,
        session: &mut Session,
        stream: &str,
        cursor: &mut Cursor,
        left: &mut u64,
        table: &mut Table,
    ) -> Result<(), CliError> {
        while let Some(token) = cursor.token.clone().filter(|_| *left > 0) {
            let request = session.request(v1::ReadRecordsRequest {
                stream: stream.to_owned(),
                shard_id: cursor.shard.clone(),
                start: Some(self.from.0.clone()),
                page_size: i32::try_from((*left).min(100)).unwrap_or(100),
                page_token: token,
            });
            let page = session.streams().read_records(request).await?.into_inner();
            cursor.token = Some(page.next_page_token).filter(|t| !t.is_empty());
            if page.records.is_empty() {
                break;
            }
            *left = left.saturating_sub(page.records.len() as u64);
            for record in &page.records {
                self.show(session, &cursor.shard, record, table)?;
            }
        }
        Ok(())
    }

    fn show(
        &self,
        session: &mut Session,
        shard: &str,
        record: &v1::StreamRecord,
        table: &mut Table,
    ) -> Result<(), CliError> {
        if self.raw {
            session.screen.bytes(&record.data)?;
            return session.screen.line("");
        }
        match session.screen.format() {
            Format::Json => {
                let with_shard =
                    to_json(record, false)?.replacen('{', &format!("{{\"shard_id\":\"{shard}\","), 1);
                session.screen.line(&with_shard)
            }
            Format::Yaml => session.screen.line(&to_yaml(record)?),
            Format::Name => session.screen.line(&record.sequence_number),
            format @ (Format::Table | Format::Wide) => {
                table.row(row(shard, record, format == Format::Wide));
                Ok(())
            }
        }
    }

    fn head(&self, session: &mut Session, table: &Table) -> Result<(), CliError> {
        if self.raw || !session.screen.format().is_table() {
            return Ok(());
        }
        session.screen.line(&table.head_line())
    }
}

fn row(shard: &str, record: &v1::StreamRecord, wide: bool) -> Vec<String> {
    let text = String::from_utf8_lossy(&record.data);
    let cut = !wide && text.chars().count() > SHOWN;
    let data = if cut {
        text.chars().take(SHOWN - 1).chain(['…']).collect()
    } else {
        text.into_owned()
    };
    vec![
        shard.to_owned(),
        record.sequence_number.clone(),
        when::stamp(record.approximate_arrival_time.as_ref()),
        record.partition_key.clone(),
        data,
        record.data.len().to_string(),
        record
            .trace_context
            .as_ref()
            .map_or_else(String::new, |t| t.traceparent.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        for (text, want) in [
            ("trim", Ok(Start::TrimHorizon(()))),
            ("LATEST", Ok(Start::Latest(()))),
            ("49612", Ok(Start::AtSequenceNumber("49612".to_owned()))),
            (
                "1970-01-01T00:00:01Z",
                Ok(Start::AtTime(prost_types::Timestamp { seconds: 1, nanos: 0 })),
            ),
            ("", Err("not a position")),
            ("now", Err("not a position")),
        ] {
            match (from(text), want) {
                (Ok(From(got)), Ok(want)) => assert_eq!(got, want),
                (Err(got), Err(part)) => assert!(got.contains(part), "{got}"),
                (got, want) => panic!("{text}: {got:?}, wanted {want:?}"),
            }
        }
    }

    #[test]
    fn long_payloads_are_cut_in_a_narrow_table() {
        let record = v1::StreamRecord {
            data: vec![b'x'; 200].into(),
            ..Default::default()
        };
        assert_eq!(row("s", &record, false)[4].chars().count(), SHOWN);
        assert_eq!(row("s", &record, true)[4].len(), 200);
    }
}
