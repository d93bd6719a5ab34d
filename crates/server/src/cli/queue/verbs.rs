//! Create, get, list, describe, update, delete, purge.

use super::settings::{Settings, Unset};
use super::show;
use crate::cli::confirm::Confirm;
use crate::cli::error::CliError;
use crate::cli::names::{Kind, short};
use crate::cli::output::{Format, to_json, to_yaml};
use crate::cli::paging;
use crate::cli::session::Session;
use clap::Args;
use millstream_api::v1;

/// `create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// What to call it: letters, digits, hyphens and underscores; .fifo at the end makes it a FIFO queue.
    name: String,
    #[command(flatten)]
    settings: Settings,
    /// Check everything, create nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Create {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.settings.check_new()?;
        // A whole name is taken too, so that what -o name prints can be used.
        let name = session.name(Kind::Queue, &self.name)?;
        let mut queue = v1::Queue::default();
        self.settings.apply(&mut queue);
        let request = v1::CreateQueueRequest {
            parent: session.parent(),
            queue_id: short(&name).to_owned(),
            queue: Some(queue),
            validate_only: self.dry_run,
        };
        let made = session.queues().create_queue(session.request(request)).await?;
        done(session, &made.into_inner(), "created", self.dry_run)
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
        let mut queues = Vec::new();
        for name in &self.names {
            queues.push(get(session, name).await?);
        }
        match &queues[..] {
            [one] => session
                .screen
                .show(one, &[&one.name], show::COLUMNS, [show::row(one)]),
            _ => list(session, queues),
        }
    }
}

async fn get(session: &Session, name: &str) -> Result<v1::Queue, CliError> {
    let name = session.name(Kind::Queue, name)?;
    let request = session.request(v1::GetQueueRequest { name });
    Ok(session.queues().get_queue(request).await?.into_inner())
}

/// `list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Most queues to show; 0: all.
    #[arg(long, default_value_t = 0)]
    limit: usize,
}

impl List {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let (queues, more) = paging::collect(self.limit, |page_token| {
            let request = session.request(v1::ListQueuesRequest {
                parent: session.parent(),
                page_size: paging::PAGE,
                page_token,
            });
            let mut client = session.queues();
            async move {
                let page = client.list_queues(request).await?.into_inner();
                Ok((page.queues, page.next_page_token))
            }
        })
        .await?;
        list(session, queues)?;
        if more {
            session.screen.note("there are more: raise --limit");
        }
        Ok(())
    }
}

fn list(session: &mut Session, queues: Vec<v1::Queue>) -> Result<(), CliError> {
    let rows: Vec<_> = queues.iter().map(show::row).collect();
    let response = v1::ListQueuesResponse {
        queues,
        next_page_token: String::new(),
    };
    let names: Vec<&str> = response.queues.iter().map(|q| q.name.as_str()).collect();
    session.screen.show(&response, &names, show::COLUMNS, rows)
}

/// `describe`.
#[derive(Args, Debug)]
pub(crate) struct Describe {
    /// Which.
    name: String,
}

impl Describe {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let queue = get(session, &self.name).await?;
        let screen = &mut session.screen;
        match screen.format() {
            Format::Json => screen.line(&to_json(&queue, true)?),
            Format::Yaml => screen.line(&to_yaml(&queue)?),
            Format::Name => screen.line(&queue.name),
            Format::Table | Format::Wide => show::facts(&queue).iter().try_for_each(|line| screen.line(line)),
        }
    }
}

/// `update`.
#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Which.
    name: String,
    #[command(flatten)]
    settings: Settings,
    /// Settings that go back to their defaults, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SETTING")]
    unset: Vec<Unset>,
    /// Change only this version.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Check everything, change nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Update {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let mut queue = v1::Queue {
            name: session.name(Kind::Queue, &self.name)?,
            etag: self.etag.clone(),
            ..Default::default()
        };
        let update_mask = Some(prost_types::FieldMask {
            paths: self.paths(&mut queue)?,
        });
        let request = session.request(v1::UpdateQueueRequest {
            queue: Some(queue),
            update_mask,
            validate_only: self.dry_run,
        });
        let changed = session.queues().update_queue(request).await?.into_inner();
        done(session, &changed, "updated", self.dry_run)
    }

    /// Puts what is set into `queue`; what is set and unset.
    fn paths(&self, queue: &mut v1::Queue) -> Result<Vec<String>, CliError> {
        let mut paths = self.settings.apply(queue);
        let set = |unset: &&Unset| paths.iter().any(|path| path.starts_with(unset.path()));
        if let Some(both) = self.unset.iter().find(set) {
            return Err(CliError::usage(
                format!("{} is both set and unset", both.path()),
                "leave one of them out",
            ));
        }
        paths.extend(self.unset.iter().map(|u| u.path()));
        if paths.is_empty() {
            return Err(CliError::usage(
                "nothing to change",
                "name settings, e.g. --visibility-timeout 60s; --help lists them",
            ));
        }
        Ok(paths.into_iter().map(str::to_owned).collect())
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
            "delete queue {} with all its messages",
            self.names.join(", ")
        ))?;
        for name in &self.names {
            let name = session.name(Kind::Queue, name)?;
            let request = session.request(v1::DeleteQueueRequest {
                name: name.clone(),
                etag: self.etag.clone(),
            });
            session.queues().delete_queue(request).await?;
            let sentence = format!("queue {} deleted", short(&name));
            session.screen.gone(&name, &sentence)?;
        }
        Ok(())
    }
}

/// `purge`.
#[derive(Args, Debug)]
pub(crate) struct Purge {
    /// Which.
    #[arg(required = true)]
    names: Vec<String>,
    #[command(flatten)]
    confirm: Confirm,
}

impl Purge {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.confirm
            .ask(&format!("remove all messages of queue {}", self.names.join(", ")))?;
        for name in &self.names {
            let name = session.name(Kind::Queue, name)?;
            let request = session.request(v1::PurgeQueueRequest { name: name.clone() });
            session.queues().purge_queue(request).await?;
            let sentence = format!("queue {} purged", short(&name));
            session.screen.gone(&name, &sentence)?;
        }
        Ok(())
    }
}

fn done(session: &mut Session, queue: &v1::Queue, what: &str, dry_run: bool) -> Result<(), CliError> {
    let dry = if dry_run {
        " (dry run: nothing was changed)"
    } else {
        ""
    };
    let sentence = format!("queue {} {what}{dry}", short(&queue.name));
    session.screen.did(queue, &queue.name, &sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        update: Update,
    }

    fn paths(line: &str) -> Result<Vec<String>, CliError> {
        let line = Line::try_parse_from(["x", "q"].into_iter().chain(line.split_whitespace())).unwrap();
        line.update.paths(&mut v1::Queue::default())
    }

    #[test]
    fn an_update_sets_and_unsets_but_not_both() {
        let both = paths("--delay 5 --unset redrive-policy,wait-time").unwrap();
        assert_eq!(
            both,
            ["delay_seconds", "redrive_policy", "receive_wait_time_seconds"]
        );
        for (line, part) in [
            ("", "nothing to change"),
            ("--delay 5 --unset delay", "delay_seconds is both"),
            (
                "--max-receive-count 5 --unset dead-letter-queue",
                "redrive_policy is both",
            ),
        ] {
            let lines = paths(line).unwrap_err().lines();
            assert!(lines[0].contains(part), "{line}: {lines:?}");
        }
    }
}
