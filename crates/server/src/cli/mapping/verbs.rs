//! Create, get, list, update, pause, resume, delete.

use super::settings::{Settings, Start, Unset};
use super::{show, watch};
use crate::cli::confirm::Confirm;
use crate::cli::error::CliError;
use crate::cli::names::{Kind, queue_arn, short, stream_arn};
use crate::cli::paging;
use crate::cli::session::Session;
use clap::Args;
use millstream_api::v1;

/// `create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// What to call it: lower-case letters, digits and hyphens.
    name: String,
    #[command(flatten)]
    source: Source,
    /// The function to call: its name; or what names a function of AWS Lambda that a connection serves, as
    /// `arn:aws:lambda:eu-west-1:123456789012:function:bill:live`.
    #[arg(long, short)]
    function: String,
    /// Where to start, for a stream: `trim-horizon`, `latest`, or a time like 2026-11-22T10:00:00Z.
    #[arg(long, visible_alias = "from", value_parser = Start::parse, value_name = "POSITION", conflicts_with = "queue", required_unless_present_any = ["queue", "source_arn"])]
    starting_position: Option<Start>,
    #[command(flatten)]
    settings: Settings,
    /// Start nothing before it is resumed.
    #[arg(long)]
    paused: bool,
    /// Makes the command repeatable: with the same id a second run returns what the first one made.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
    /// Check everything, create nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What a mapping reads.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Source {
    /// The stream to read: its name, or an ARN.
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
    /// The queue to read: its name, or an ARN.
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// The stream or queue to read, by its ARN.
    #[arg(long, value_name = "ARN")]
    source_arn: Option<String>,
}

impl Source {
    fn arn(&self) -> String {
        match (&self.stream, &self.queue) {
            (Some(stream), _) => stream_arn(stream),
            (None, Some(queue)) => queue_arn(queue),
            (None, None) => self.source_arn.clone().unwrap_or_default(),
        }
    }
}

impl Create {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        // A whole name is taken too, so that what -o name prints can be used.
        session.name(Kind::Mapping, &self.name)?;
        let mut mapping = v1::Mapping {
            source_arn: self.source.arn(),
            function: self.function.clone(),
            paused: self.paused.then_some(true),
            ..Default::default()
        };
        if let Some(start) = &self.starting_position {
            start.apply(&mut mapping);
        }
        self.settings.apply(&mut mapping);
        let request = v1::CreateMappingRequest {
            parent: session.parent(),
            mapping_id: short(&self.name).to_owned(),
            mapping: Some(mapping),
            request_id: self.request_id.clone(),
            validate_only: self.dry_run,
        };
        let made = session
            .mappings()
            .create_mapping(session.request(request))
            .await?
            .into_inner();
        done(session, &made, "created", self.dry_run)
    }
}

/// `get`.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// Which.
    #[arg(required = true)]
    names: Vec<String>,
    /// Then show every change, until Ctrl-C or all are gone.
    #[arg(short, long)]
    watch: bool,
}

impl Get {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let names: Vec<String> = self
            .names
            .iter()
            .map(|n| session.name(Kind::Mapping, n))
            .collect::<Result<_, _>>()?;
        let mut mappings = Vec::new();
        for name in &names {
            let request = session.request(v1::GetMappingRequest { name: name.clone() });
            mappings.push(session.mappings().get_mapping(request).await?.into_inner());
        }
        if self.watch {
            return watch::run(session, Some(names)).await;
        }
        match &mappings[..] {
            [one] => session
                .screen
                .show(one, &[&one.name], show::COLUMNS, [show::row(one)]),
            _ => list(session, mappings),
        }
    }
}

/// `list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Then show every change, until Ctrl-C.
    #[arg(short, long)]
    watch: bool,
    /// Most mappings to show; 0: all.
    #[arg(long, default_value_t = 0)]
    limit: usize,
}

impl List {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        if self.watch {
            return watch::run(session, None).await;
        }
        let (mappings, more) = paging::collect(self.limit, |page_token| {
            let request = v1::ListMappingsRequest {
                parent: session.parent(),
                page_size: paging::PAGE,
                page_token,
            };
            let request = session.request(request);
            let mut client = session.mappings();
            async move {
                let page = client.list_mappings(request).await?.into_inner();
                Ok((page.mappings, page.next_page_token))
            }
        })
        .await?;
        list(session, mappings)?;
        if more {
            session.screen.note("there are more: raise --limit");
        }
        Ok(())
    }
}

fn list(session: &mut Session, mappings: Vec<v1::Mapping>) -> Result<(), CliError> {
    let rows: Vec<_> = mappings.iter().map(show::row).collect();
    let response = v1::ListMappingsResponse {
        mappings,
        next_page_token: String::new(),
    };
    let names: Vec<&str> = response.mappings.iter().map(|m| m.name.as_str()).collect();
    session.screen.show(&response, &names, show::COLUMNS, rows)
}

/// `update`.
#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Which.
    name: String,
    /// Call this function from now on; named as when a mapping is created.
    #[arg(long, short)]
    function: Option<String>,
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
        let mut mapping = v1::Mapping {
            name: session.name(Kind::Mapping, &self.name)?,
            etag: self.etag.clone(),
            ..Default::default()
        };
        let mut paths = self.settings.apply(&mut mapping);
        if let Some(both) = self.unset.iter().find(|u| paths.contains(&u.path())) {
            return Err(CliError::usage(
                format!("{} is both set and unset", both.path()),
                "leave one of them out",
            ));
        }
        paths.extend(self.unset.iter().map(|u| u.path()));
        if let Some(function) = &self.function {
            mapping.function.clone_from(function);
            paths.push("function");
        }
        if paths.is_empty() {
            return Err(CliError::usage(
                "nothing to change",
                "name settings, e.g. --batch-size 500; --help lists them",
            ));
        }
        let request = v1::UpdateMappingRequest {
            mapping: Some(mapping),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.into_iter().map(str::to_owned).collect(),
            }),
            validate_only: self.dry_run,
        };
        let changed = session
            .mappings()
            .update_mapping(session.request(request))
            .await?
            .into_inner();
        done(session, &changed, "updated", self.dry_run)
    }
}

/// `pause` and `resume`.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Which.
    #[arg(required = true)]
    names: Vec<String>,
    /// Only if this is its version; with one name.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

impl Named {
    pub(crate) async fn pause(self, session: &mut Session) -> Result<(), CliError> {
        for name in &self.names {
            let name = session.name(Kind::Mapping, name)?;
            let request = session.request(v1::PauseMappingRequest {
                name,
                etag: self.etag.clone(),
            });
            let mapping = session.mappings().pause_mapping(request).await?.into_inner();
            now(session, &mapping)?;
        }
        Ok(())
    }

    pub(crate) async fn resume(self, session: &mut Session) -> Result<(), CliError> {
        for name in &self.names {
            let name = session.name(Kind::Mapping, name)?;
            let request = session.request(v1::ResumeMappingRequest {
                name,
                etag: self.etag.clone(),
            });
            let mapping = session.mappings().resume_mapping(request).await?.into_inner();
            now(session, &mapping)?;
        }
        Ok(())
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
    /// Check everything, delete nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
}

impl Delete {
    pub(crate) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        if !self.dry_run {
            self.confirm.ask(&format!(
                "delete mapping {} and its position",
                self.names.join(", ")
            ))?;
        }
        for name in &self.names {
            let name = session.name(Kind::Mapping, name)?;
            let request = v1::DeleteMappingRequest {
                name,
                etag: self.etag.clone(),
                validate_only: self.dry_run,
            };
            let mapping = session
                .mappings()
                .delete_mapping(session.request(request))
                .await?
                .into_inner();
            if self.dry_run {
                done(session, &mapping, "deleted", true)?;
            } else {
                now(session, &mapping)?;
            }
        }
        Ok(())
    }
}

fn done(session: &mut Session, mapping: &v1::Mapping, what: &str, dry_run: bool) -> Result<(), CliError> {
    let dry = if dry_run {
        " (dry run: nothing was changed)"
    } else {
        ""
    };
    let sentence = format!("mapping {} {what}{dry}", short(&mapping.name));
    session.screen.did(mapping, &mapping.name, &sentence)
}

fn now(session: &mut Session, mapping: &v1::Mapping) -> Result<(), CliError> {
    let sentence = format!("mapping {} is {}", short(&mapping.name), show::state(mapping));
    session.screen.did(mapping, &mapping.name, &sentence)
}
