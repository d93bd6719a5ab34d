//! The inside of a mapping, for people.

use super::{describe_queue, show};
use crate::cli::error::CliError;
use crate::cli::names::Kind;
use crate::cli::output::{Columns, Format, Table, count, to_json, to_yaml};
use crate::cli::session::Session;
use crate::cli::when;
use crate::manifest;
use clap::Args;
use millstream_api::v1;
use v1::position::Kind as Place;

const SHARDS: Columns = Columns {
    narrow: &[
        "SHARD",
        "ACTIVITY",
        "LAG",
        "BEHIND",
        "CHECKPOINT",
        "BUFFERED",
        "LANES",
        "ERROR",
    ],
    wide: &["EPOCH", "READ-THROUGH", "INCARNATION"],
};
const LANES: Columns = Columns {
    narrow: &[
        "SHARD", "LANE", "RECORDS", "ATTEMPT", "NEXT", "WAITING", "BUFFERED", "LAGGING", "ERROR",
    ],
    wide: &["FIRST", "LAST", "REQUEST-ID", "DONE-THROUGH"],
};

const WINDOWS: Columns = Columns {
    narrow: &["SHARD", "WINDOW", "ENDS", "STATE", "ENDING"],
    wide: &[],
};

/// `describe`.
#[derive(Args, Debug)]
pub(crate) struct Describe {
    /// Which.
    name: String,
}

impl Describe {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let name = session.name(Kind::Mapping, &self.name)?;
        let request = session.request(v1::InspectMappingRequest { name });
        let inspection = session.mappings().inspect_mapping(request).await?.into_inner();
        let mapping = inspection.mapping.clone().unwrap_or_default();
        let screen = &mut session.screen;
        match screen.format() {
            Format::Json => return screen.line(&to_json(&inspection, true)?),
            Format::Yaml => return screen.line(&to_yaml(&inspection)?),
            Format::Name => return screen.line(&mapping.name),
            Format::Table | Format::Wide => {}
        }
        let wide = screen.format() == Format::Wide;
        for line in facts(&mapping) {
            screen.line(&line)?;
        }
        if show::of_queue(&mapping) {
            return describe_queue::show(screen, inspection.queue.as_ref());
        }
        let mut shards = Table::new(SHARDS, wide);
        let mut lanes = Table::new(LANES, wide);
        let mut at_work = false;
        for shard in &inspection.shards {
            shards.row(shard_row(shard));
            for lane in shard.lanes.iter().filter(|lane| wide || works(lane)) {
                at_work = true;
                lanes.row(lane_row(&shard.shard_id, lane));
            }
        }
        screen.line("")?;
        screen.table(&mut shards)?;
        if at_work {
            screen.line("")?;
            screen.table(&mut lanes)?;
        }
        let mut windows = Table::new(WINDOWS, wide);
        let open = inspection.shards.iter().filter_map(|s| Some((s, s.window?)));
        let rows: Vec<_> = open.map(|(s, w)| window_row(&s.shard_id, &w)).collect();
        if !rows.is_empty() {
            screen.line("")?;
            rows.into_iter().for_each(|row| windows.row(row));
            screen.table(&mut windows)?;
        }
        Ok(())
    }
}

/// What is known of the mapping as a whole, one fact a line.
fn facts(m: &v1::Mapping) -> Vec<String> {
    let reason = if m.state_reason.is_empty() {
        String::new()
    } else {
        format!(" ({})", m.state_reason)
    };
    let start = m
        .starting_position()
        .as_str_name()
        .trim_start_matches("STARTING_POSITION_")
        .to_owned();
    let start = m
        .starting_position_timestamp
        .as_ref()
        .map_or(start, |t| when::stamp(Some(t)));
    let (created, changed) = (
        when::stamp(m.create_time.as_ref()),
        when::stamp(m.update_time.as_ref()),
    );
    let (runs, etag, uid) = (m.observed_generation, &m.etag, &m.uid);
    let mut facts = vec![
        ("Name", m.name.clone()),
        ("State", format!("{}{reason}", show::state(m))),
        ("Source", m.source_arn.clone()),
        ("Function", function(m)),
    ];
    if !show::of_queue(m) {
        facts.push(("Starts at", start));
    }
    facts.extend([("Batches", batches(m)), ("On failure", on_failure(m))]);
    facts.extend(filters(m).into_iter().map(|filter| ("Filter", filter)));
    facts.extend([
        ("Since start", counters(m.counters.unwrap_or_default())),
        ("Last result", m.last_processing_result.clone()),
        (
            "Version",
            format!(
                "generation {} (runs {runs}), etag {etag}, uid {uid}",
                m.generation
            ),
        ),
        ("Created", format!("{created}, changed {changed}")),
    ]);
    facts.extend(m.conditions.iter().map(|c| {
        let age = when::age(c.since.as_ref());
        ("Condition", format!("{} for {age}: {}", c.r#type, c.message))
    }));
    facts
        .into_iter()
        .map(|(what, value)| format!("{what:<12} {value}"))
        .collect()
}

/// Its name; of one that is not registered here also which one that is.
fn function(m: &v1::Mapping) -> String {
    let (name, arn) = (&m.function, &m.function_arn);
    if arn.is_empty() || name == arn || *arn == manifest::Kind::Function.arn(name) {
        return name.clone();
    }
    format!("{name} ({arn})")
}

fn batches(m: &v1::Mapping) -> String {
    let (records, window) = (m.batch_size(), m.maximum_batching_window_seconds());
    if show::of_queue(m) {
        let most = m.scaling_config.and_then(|c| c.maximum_concurrency);
        let most = most.map_or_else(
            || "as many as load and errors allow".to_owned(),
            |n| n.to_string(),
        );
        return format!("up to {records} messages, window {window} s, at once {most}");
    }
    let lanes = count(usize::try_from(m.parallelization_factor()).unwrap_or(0), "lane");
    let tumbling = match m.tumbling_window_in_seconds() {
        0 => String::new(),
        seconds => format!(", tumbling windows of {seconds} s"),
    };
    format!("up to {records} records, window {window} s, {lanes} per shard{tumbling}")
}

/// A tumbling window that is open.
fn window_row(shard: &str, window: &v1::WindowInspection) -> Vec<String> {
    let ending = match (window.ending, window.terminated_early) {
        (_, true) => "early",
        (true, false) => "yes",
        (false, false) => "no",
    };
    vec![
        shard.to_owned(),
        when::stamp(window.start_time.as_ref()),
        when::stamp(window.end_time.as_ref()),
        format!("{}B", window.state_bytes),
        ending.to_owned(),
    ]
}

/// One line per filter, the last with what becomes of the rest.
fn filters(m: &v1::Mapping) -> Vec<String> {
    let Some(criteria) = &m.filter_criteria else {
        return Vec::new();
    };
    let rest = match criteria.on_unmatched() {
        v1::OnUnmatched::Unspecified | v1::OnUnmatched::Drop => "the rest is dropped",
        v1::OnUnmatched::Keep => "the rest is left in the queue",
        v1::OnUnmatched::Quarantine => "the rest is kept as discards",
    };
    let operators = if criteria.extended {
        ", with operators that Lambda does not have"
    } else {
        ""
    };
    let mut lines: Vec<String> = criteria.filters.iter().map(|f| f.pattern.clone()).collect();
    lines.push(format!("{rest}{operators}"));
    lines
}

fn on_failure(m: &v1::Mapping) -> String {
    let partial = !m.function_response_types.is_empty();
    if show::of_queue(m) {
        return format!("left to the queue and its dead-letter queue, partial responses {partial}");
    }
    let (bisect, retries) = (
        m.bisect_batch_on_function_error(),
        show::unlimited(m.maximum_retry_attempts()),
    );
    let age = match m.maximum_record_age_seconds() {
        seconds if seconds < 0 => "no limit".to_owned(),
        seconds => format!("{seconds} s"),
    };
    let destination = match show::on_failure(m) {
        "" => "none",
        arn => arn,
    };
    format!(
        "bisect {bisect}, retries {retries}, record age {age}, partial responses {partial}, destination {destination}"
    )
}

fn counters(c: v1::MappingCounters) -> String {
    format!(
        "{} records read, {} filtered out, {} done, {} discarded; {} attempts, {} failed, {} throttled; {} splits",
        c.records_read,
        c.records_filtered,
        c.records_done,
        c.records_discarded,
        c.attempts,
        c.failures,
        c.throttles,
        c.splits
    )
}

fn shard_row(shard: &v1::ShardInspection) -> Vec<String> {
    let lease = shard.lease.clone().unwrap_or_default();
    let busy = shard.lanes.iter().filter(|lane| works(lane)).count();
    vec![
        shard.shard_id.clone(),
        shard
            .activity()
            .as_str_name()
            .trim_start_matches("SHARD_ACTIVITY_")
            .to_owned(),
        shard
            .lag_records
            .map_or_else(|| "unknown".to_owned(), |n| n.to_string()),
        shard
            .lag_seconds
            .map_or_else(|| "unknown".to_owned(), |s| format!("{s:.1}s")),
        shard
            .checkpoint
            .as_ref()
            .and_then(|p| p.kind.as_ref())
            .map_or_else(String::new, place),
        format!("{}KiB", shard.buffered_bytes.div_euclid(1024)),
        format!("{busy}/{} busy", shard.lanes.len()),
        shard.last_error.clone(),
        if lease.epoch == 0 {
            String::new()
        } else {
            lease.epoch.to_string()
        },
        shard.read_through.clone(),
        lease.incarnation,
    ]
}

fn place(kind: &Place) -> String {
    match kind {
        Place::TrimHorizon(_) => "start".to_owned(),
        Place::AtSequenceNumber(n) => format!("at {n}"),
        Place::AfterSequenceNumber(n) => format!("after {n}"),
        Place::AtTime(t) => format!("from {}", when::stamp(Some(t))),
        Place::ShardEnd(_) => "end".to_owned(),
    }
}

/// Whether a lane is worth a row: it holds something, or has left something behind.
fn works(lane: &v1::LaneInspection) -> bool {
    lane.batch.is_some() || lane.buffered_records > 0 || lane.lagging
}

fn lane_row(shard: &str, lane: &v1::LaneInspection) -> Vec<String> {
    let batch = lane.batch.clone().unwrap_or_default();
    let next = match (&lane.batch, &batch.next_attempt_time) {
        (None, _) => String::new(),
        (Some(b), _) if b.in_flight => "running".to_owned(),
        (Some(_), Some(time)) => when::until(time),
        (Some(_), None) => "when it can".to_owned(),
    };
    let held = lane.batch.is_some();
    let of_batch = |text: String| if held { text } else { String::new() };
    vec![
        shard.to_owned(),
        lane.lane.to_string(),
        of_batch(batch.record_count.to_string()),
        of_batch(batch.attempt.to_string()),
        next,
        of_batch(format!("{} parts", batch.parts_waiting)),
        lane.buffered_records.to_string(),
        if lane.lagging { "yes" } else { "no" }.to_owned(),
        batch.last_error,
        batch.first_sequence_number,
        batch.last_sequence_number,
        batch.request_id,
        lane.done_through.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::mapping;
    use super::*;

    #[test]
    fn facts_tell_settings_counters_and_conditions() {
        let lines = facts(&mapping("totals", v1::MappingState::Active));
        let text = lines.join("\n");
        for part in [
            "State        ACTIVE",
            "up to 100 records, window 0 s, 4 lanes",
            "retries no limit",
            "1234 done",
            "Condition    FunctionMissing",
            "0 filtered out",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn an_open_window_has_a_row() {
        let window = |ending, terminated_early| v1::WindowInspection {
            start_time: Some(prost_types::Timestamp {
                seconds: 60,
                nanos: 0,
            }),
            end_time: Some(prost_types::Timestamp {
                seconds: 120,
                nanos: 0,
            }),
            state_bytes: 9,
            ending,
            terminated_early,
        };
        for (window, word) in [
            (window(false, false), "no"),
            (window(true, false), "yes"),
            (window(true, true), "early"),
        ] {
            let cells = window_row("s", &window);
            assert_eq!(cells.len(), WINDOWS.narrow.len());
            assert_eq!((cells[3].as_str(), cells[4].as_str()), ("9B", word));
        }
        let mut m = mapping("totals", v1::MappingState::Active);
        m.tumbling_window_in_seconds = Some(120);
        assert!(batches(&m).ends_with("tumbling windows of 120 s"));
    }

    #[test]
    fn rows_fit_their_columns() {
        let lane = v1::LaneInspection {
            lane: 3,
            buffered_records: 20,
            batch: Some(v1::BatchInspection {
                record_count: 5,
                attempt: 2,
                in_flight: true,
                ..Default::default()
            }),
            ..Default::default()
        };
        let cells = lane_row("s", &lane);
        assert_eq!(cells.len(), LANES.narrow.len() + LANES.wide.len());
        assert_eq!(cells[..7], ["s", "3", "5", "2", "running", "0 parts", "20"]);
        let shard = v1::ShardInspection {
            shard_id: "s".to_owned(),
            lanes: vec![lane],
            ..Default::default()
        };
        let cells = shard_row(&shard);
        assert_eq!(cells.len(), SHARDS.narrow.len() + SHARDS.wide.len());
        assert_eq!((cells[2].as_str(), cells[6].as_str()), ("unknown", "1/1 busy"));
    }
}
