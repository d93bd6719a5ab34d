//! Create, get, list, update, delete, split, merge.

use crate::cli::confirm::Confirm;
use crate::cli::error::CliError;
use crate::cli::names::{Kind, short};
use crate::cli::output::{Columns, Table, count};
use crate::cli::paging;
use crate::cli::session::Session;
use crate::cli::when;
use crate::units::whole_hours;
use clap::Args;
use millstream_api::v1;

/// The columns of streams.
pub(crate) const COLUMNS: Columns = Columns {
    narrow: &["NAME", "SHARDS", "RECORDS", "RETENTION", "AGE"],
    wide: &["CLOSED", "ARN", "ETAG"],
};
const SHARDS: Columns = Columns {
    narrow: &["SHARD", "STATE", "RECORDS", "OLDEST", "NEWEST", "PARENTS"],
    wide: &["FIRST-HASH-KEY", "LAST-HASH-KEY", "CLOSED"],
};

/// The cells of a stream.
pub(crate) fn row(s: &v1::Stream) -> Vec<String> {
    let closed = s.shards.iter().filter(|shard| shard.close_time.is_some()).count();
    vec![
        short(&s.name).to_owned(),
        (s.shards.len() - closed).to_string(),
        s.shards
            .iter()
            .map(|shard| shard.record_count)
            .sum::<i64>()
            .to_string(),
        format!("{}h", s.retention_hours()),
        when::age(s.create_time.as_ref()),
        closed.to_string(),
        s.arn.clone(),
        s.etag.clone(),
    ]
}

fn shard_row(s: &v1::Shard) -> Vec<String> {
    let parents = [&s.parent_shard_id, &s.adjacent_parent_shard_id];
    vec![
        s.shard_id.clone(),
        if s.close_time.is_some() { "CLOSED" } else { "OPEN" }.to_owned(),
        s.record_count.to_string(),
        s.oldest_sequence_number.clone(),
        s.newest_sequence_number.clone(),
        parents
            .into_iter()
            .filter(|p| !p.is_empty())
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(","),
        s.starting_hash_key.clone(),
        s.ending_hash_key.clone(),
        when::stamp(s.close_time.as_ref()),
    ]
}

/// `create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// What to call it: letters, digits, hyphens, underscores and dots.
    name: String,
    /// Open shards to start with, 1 to 256 [default: 1].
    #[arg(long, value_name = "N")]
    shards: Option<i32>,
    /// How long records are kept, 1h to 365d [default: 24h].
    #[arg(long, value_parser = whole_hours, value_name = "HOURS")]
    retention: Option<i32>,
    /// Check everything, create nothing.
    #[arg(long)]
    dry_run: bool,
}

fn dry(run: bool) -> &'static str {
    if run {
        " (dry run: nothing was changed)"
    } else {
        ""
    }
}

impl Create {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        session.name(Kind::Stream, &self.name)?;
        let stream = v1::Stream {
            shard_count: self.shards,
            retention_hours: self.retention,
            ..Default::default()
        };
        let request = v1::CreateStreamRequest {
            parent: session.parent(),
            stream_id: short(&self.name).to_owned(),
            stream: Some(stream),
            validate_only: self.dry_run,
        };
        let made = session
            .streams()
            .create_stream(session.request(request))
            .await?
            .into_inner();
        let sentence = format!(
            "stream {} created with {}{}",
            short(&made.name),
            count(made.shards.len(), "shard"),
            dry(self.dry_run)
        );
        session.screen.did(&made, &made.name, &sentence)
    }
}

/// `get`.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// Which.
    #[arg(required = true)]
    names: Vec<String>,
}

impl Get {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let mut streams = Vec::new();
        for name in &self.names {
            let request = session.request(v1::GetStreamRequest {
                name: session.name(Kind::Stream, name)?,
            });
            streams.push(session.streams().get_stream(request).await?.into_inner());
        }
        match &streams[..] {
            [one] => {
                session.screen.show(one, &[&one.name], COLUMNS, [row(one)])?;
                shards(session, one)
            }
            _ => list(session, streams),
        }
    }
}

fn shards(session: &mut Session, stream: &v1::Stream) -> Result<(), CliError> {
    let format = session.screen.format();
    if !format.is_table() {
        return Ok(());
    }
    let mut table = Table::new(SHARDS, format == crate::cli::output::Format::Wide);
    stream.shards.iter().for_each(|s| table.row(shard_row(s)));
    session.screen.line("")?;
    session.screen.table(&mut table)
}

/// `list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Most streams to show; 0: all.
    #[arg(long, default_value_t = 0)]
    limit: usize,
}

impl List {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let (streams, more) = paging::collect(self.limit, |page_token| {
            let request = v1::ListStreamsRequest {
                parent: session.parent(),
                page_size: paging::PAGE,
                page_token,
            };
            let request = session.request(request);
            let mut client = session.streams();
            async move {
                let page = client.list_streams(request).await?.into_inner();
                Ok((page.streams, page.next_page_token))
            }
        })
        .await?;
        list(session, streams)?;
        if more {
            session.screen.note("there are more: raise --limit");
        }
        Ok(())
    }
}

fn list(session: &mut Session, streams: Vec<v1::Stream>) -> Result<(), CliError> {
    let rows: Vec<_> = streams.iter().map(row).collect();
    let response = v1::ListStreamsResponse {
        streams,
        next_page_token: String::new(),
    };
    let names: Vec<&str> = response.streams.iter().map(|s| s.name.as_str()).collect();
    session.screen.show(&response, &names, COLUMNS, rows)
}

/// `update`.
#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Which.
    name: String,
    /// How long records are kept, 1h to 365d.
    #[arg(long, value_parser = whole_hours, value_name = "HOURS")]
    retention: i32,
    /// Change only this version.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Check everything, change nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Update {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let stream = v1::Stream {
            name: session.name(Kind::Stream, &self.name)?,
            etag: self.etag.clone(),
            retention_hours: Some(self.retention),
            ..Default::default()
        };
        let update_mask = Some(prost_types::FieldMask {
            paths: vec!["retention_hours".to_owned()],
        });
        let request = session.request(v1::UpdateStreamRequest {
            stream: Some(stream),
            update_mask,
            validate_only: self.dry_run,
        });
        let changed = session.streams().update_stream(request).await?.into_inner();
        let sentence = format!(
            "stream {} keeps records for {} hours{}",
            short(&changed.name),
            changed.retention_hours(),
            dry(self.dry_run)
        );
        session.screen.did(&changed, &changed.name, &sentence)
    }
}

/// `delete`.
#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// Which.
    #[arg(required = true)]
    names: Vec<String>,
    /// Only if this is its version; with one name.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    #[command(flatten)]
    confirm: Confirm,
}

impl Delete {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.confirm.ask(&format!(
            "delete stream {} with all its records",
            self.names.join(", ")
        ))?;
        for name in &self.names {
            let name = session.name(Kind::Stream, name)?;
            let request = v1::DeleteStreamRequest {
                name: name.clone(),
                etag: self.etag.clone(),
            };
            session.streams().delete_stream(session.request(request)).await?;
            session
                .screen
                .gone(&name, &format!("stream {} deleted", short(&name)))?;
        }
        Ok(())
    }
}

/// `split`.
#[derive(Args, Debug)]
pub(crate) struct Split {
    /// Which stream.
    name: String,
    /// Which of its open shards.
    #[arg(long)]
    shard: String,
    /// The first hash key of the upper new shard [default: the middle of the range].
    #[arg(long, value_name = "HASH-KEY", default_value = "", hide_default_value = true)]
    at: String,
}

impl Split {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let name = session.name(Kind::Stream, &self.name)?;
        let request = v1::SplitShardRequest {
            name,
            shard_id: self.shard.clone(),
            new_starting_hash_key: self.at.clone(),
        };
        let stream = session
            .streams()
            .split_shard(session.request(request))
            .await?
            .into_inner();
        resharded(session, &stream)
    }
}

/// `merge`.
#[derive(Args, Debug)]
pub(crate) struct Merge {
    /// Which stream.
    name: String,
    /// One of the two open shards.
    #[arg(long)]
    shard: String,
    /// The other, whose range touches that of the first.
    #[arg(long)]
    adjacent: String,
}

impl Merge {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let name = session.name(Kind::Stream, &self.name)?;
        let request = v1::MergeShardsRequest {
            name,
            shard_id: self.shard.clone(),
            adjacent_shard_id: self.adjacent.clone(),
        };
        let stream = session
            .streams()
            .merge_shards(session.request(request))
            .await?
            .into_inner();
        resharded(session, &stream)
    }
}

fn resharded(session: &mut Session, stream: &v1::Stream) -> Result<(), CliError> {
    let open: Vec<&str> = stream
        .shards
        .iter()
        .filter(|s| s.close_time.is_none())
        .map(|s| s.shard_id.as_str())
        .collect();
    let sentence = format!(
        "stream {} has {}: {}",
        short(&stream.name),
        count(open.len(), "open shard"),
        open.join(", ")
    );
    session.screen.did(stream, &stream.name, &sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_their_columns_and_count_open_shards() {
        let closed = v1::Shard {
            shard_id: "a".to_owned(),
            close_time: Some(prost_types::Timestamp::default()),
            record_count: 5,
            ..Default::default()
        };
        let open = v1::Shard {
            parent_shard_id: "a".to_owned(),
            record_count: 2,
            ..Default::default()
        };
        assert_eq!(shard_row(&open).len(), SHARDS.narrow.len() + SHARDS.wide.len());
        assert_eq!(shard_row(&open)[5], "a");
        let stream = v1::Stream {
            name: "namespaces/default/streams/orders".to_owned(),
            retention_hours: Some(24),
            shards: vec![closed, open],
            ..Default::default()
        };
        let cells = row(&stream);
        assert_eq!(cells.len(), COLUMNS.narrow.len() + COLUMNS.wide.len());
        assert_eq!(cells[..5], ["orders", "1", "7", "24h", "-"]);
    }
}
