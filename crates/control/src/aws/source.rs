//! Which kind of source an ARN names, and what of a request does not go with it (semantics 2.3).

use super::Result;
use super::arn::service;
use super::error::AwsError;
use super::request::{Foreign, MappingRequest};
use millstream_types::arn::SourceKind;
use millstream_types::{QueueName, SourceArn, StreamName};

/// The source of a new mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// One that is read.
    Served(SourceArn),
    /// An ARN that names a source of AWS which is not read, with the reason.
    Unserved {
        /// What is wrong.
        error: AwsError,
        /// What it would be.
        kind: SourceKind,
    },
}

impl Source {
    /// Finds it.
    pub(super) fn of(r: &MappingRequest) -> Result<Self> {
        let foreign = &r.foreign;
        let Some(arn) = r.fixed.source_arn.as_deref().filter(|arn| !arn.is_empty()) else {
            if !foreign.self_managed {
                return Err(AwsError::invalid("Unrecognized event source."));
            }
            kafka(r, "sourceAccessConfigurations")?;
            return Err(not_served(
                "SelfManagedEventSource",
                "a cluster",
                "self-managed Apache Kafka",
            ));
        };
        let found = match service(arn) {
            service @ ("kinesis" | "sqs" | "dynamodb") => match arn.parse::<SourceArn>() {
                Ok(arn) => Self::Served(arn),
                Err(_) => Self::Unserved {
                    error: unreadable(arn),
                    kind: match service {
                        "sqs" => SourceKind::Sqs {
                            fifo: arn.ends_with(".fifo"),
                        },
                        "dynamodb" => SourceKind::DynamoDb,
                        _ => SourceKind::Kinesis,
                    },
                },
            },
            "kafka" => {
                kafka(r, "topics")?;
                return Err(not_served("EventSourceArn", arn, "Amazon MSK"));
            }
            "mq" => return Err(not_served("EventSourceArn", arn, "Amazon MQ")),
            "rds" => return Err(not_served("EventSourceArn", arn, "Amazon DocumentDB")),
            _ => return Err(AwsError::invalid("Unrecognized event source.")),
        };
        of_others(foreign)?;
        if r.logging.is_some() {
            return Err(unsupported("LoggingConfig"));
        }
        Ok(found)
    }

    /// Its kind, for the rules.
    pub(super) fn kind(&self) -> SourceKind {
        match self {
            Self::Served(arn) => arn.kind(),
            Self::Unserved { kind, .. } => *kind,
        }
    }

    /// An ARN to check the rules with, whether or not it is read.
    pub(super) fn stand_in(&self) -> Option<SourceArn> {
        match (self, self.kind()) {
            (Self::Served(arn), _) => Some(arn.clone()),
            (_, SourceKind::Sqs { fifo }) => {
                let name = if fifo { "unread.fifo" } else { "unread" };
                QueueName::new(name)
                    .ok()
                    .map(|name| SourceArn::local_queue(&name))
            }
            _ => StreamName::new("unread")
                .ok()
                .map(|name| SourceArn::local_stream(&name)),
        }
    }

    /// An error unless it is read.
    pub(super) fn served(self) -> Result<SourceArn> {
        match self {
            Self::Served(arn) => Ok(arn),
            Self::Unserved { error, .. } => Err(error),
        }
    }
}

/// What is of other kinds of sources, in the way AWS says it of `selfManagedEventSource`.
pub(super) fn of_others(foreign: &Foreign) -> Result<()> {
    let given = [
        (foreign.self_managed, "selfManagedEventSource"),
        (foreign.source_access, "sourceAccessConfigurations"),
        (foreign.topics.is_some(), "topics"),
    ];
    let camel = |name: &str| {
        name.get(..1).unwrap_or_default().to_ascii_lowercase() + name.get(1..).unwrap_or_default()
    };
    let mut given = given
        .into_iter()
        .filter(|(given, _)| *given)
        .map(|(_, name)| name.to_owned());
    let other = foreign.others.first().map(|name| camel(name));
    match given.next().or(other) {
        Some(name) => Err(AwsError::invalid(format!(
            "Unsupported '{name}' parameter for given event source mapping type."
        ))),
        None => Ok(()),
    }
}

/// AWS's words for a parameter that does not go with the kind of source.
pub(super) fn unsupported(member: &str) -> AwsError {
    AwsError::invalid(format!(
        "Unsupported {member} parameter for given event source mapping type."
    ))
}

/// What Kafka needs; what is asked for first differs by kind.
fn kafka(r: &MappingRequest, first: &str) -> Result<()> {
    let missing = |name: &str| {
        Err(AwsError::invalid(format!(
            "Required '{name}' parameter is missing."
        )))
    };
    if first == "sourceAccessConfigurations" && !r.foreign.source_access {
        return missing(first);
    }
    if r.foreign.topics.is_none() {
        return missing("topics");
    }
    let provisioned = r
        .pollers
        .as_ref()
        .is_some_and(|p| p.minimum.is_some() || p.maximum.is_some());
    if !provisioned && r.metrics.as_ref().is_some_and(|m| !m.is_empty()) {
        return Err(AwsError::invalid(
            "MetricsConfig is only available for Provisioned Mode. Enable Provisioned Mode by specifying MinimumPollers \
             in ProvisionedPollerConfig.",
        ));
    }
    Ok(())
}

fn not_served(field: &str, value: &str, what: &str) -> AwsError {
    let allowed = format!("{what} is not read here; want a stream of Kinesis or DynamoDB, or a queue of SQS");
    AwsError::not_valid(field, value, &allowed)
}

fn unreadable(arn: &str) -> AwsError {
    let allowed = "want arn:aws:kinesis:REGION:ACCOUNT:stream/NAME or arn:aws:sqs:REGION:ACCOUNT:NAME";
    AwsError::not_valid("EventSourceArn", arn, allowed)
}
