//! What a function under development needs on its server: itself, what feeds it, and the mappings between.

use crate::cli::error::CliError;
use crate::cli::function::Settings as FunctionSettings;
use crate::cli::mapping::Settings as MappingSettings;
use crate::cli::names::{Kind, queue_arn, short, stream_arn};
use crate::cli::session::Session;
use millstream_api::v1;
use prost_types::FieldMask;
use tonic::Code;

/// A queue hides messages for so many times the function's timeout, as AWS advises; and at least for its default.
const VISIBILITY_FACTOR: u64 = 6;
const LEAST_VISIBILITY: u64 = 30;
const MOST_VISIBILITY: u64 = 43_200;

/// What feeds the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A stream, by its name; none for the function's.
    Stream(Option<String>),
    /// A queue, by its name.
    Queue(String),
    /// The function's own queue, and whether it is a FIFO queue.
    OwnQueue {
        /// Whether it is one.
        fifo: bool,
    },
    /// Whatever this is.
    Arn(String),
}

impl Source {
    /// Reads what people write.
    ///
    /// # Errors
    /// What may be written.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let of = |name: &str| (!name.is_empty() && !name.contains(['/', ':'])).then(|| name.to_owned());
        let (kind, name) = text.split_once('/').unwrap_or((text, ""));
        let found = match (kind, of(name)) {
            ("stream", Some(name)) => Some(Self::Stream(Some(name))),
            ("queue", Some(name)) => Some(Self::Queue(name)),
            _ => match text {
                "stream" => Some(Self::Stream(None)),
                "queue" => Some(Self::OwnQueue { fifo: false }),
                "queue.fifo" => Some(Self::OwnQueue { fifo: true }),
                arn if arn.starts_with("arn:") => Some(Self::of_arn(arn)),
                _ => None,
            },
        };
        found.ok_or_else(|| "stream, queue, queue.fifo, stream/NAME, queue/NAME, or an ARN".to_owned())
    }

    /// Streams and queues of the built-in broker are made like those that are named.
    fn of_arn(arn: &str) -> Self {
        let stream = arn.strip_prefix(&stream_arn(""));
        let queue = arn.strip_prefix(&queue_arn(""));
        match (stream, queue) {
            (Some(name), _) => Self::Stream(Some(name.to_owned())),
            (None, Some(name)) => Self::Queue(name.to_owned()),
            (None, None) => Self::Arn(arn.to_owned()),
        }
    }

    /// Its name, if it is one of the built-in broker's: of a queue first.
    fn queue(&self, function: &str) -> Option<String> {
        match self {
            Self::Queue(name) => Some(name.clone()),
            Self::OwnQueue { fifo: false } => Some(function.to_owned()),
            Self::OwnQueue { fifo: true } => Some(format!("{function}.fifo")),
            Self::Stream(_) | Self::Arn(_) => None,
        }
    }

    fn stream(&self, function: &str) -> Option<String> {
        match self {
            Self::Stream(name) => Some(name.clone().unwrap_or_else(|| function.to_owned())),
            _ => None,
        }
    }

    fn arn(&self, function: &str) -> String {
        match (self, self.stream(function), self.queue(function)) {
            (Self::Arn(arn), ..) => arn.clone(),
            (_, Some(stream), _) => stream_arn(&stream),
            (.., queue) => queue_arn(&queue.unwrap_or_default()),
        }
    }

    /// What its mapping is called: `stream-NAME` or `queue-NAME`, in the letters that mappings' names may have.
    fn mapping(&self, function: &str) -> String {
        let arn = self.arn(function);
        let kind = if arn.contains(":sqs:") { "queue" } else { "stream" };
        let name = short(&arn).to_ascii_lowercase();
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let mut name = format!("{kind}-{name}");
        // Longest name of a mapping; all of it is ASCII.
        name.truncate(63);
        name.trim_end_matches('-').to_owned()
    }
}

/// Registers the function, or changes the one that is there; a line that says so.
///
/// # Errors
/// The server's.
pub(super) async fn function(
    session: &Session,
    name: &str,
    settings: &FunctionSettings,
) -> Result<String, CliError> {
    let mut function = v1::Function::default();
    let paths = settings.apply(&mut function)?;
    let create = v1::CreateFunctionRequest {
        parent: session.parent(),
        function_id: name.to_owned(),
        function: Some(function.clone()),
        request_id: String::new(),
        validate_only: false,
    };
    let made = session.functions().create_function(session.request(create)).await;
    match made {
        Ok(_) => return Ok(format!("function {name}")),
        Err(status) if status.code() == Code::AlreadyExists => {}
        Err(status) => return Err(status.into()),
    }
    function.name = session.name(Kind::Function, name)?;
    // The whole target: nothing of an earlier program stays.
    let whole = paths.iter().map(|path| match path.split_once('.') {
        Some((target, _)) => target,
        None => path,
    });
    let mut paths: Vec<String> = whole.map(str::to_owned).collect();
    paths.dedup();
    let update = v1::UpdateFunctionRequest {
        function: Some(function),
        update_mask: Some(FieldMask { paths }),
        validate_only: false,
    };
    session
        .functions()
        .update_function(session.request(update))
        .await?;
    Ok(format!("function {name}, as told now"))
}

/// Makes the stream or queue if it is one of the built-in broker's and is missing. A new queue hides messages long enough
/// for a function with this timeout, in seconds.
///
/// # Errors
/// The server's.
pub(super) async fn source(
    session: &Session,
    source: &Source,
    function: &str,
    timeout: u64,
) -> Result<Option<String>, CliError> {
    let parent = session.parent();
    let (made, what) = if let Some(name) = source.stream(function) {
        let what = format!("stream {name}");
        let request = session.request(v1::CreateStreamRequest {
            parent,
            stream_id: name,
            stream: Some(v1::Stream::default()),
            validate_only: false,
        });
        (session.streams().create_stream(request).await.map(drop), what)
    } else if let Some(name) = source.queue(function) {
        let what = format!("queue {name}");
        let hidden = timeout
            .saturating_mul(VISIBILITY_FACTOR)
            .clamp(LEAST_VISIBILITY, MOST_VISIBILITY);
        let request = session.request(v1::CreateQueueRequest {
            parent,
            queue_id: name,
            queue: Some(v1::Queue {
                visibility_timeout_seconds: i32::try_from(hidden).ok(),
                ..Default::default()
            }),
            validate_only: false,
        });
        (session.queues().create_queue(request).await.map(drop), what)
    } else {
        return Ok(None);
    };
    match made {
        Ok(()) => Ok(Some(what)),
        Err(status) if status.code() == Code::AlreadyExists => Ok(Some(format!("{what}, as it was"))),
        Err(status) => Err(status.into()),
    }
}

/// Maps the source to the function; one that is mapped already gets the settings that are told now, and keeps all others.
///
/// # Errors
/// The server's.
pub(super) async fn mapping(
    session: &Session,
    source: &Source,
    function: &str,
    settings: &MappingSettings,
) -> Result<String, CliError> {
    let name = source.mapping(function);
    let mut mapping = v1::Mapping {
        source_arn: source.arn(function),
        function: function.to_owned(),
        ..Default::default()
    };
    if name.starts_with("stream-") {
        mapping.starting_position = v1::StartingPosition::TrimHorizon.into();
    }
    let told = settings.apply(&mut mapping);
    let request = session.request(v1::CreateMappingRequest {
        parent: session.parent(),
        mapping_id: name.clone(),
        mapping: Some(mapping.clone()),
        request_id: String::new(),
        validate_only: false,
    });
    match session.mappings().create_mapping(request).await {
        Ok(_) => return Ok(format!("mapping {name}")),
        Err(status) if status.code() == Code::AlreadyExists => {}
        Err(status) => return Err(status.into()),
    }
    // What is told now holds, and what is not told stays. A mapping of another source that has this name is refused by
    // the server, one of another function is turned to this one.
    mapping.name = session.name(Kind::Mapping, &name)?;
    let paths = ["source_arn", "function"].into_iter().chain(told.iter().copied());
    let update = v1::UpdateMappingRequest {
        update_mask: Some(FieldMask {
            paths: paths.map(str::to_owned).collect(),
        }),
        mapping: Some(mapping),
        validate_only: false,
    };
    session.mappings().update_mapping(session.request(update)).await?;
    Ok(match told.is_empty() {
        true => format!("mapping {name}, as it was"),
        false => format!("mapping {name}, as told now"),
    })
}

/// Has the function's next invocations run in new processes; its generation from then on.
///
/// # Errors
/// The server's.
pub(super) async fn restart(session: &Session, function: &str) -> Result<i64, CliError> {
    let request = session.request(v1::RestartFunctionRequest {
        name: session.name(Kind::Function, function)?,
        etag: String::new(),
    });
    let restarted = session.functions().restart_function(request).await?;
    Ok(restarted.into_inner().generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_written_in_many_ways() {
        for (text, arn, mapping) in [
            ("stream", stream_arn("f"), "stream-f"),
            ("queue", queue_arn("f"), "queue-f"),
            ("queue.fifo", queue_arn("f.fifo"), "queue-f-fifo"),
            ("stream/Orders_1", stream_arn("Orders_1"), "stream-orders-1"),
            ("queue/jobs.fifo", queue_arn("jobs.fifo"), "queue-jobs-fifo"),
            (
                "arn:aws:sqs:us-east-1:000000000000:jobs",
                queue_arn("jobs"),
                "queue-jobs",
            ),
            (
                "arn:aws:kinesis:eu-west-1:123456789012:stream/s",
                "arn:aws:kinesis:eu-west-1:123456789012:stream/s".to_owned(),
                "stream-s",
            ),
        ] {
            let source = Source::parse(text).unwrap();
            assert_eq!(
                (source.arn("f"), source.mapping("f").as_str()),
                (arn, mapping),
                "{text}"
            );
        }
        for text in ["", "topic", "stream/", "queue/a/b", "orders"] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_the_broker_has_is_made() {
        let source = |text: &str| Source::parse(text).unwrap();
        assert_eq!(source("queue.fifo").queue("f").as_deref(), Some("f.fifo"));
        assert_eq!(
            source("arn:aws:sqs:us-east-1:000000000000:jobs")
                .queue("f")
                .as_deref(),
            Some("jobs")
        );
        let elsewhere = source("arn:aws:sqs:eu-west-1:123456789012:jobs");
        assert_eq!((elsewhere.queue("f"), elsewhere.stream("f")), (None, None));
    }
}
