//! Waits until mappings have reached a state, for scripts.

use super::{show, wait_queue};
use crate::cli::error::CliError;
use crate::cli::names::{Kind, short};
use crate::cli::session::Session;
use crate::units;
use clap::{Args, ValueEnum};
use millstream_api::v1;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::Code;
use v1::position::Kind as Place;
use v1::read_records_request::Start;
use v1::{MappingState, ShardActivity};

const FIRST_LOOK: Duration = Duration::from_millis(50);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Goal {
    /// It runs as configured.
    Active,
    /// Nothing runs.
    Paused,
    /// It runs, and every record put so far is finished; of a queue: nothing is left in it, be it visible, hidden or
    /// delayed.
    Idle,
    /// It is gone.
    Deleted,
}

/// `wait`.
#[derive(Args, Debug)]
pub(crate) struct Wait {
    /// Which; all of them must get there.
    #[arg(required = true)]
    names: Vec<String>,
    /// What to wait for.
    #[arg(long = "for", value_enum, value_name = "STATE")]
    goal: Goal,
    /// How long at most; the exit code is 124 then.
    #[arg(long, default_value = "60s", value_parser = units::duration, value_name = "DURATION")]
    timeout: Duration,
}

impl Wait {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let deadline = Instant::now() + self.timeout;
        for name in &self.names {
            let name = session.name(Kind::Mapping, name)?;
            self.one(session, &name, deadline).await?;
            let word = format!("{:?}", self.goal).to_lowercase();
            session
                .screen
                .note(&format!("mapping {} is {word}", short(&name)));
        }
        Ok(())
    }

    async fn one(&self, session: &Session, name: &str, deadline: Instant) -> Result<(), CliError> {
        let mut pause = FIRST_LOOK;
        loop {
            let why_not = self.look(session, name).await?;
            let Some(why_not) = why_not else { return Ok(()) };
            if Instant::now() + pause > deadline {
                let waited = units::show_duration(self.timeout);
                let message = format!("after {waited} mapping {} is not there: {why_not}", short(name));
                return Err(CliError::timeout(
                    message,
                    format!("look inside: millstream mapping describe {}", short(name)),
                ));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }

    /// Why the goal is not reached; none if it is.
    async fn look(&self, session: &Session, name: &str) -> Result<Option<String>, CliError> {
        if self.goal == Goal::Idle {
            return not_idle(session, name).await;
        }
        let request = session.request(v1::GetMappingRequest {
            name: name.to_owned(),
        });
        match session.mappings().get_mapping(request).await {
            Ok(answer) => Ok(not_in(self.goal, &answer.into_inner())),
            Err(status) if status.code() == Code::NotFound && self.goal == Goal::Deleted => Ok(None),
            Err(status) => Err(status.into()),
        }
    }
}

fn not_in(goal: Goal, mapping: &v1::Mapping) -> Option<String> {
    let reached = match goal {
        Goal::Active => mapping.state() == MappingState::Active,
        Goal::Paused => mapping.state() == MappingState::Paused,
        Goal::Idle | Goal::Deleted => false,
    };
    (!reached).then(|| format!("it is {}", show::state(mapping)))
}

/// Why records of the mapping's stream are still to be finished; none if all are. The stream is asked what lies
/// behind the checkpoints: the lag that the mapping saw last does not know of a record put a moment ago.
async fn not_idle(session: &Session, name: &str) -> Result<Option<String>, CliError> {
    let request = session.request(v1::InspectMappingRequest {
        name: name.to_owned(),
    });
    let inspection = session.mappings().inspect_mapping(request).await?.into_inner();
    let mapping = inspection.mapping.unwrap_or_default();
    if mapping.state() != MappingState::Active {
        return Ok(Some(format!("it is {}", show::state(&mapping))));
    }
    if show::of_queue(&mapping) {
        return wait_queue::not_idle(session, &mapping, inspection.queue.as_ref()).await;
    }
    let stream = stream_of(&mapping)?;
    let request = session.request(v1::GetStreamRequest { name: stream.clone() });
    let there = session.streams().get_stream(request).await?.into_inner();
    let open = there.shards.iter().filter(|s| s.close_time.is_none());
    if let Some(unknown) = open
        .map(|s| &s.shard_id)
        .find(|id| inspection.shards.iter().all(|i| i.shard_id != **id))
    {
        return Ok(Some(format!("{unknown} is not taken up yet")));
    }
    for shard in &inspection.shards {
        let Some(start) = unfinished_from(shard) else {
            continue;
        };
        let request = session.request(v1::ReadRecordsRequest {
            stream: stream.clone(),
            shard_id: shard.shard_id.clone(),
            start: Some(start),
            page_size: 1,
            page_token: String::new(),
        });
        if !session
            .streams()
            .read_records(request)
            .await?
            .into_inner()
            .records
            .is_empty()
        {
            return Ok(Some(busy(shard)));
        }
    }
    Ok(None)
}

/// The resource name of the stream that a mapping reads.
fn stream_of(mapping: &v1::Mapping) -> Result<String, CliError> {
    let parent = mapping.name.split("/mappings/").next().unwrap_or_default();
    match mapping.source_arn.split_once(":000000000000:stream/") {
        Some((_, stream)) => Ok(format!("{parent}/streams/{stream}")),
        None => Err(CliError::usage(
            format!("{} cannot tell what is left to read", mapping.source_arn),
            "wait for another state, or look at its lag with `mapping describe`",
        )),
    }
}

/// Where a shard's unfinished records start; none if there cannot be any.
fn unfinished_from(shard: &v1::ShardInspection) -> Option<Start> {
    if shard.activity() == ShardActivity::Finished {
        return None;
    }
    match shard.checkpoint.as_ref().and_then(|p| p.kind.clone()) {
        None | Some(Place::TrimHorizon(_)) => Some(Start::TrimHorizon(())),
        Some(Place::AtSequenceNumber(n)) => Some(Start::AtSequenceNumber(n)),
        Some(Place::AfterSequenceNumber(n)) => Some(Start::AfterSequenceNumber(n)),
        Some(Place::AtTime(t)) => Some(Start::AtTime(t)),
        Some(Place::ShardEnd(_)) => None,
    }
}

/// What a shard with unfinished records does.
fn busy(shard: &v1::ShardInspection) -> String {
    let activity = shard
        .activity()
        .as_str_name()
        .trim_start_matches("SHARD_ACTIVITY_");
    let waits = shard
        .lanes
        .iter()
        .filter_map(|lane| lane.batch.as_ref()?.next_attempt_time.as_ref())
        .count();
    let left = shard
        .lag_records
        .map_or_else(|| "records".to_owned(), |n| format!("{n} records"));
    let retries = if waits > 0 {
        format!(", {waits} lanes wait to try again")
    } else {
        String::new()
    };
    format!("{} has {left} to go ({activity}{retries})", shard.shard_id)
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::mapping;
    use super::*;

    #[test]
    fn what_is_left_starts_behind_the_checkpoint() {
        let place = |kind| Some(v1::Position { kind: Some(kind) });
        for (activity, checkpoint, want) in [
            (ShardActivity::Finished, None, None),
            (ShardActivity::Running, None, Some(Start::TrimHorizon(()))),
            (
                ShardActivity::Running,
                place(Place::ShardEnd(v1::ShardEnd {})),
                None,
            ),
            (
                ShardActivity::WaitingForParents,
                place(Place::TrimHorizon(v1::TrimHorizon {})),
                Some(Start::TrimHorizon(())),
            ),
            (
                ShardActivity::Running,
                place(Place::AfterSequenceNumber("7".to_owned())),
                Some(Start::AfterSequenceNumber("7".to_owned())),
            ),
        ] {
            let shard = v1::ShardInspection {
                activity: activity.into(),
                checkpoint,
                ..Default::default()
            };
            assert_eq!(unfinished_from(&shard), want);
        }
    }

    #[test]
    fn the_stream_is_that_of_the_mappings_namespace() {
        let here = mapping("a", MappingState::Active);
        assert_eq!(stream_of(&here).unwrap(), "namespaces/default/streams/flights");
        let source_arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/x".to_owned();
        assert!(stream_of(&v1::Mapping { source_arn, ..here }).is_err());
    }

    #[test]
    fn a_busy_shard_says_what_it_does() {
        let lane = v1::LaneInspection {
            batch: Some(v1::BatchInspection {
                next_attempt_time: Some(prost_types::Timestamp::default()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let shard = v1::ShardInspection {
            shard_id: "s".to_owned(),
            activity: ShardActivity::Running.into(),
            lag_records: Some(7),
            lanes: vec![lane],
            ..Default::default()
        };
        assert_eq!(
            busy(&shard),
            "s has 7 records to go (RUNNING, 1 lanes wait to try again)"
        );
    }
}
