//! Waits until mappings have reached a state, for scripts.

use super::show;
use crate::cli::error::CliError;
use crate::cli::names::{Kind, short};
use crate::cli::session::Session;
use crate::units;
use clap::{Args, ValueEnum};
use millstream_api::v1;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::Code;
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
    /// It runs, and every record put so far is finished.
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
            let request = session.request(v1::InspectMappingRequest {
                name: name.to_owned(),
            });
            return Ok(not_idle(
                &session.mappings().inspect_mapping(request).await?.into_inner(),
            ));
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

fn not_idle(inspection: &v1::MappingInspection) -> Option<String> {
    let mapping = inspection.mapping.clone().unwrap_or_default();
    if mapping.state() != MappingState::Active {
        return Some(format!("it is {}", show::state(&mapping)));
    }
    if inspection.shards.is_empty() {
        return Some("its shards are not known yet".to_owned());
    }
    inspection.shards.iter().find_map(busy)
}

/// What keeps a shard from being idle; none if nothing does.
fn busy(shard: &v1::ShardInspection) -> Option<String> {
    let is = |text: String| Some(format!("{} {text}", shard.shard_id));
    match (shard.activity(), shard.lag_records) {
        (ShardActivity::Finished, _) => None,
        (ShardActivity::Running, Some(0)) => shard
            .lanes
            .iter()
            .any(|lane| lane.batch.is_some() || lane.buffered_records > 0)
            .then(|| format!("{} has a batch at work", shard.shard_id)),
        (ShardActivity::Running, Some(n)) => is(format!("has {n} records to go")),
        (ShardActivity::Running, None) => is("does not know its lag yet".to_owned()),
        (activity, _) => is(format!(
            "is {}",
            activity.as_str_name().trim_start_matches("SHARD_ACTIVITY_")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::mapping;
    use super::*;

    fn shard(activity: ShardActivity, lag: Option<i64>, buffered: i32) -> v1::ShardInspection {
        v1::ShardInspection {
            shard_id: "s".to_owned(),
            activity: activity.into(),
            lag_records: lag,
            lanes: vec![v1::LaneInspection {
                buffered_records: buffered,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn idle_means_active_and_nothing_left_in_any_shard() {
        use ShardActivity::{Finished, Restarting, Running};
        for (state, shards, want) in [
            (
                MappingState::Active,
                vec![shard(Running, Some(0), 0), shard(Finished, None, 0)],
                None,
            ),
            (
                MappingState::Paused,
                vec![shard(Running, Some(0), 0)],
                Some("it is PAUSED"),
            ),
            (MappingState::Active, vec![], Some("not known yet")),
            (
                MappingState::Active,
                vec![shard(Running, Some(7), 0)],
                Some("7 records to go"),
            ),
            (
                MappingState::Active,
                vec![shard(Running, None, 0)],
                Some("does not know its lag"),
            ),
            (
                MappingState::Active,
                vec![shard(Running, Some(0), 1)],
                Some("a batch at work"),
            ),
            (
                MappingState::Active,
                vec![shard(Restarting, Some(0), 0)],
                Some("is RESTARTING"),
            ),
        ] {
            let got = not_idle(&v1::MappingInspection {
                mapping: Some(mapping("a", state)),
                shards,
            });
            match (got, want) {
                (None, None) => {}
                (Some(got), Some(want)) => assert!(got.contains(want), "{got}"),
                (got, want) => panic!("{got:?}, wanted {want:?}"),
            }
        }
    }
}
