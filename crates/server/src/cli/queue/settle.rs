//! What is done with received messages: delete, change of visibility.

use super::MAX_MESSAGES;
use crate::cli::error::CliError;
use crate::cli::names::{Kind, short};
use crate::cli::output::{Format, Shown, to_json, to_yaml};
use crate::cli::session::Session;
use crate::cli::tally::Tally;
use crate::units::{show_duration, whole_seconds};
use clap::Args;
use millstream_api::v1;
use std::time::Duration;

/// `delete-messages`.
#[derive(Args, Debug)]
pub(crate) struct DeleteMessages {
    /// Which queue.
    queue: String,
    /// Their receipt handles, as `receive -o name` prints them.
    #[arg(required = true, value_name = "RECEIPT-HANDLE")]
    receipt_handles: Vec<String>,
}

impl DeleteMessages {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let queue = session.name(Kind::Queue, &self.queue)?;
        let mut tally = Tally::of("message", "deleted");
        for receipts in self.receipt_handles.chunks(MAX_MESSAGES) {
            let request = session.request(v1::DeleteMessagesRequest {
                queue: queue.clone(),
                receipt_handles: receipts.to_vec(),
            });
            let response = session.queues().delete_messages(request).await?.into_inner();
            answered(session, &response, &response.results, receipts, &mut tally)?;
        }
        let sentence = tally.sentence("deleted", &format!("from {}", short(&queue)));
        ended(session, &tally, &sentence)
    }
}

/// `change-visibility`.
#[derive(Args, Debug)]
pub(crate) struct ChangeVisibility {
    /// Which queue.
    queue: String,
    /// Their receipt handles, as `receive -o name` prints them.
    #[arg(required = true, value_name = "RECEIPT-HANDLE")]
    receipt_handles: Vec<String>,
    /// How long they stay hidden from now, 0 to 12h.
    #[arg(long, visible_alias = "visibility-timeout", value_name = "SECONDS", value_parser = whole_seconds, allow_negative_numbers = true)]
    timeout: i32,
}

impl ChangeVisibility {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let queue = session.name(Kind::Queue, &self.queue)?;
        let mut tally = Tally::of("message", "changed");
        for receipts in self.receipt_handles.chunks(MAX_MESSAGES) {
            let entry = |receipt: &String| v1::ChangeMessageVisibilityEntry {
                receipt_handle: receipt.clone(),
                visibility_timeout_seconds: self.timeout,
            };
            let request = session.request(v1::ChangeMessageVisibilityRequest {
                queue: queue.clone(),
                entries: receipts.iter().map(entry).collect(),
            });
            let response = session
                .queues()
                .change_message_visibility(request)
                .await?
                .into_inner();
            answered(session, &response, &response.results, receipts, &mut tally)?;
        }
        let sentence = match u64::try_from(self.timeout) {
            Ok(0) => tally.sentence("showed", &format!("in {} again", short(&queue))),
            hidden => {
                let hidden = show_duration(Duration::from_secs(hidden.unwrap_or_default()));
                tally.sentence("hid", &format!("in {} for {hidden} from now", short(&queue)))
            }
        };
        ended(session, &tally, &sentence)
    }
}

/// Counts the results of a request, and shows its answer in the forms of programs.
fn answered<M: Shown>(
    session: &mut Session,
    response: &M,
    results: &[v1::MessageResult],
    receipts: &[String],
    tally: &mut Tally,
) -> Result<(), CliError> {
    for result in results {
        tally.add(&result.error_code, &result.error_message);
    }
    let screen = &mut session.screen;
    match screen.format() {
        Format::Json => screen.line(&to_json(response, false)?),
        Format::Yaml => screen.line(&to_yaml(response)?),
        Format::Name => {
            let worked = receipts
                .iter()
                .zip(results)
                .filter(|(_, r)| r.error_code.is_empty());
            worked
                .map(|(receipt, _)| receipt)
                .try_for_each(|r| screen.line(r))
        }
        Format::Table | Format::Wide => Ok(()),
    }
}

fn ended(session: &mut Session, tally: &Tally, sentence: &str) -> Result<(), CliError> {
    if session.screen.format().is_table() && tally.done() > 0 {
        session.screen.note(sentence);
    }
    tally.verdict()
}
