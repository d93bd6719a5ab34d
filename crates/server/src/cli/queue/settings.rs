//! The settings of a queue as flags, named as in `proto/`, with short forms.

use crate::cli::error::CliError;
use crate::units::{size, whole_seconds};
use clap::{Args, ValueEnum};
use millstream_api::v1;

const HEADING: &str = "Settings";

/// What create and update both can set.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Settings {
    /// How long a received message stays hidden, 0 to 12h [default: 30s].
    #[arg(long, visible_alias = "visibility-timeout", value_name = "SECONDS", value_parser = whole_seconds, help_heading = HEADING, allow_negative_numbers = true)]
    visibility_timeout_seconds: Option<i32>,
    /// How long a message that nobody deletes is kept, 60s to 14d [default: 4d].
    #[arg(long, visible_alias = "retention", value_name = "SECONDS", value_parser = whole_seconds, help_heading = HEADING, allow_negative_numbers = true)]
    message_retention_seconds: Option<i32>,
    /// How long a new message stays hidden unless it says otherwise, 0 to 15m [default: 0].
    #[arg(long, visible_alias = "delay", value_name = "SECONDS", value_parser = whole_seconds, help_heading = HEADING, allow_negative_numbers = true)]
    delay_seconds: Option<i32>,
    /// How long a receive waits unless it says otherwise, 0 to 20s [default: 0].
    #[arg(long, visible_alias = "wait-time", value_name = "SECONDS", value_parser = whole_seconds, help_heading = HEADING, allow_negative_numbers = true)]
    receive_wait_time_seconds: Option<i32>,
    /// Longest message with its attributes, 1KiB to 1MiB [default: 1MiB].
    #[arg(long, visible_alias = "max-message-bytes", value_name = "SIZE", value_parser = message_bytes, help_heading = HEADING)]
    maximum_message_bytes: Option<i32>,
    /// Where a message goes that was received too often, a queue of the same kind [default: nowhere].
    #[arg(long, value_name = "QUEUE", help_heading = HEADING)]
    dead_letter_queue: Option<String>,
    /// How often a message is received before it goes there, 1 to 1000.
    #[arg(long, value_name = "N", help_heading = HEADING, allow_negative_numbers = true)]
    max_receive_count: Option<i32>,
    /// FIFO only: the body's SHA-256 is the deduplication id of a message sent without one [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = HEADING)]
    content_based_deduplication: Option<bool>,
    /// FIFO only: within what deduplication ids are compared [default: queue].
    #[arg(long, value_enum, value_name = "SCOPE", help_heading = HEADING)]
    deduplication_scope: Option<Scope>,
}

/// Within what deduplication ids are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // their names say it
pub(crate) enum Scope {
    Queue,
    MessageGroup,
}

/// A setting that can go back to its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)] // named as the flags
pub(crate) enum Unset {
    #[value(alias = "visibility-timeout")]
    VisibilityTimeoutSeconds,
    #[value(alias = "retention")]
    MessageRetentionSeconds,
    #[value(alias = "delay")]
    DelaySeconds,
    #[value(alias = "wait-time")]
    ReceiveWaitTimeSeconds,
    #[value(alias = "max-message-bytes")]
    MaximumMessageBytes,
    #[value(alias = "redrive-policy")]
    DeadLetterQueue,
    ContentBasedDeduplication,
    DeduplicationScope,
}

impl Unset {
    /// Its path in an update mask.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::VisibilityTimeoutSeconds => "visibility_timeout_seconds",
            Self::MessageRetentionSeconds => "message_retention_seconds",
            Self::DelaySeconds => "delay_seconds",
            Self::ReceiveWaitTimeSeconds => "receive_wait_time_seconds",
            Self::MaximumMessageBytes => "maximum_message_bytes",
            Self::DeadLetterQueue => "redrive_policy",
            Self::ContentBasedDeduplication => "content_based_deduplication",
            Self::DeduplicationScope => "deduplication_scope",
        }
    }
}

impl Settings {
    /// The two halves of a redrive policy, which a new queue has both of or none.
    ///
    /// # Errors
    /// If one is missing.
    pub(crate) fn check_new(&self) -> Result<(), CliError> {
        match (&self.dead_letter_queue, self.max_receive_count) {
            (Some(_), None) => Err(CliError::usage(
                "--dead-letter-queue is set and --max-receive-count is not",
                "say how often a message is received before it goes there, e.g. --max-receive-count 5",
            )),
            (None, Some(_)) => Err(CliError::usage(
                "--max-receive-count is set and --dead-letter-queue is not",
                "say where such messages go: --dead-letter-queue QUEUE",
            )),
            _ => Ok(()),
        }
    }

    /// Puts what is set into `queue`, and names it for an update mask.
    pub(crate) fn apply(&self, queue: &mut v1::Queue) -> Vec<&'static str> {
        queue.visibility_timeout_seconds = self.visibility_timeout_seconds;
        queue.message_retention_seconds = self.message_retention_seconds;
        queue.delay_seconds = self.delay_seconds;
        queue.receive_wait_time_seconds = self.receive_wait_time_seconds;
        queue.maximum_message_bytes = self.maximum_message_bytes;
        queue.content_based_deduplication = self.content_based_deduplication;
        let scope = self.deduplication_scope.map(|scope| match scope {
            Scope::Queue => v1::DeduplicationScope::Queue,
            Scope::MessageGroup => v1::DeduplicationScope::MessageGroup,
        });
        queue.set_deduplication_scope(scope.unwrap_or_default());
        if self.dead_letter_queue.is_some() || self.max_receive_count.is_some() {
            queue.redrive_policy = Some(v1::RedrivePolicy {
                dead_letter_queue: self.dead_letter_queue.clone().unwrap_or_default(),
                max_receive_count: self.max_receive_count.unwrap_or_default(),
            });
        }
        self.mask()
    }

    fn mask(&self) -> Vec<&'static str> {
        // One half of the policy alone leaves the other as it is.
        let (redrive, queue, count) = match (&self.dead_letter_queue, self.max_receive_count) {
            (Some(_), Some(_)) => (true, false, false),
            (queue, count) => (false, queue.is_some(), count.is_some()),
        };
        let set = [
            (
                self.visibility_timeout_seconds.is_some(),
                Unset::VisibilityTimeoutSeconds.path(),
            ),
            (
                self.message_retention_seconds.is_some(),
                Unset::MessageRetentionSeconds.path(),
            ),
            (self.delay_seconds.is_some(), Unset::DelaySeconds.path()),
            (
                self.receive_wait_time_seconds.is_some(),
                Unset::ReceiveWaitTimeSeconds.path(),
            ),
            (
                self.maximum_message_bytes.is_some(),
                Unset::MaximumMessageBytes.path(),
            ),
            (redrive, Unset::DeadLetterQueue.path()),
            (queue, "redrive_policy.dead_letter_queue"),
            (count, "redrive_policy.max_receive_count"),
            (
                self.content_based_deduplication.is_some(),
                Unset::ContentBasedDeduplication.path(),
            ),
            (
                self.deduplication_scope.is_some(),
                Unset::DeduplicationScope.path(),
            ),
        ];
        set.into_iter()
            .filter(|(set, _)| *set)
            .map(|(_, path)| path)
            .collect()
    }
}

fn message_bytes(text: &str) -> Result<i32, String> {
    i32::try_from(size(text)?).map_err(|_| format!("'{text}' is too much: 1KiB to 1MiB"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
        #[arg(long, value_enum, value_delimiter = ',')]
        unset: Vec<Unset>,
    }

    fn parse(line: &str) -> Line {
        Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).unwrap()
    }

    fn applied(line: &str) -> (v1::Queue, Vec<&'static str>) {
        let mut queue = v1::Queue::default();
        let mask = parse(line).settings.apply(&mut queue);
        (queue, mask)
    }

    #[test]
    fn only_what_is_set_is_in_queue_and_mask() {
        assert_eq!(applied(""), (v1::Queue::default(), vec![]));
        let (queue, mask) = applied(
            "--visibility-timeout 1m --retention 2d --delay 5 --wait-time 20s --max-message-bytes 2KiB \
             --dead-letter-queue dead --max-receive-count 3 --content-based-deduplication=false \
             --deduplication-scope message-group",
        );
        let want = v1::Queue {
            visibility_timeout_seconds: Some(60),
            message_retention_seconds: Some(172_800),
            delay_seconds: Some(5),
            receive_wait_time_seconds: Some(20),
            maximum_message_bytes: Some(2_048),
            redrive_policy: Some(v1::RedrivePolicy {
                dead_letter_queue: "dead".to_owned(),
                max_receive_count: 3,
            }),
            content_based_deduplication: Some(false),
            deduplication_scope: v1::DeduplicationScope::MessageGroup.into(),
            ..Default::default()
        };
        assert_eq!(queue, want);
        let every: Vec<_> = Unset::value_variants().iter().map(|u| u.path()).collect();
        assert_eq!(mask, every);
    }

    #[test]
    fn half_a_redrive_policy_is_a_change_and_no_beginning() {
        let (queue, mask) = applied("--max-receive-count 9");
        assert_eq!(mask, ["redrive_policy.max_receive_count"]);
        assert_eq!(queue.redrive_policy.unwrap().max_receive_count, 9);
        assert_eq!(
            applied("--dead-letter-queue d").1,
            ["redrive_policy.dead_letter_queue"]
        );
        for (line, ok) in [
            ("", true),
            ("--max-receive-count 9", false),
            ("--dead-letter-queue d", false),
            ("--dead-letter-queue d --max-receive-count 9", true),
        ] {
            assert_eq!(parse(line).settings.check_new().is_ok(), ok, "{line}");
        }
    }

    #[test]
    fn settings_are_unset_by_their_names_and_short_names() {
        let unset = parse("--unset delay,redrive-policy,dead-letter-queue,visibility-timeout-seconds").unset;
        assert_eq!(
            unset,
            [
                Unset::DelaySeconds,
                Unset::DeadLetterQueue,
                Unset::DeadLetterQueue,
                Unset::VisibilityTimeoutSeconds
            ]
        );
    }
}
