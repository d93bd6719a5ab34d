//! Receives and looks at messages, for people.

use super::message::{PEEKED, RECEIVED, peeked, received};
use crate::cli::error::CliError;
use crate::cli::names::{Kind, short};
use crate::cli::output::{Format, Table, count, to_json, to_yaml};
use crate::cli::paging::PAGE;
use crate::cli::session::Session;
use crate::cli::tally::Tally;
use crate::units::whole_seconds;
use clap::Args;
use millstream_api::v1;
use std::time::Duration;

/// The time of a request besides its wait.
const BESIDES: Duration = Duration::from_secs(10);
/// The longest wait of a queue's own.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

pub(super) const EXAMPLES: &str = "\
Examples:
  millstream queue receive jobs --max 10 --wait 20s
  millstream queue receive jobs --delete --raw
  millstream queue delete-messages jobs $(millstream queue receive jobs --max 10 -o name)";

/// `receive`.
#[derive(Args, Debug)]
pub(crate) struct Receive {
    /// Which queue.
    queue: String,
    /// Most messages, 1 to 10.
    #[arg(long, visible_alias = "max-number-of-messages", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=10))]
    max: i32,
    /// How long to wait for the first, 0 to 20s [default: the queue's own].
    #[arg(long, visible_alias = "wait-time-seconds", value_name = "SECONDS", value_parser = whole_seconds, allow_negative_numbers = true)]
    wait: Option<i32>,
    /// How long they stay hidden, 0 to 12h [default: the queue's own].
    #[arg(long, value_name = "SECONDS", value_parser = whole_seconds, allow_negative_numbers = true)]
    visibility_timeout: Option<i32>,
    /// Delete them once they are printed.
    #[arg(long)]
    delete: bool,
    /// Print the bodies only, as they are, one a line.
    #[arg(long)]
    raw: bool,
}

impl Receive {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let queue = session.name(Kind::Queue, &self.queue)?;
        let asked = self
            .wait
            .and_then(|s| u64::try_from(s).ok())
            .map(Duration::from_secs);
        let message = v1::ReceiveMessagesRequest {
            queue: queue.clone(),
            max_messages: self.max,
            wait_time_seconds: self.wait,
            visibility_timeout_seconds: self.visibility_timeout,
        };
        let within = asked.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT) + BESIDES;
        let request = session.request_within(message, within);
        let response = session.queues().receive_messages(request).await?.into_inner();
        self.show(session, &response)?;
        if response.messages.is_empty() {
            session.screen.note("no message came");
        } else if self.delete {
            delete(session, queue, &response.messages).await?;
        }
        Ok(())
    }

    fn show(&self, session: &mut Session, response: &v1::ReceiveMessagesResponse) -> Result<(), CliError> {
        let screen = &mut session.screen;
        let messages = &response.messages;
        if self.raw {
            return messages.iter().try_for_each(|m| screen.line(&m.body));
        }
        match screen.format() {
            Format::Json => screen.line(&to_json(response, true)?),
            Format::Yaml => screen.line(&to_yaml(response)?),
            Format::Name => messages.iter().try_for_each(|m| screen.line(&m.receipt_handle)),
            Format::Table | Format::Wide if messages.is_empty() => Ok(()),
            format @ (Format::Table | Format::Wide) => {
                let wide = format == Format::Wide;
                let mut table = Table::new(RECEIVED, wide);
                messages.iter().for_each(|m| table.row(received(m, wide)));
                screen.table(&mut table)
            }
        }
    }
}

async fn delete(session: &mut Session, queue: String, messages: &[v1::QueueMessage]) -> Result<(), CliError> {
    let mut tally = Tally::of("message", "deleted");
    let from = format!("from {}", short(&queue));
    let request = session.request(v1::DeleteMessagesRequest {
        queue,
        receipt_handles: messages.iter().map(|m| m.receipt_handle.clone()).collect(),
    });
    let response = session.queues().delete_messages(request).await?.into_inner();
    for result in &response.results {
        tally.add(&result.error_code, &result.error_message);
    }
    session.screen.note(&tally.sentence("deleted", &from));
    tally.verdict()
}

/// `peek`.
#[derive(Args, Debug)]
pub(crate) struct Peek {
    /// Which queue.
    queue: String,
    /// Most messages to show.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Print the bodies only, as they are, one a line.
    #[arg(long)]
    raw: bool,
}

impl Peek {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let queue = session.name(Kind::Queue, &self.queue)?;
        let mut table = Table::new(PEEKED, session.screen.format() == Format::Wide);
        let (mut left, mut token, mut opened) = (self.limit, String::new(), false);
        loop {
            let request = session.request(v1::PeekMessagesRequest {
                queue: queue.clone(),
                page_size: i32::try_from(left).unwrap_or(PAGE).min(PAGE),
                page_token: token,
            });
            let page = session.queues().peek_messages(request).await?.into_inner();
            left = left.saturating_sub(page.messages.len() as u64);
            for message in &page.messages {
                self.show(session, message, &mut table)?;
            }
            // The first page decides how wide the columns are.
            let head = !page.messages.is_empty() && !std::mem::replace(&mut opened, true);
            if head && session.screen.format().is_table() && !self.raw {
                session.screen.line(&table.head_line())?;
            }
            session.screen.rows(&mut table)?;
            token = page.next_page_token;
            if left == 0 || token.is_empty() {
                break;
            }
        }
        if left == self.limit {
            session.screen.note("nothing found");
        } else if left == 0 && !token.is_empty() {
            let shown = count(usize::try_from(self.limit).unwrap_or(usize::MAX), "message");
            session
                .screen
                .note(&format!("stopped at {shown}: there are more, raise --limit"));
        }
        Ok(())
    }

    fn show(
        &self,
        session: &mut Session,
        message: &v1::QueueMessage,
        table: &mut Table,
    ) -> Result<(), CliError> {
        let screen = &mut session.screen;
        if self.raw {
            return screen.line(&message.body);
        }
        match screen.format() {
            Format::Json => screen.line(&to_json(message, false)?),
            Format::Yaml => screen.line(&to_yaml(message)?),
            Format::Name => screen.line(&message.message_id),
            format @ (Format::Table | Format::Wide) => {
                table.row(peeked(message, format == Format::Wide));
                Ok(())
            }
        }
    }
}
