//! `millstream dev`: a server, a function and what feeds it in one process, for as long as somebody works on the function.
//!
//! The server is the one of `millstream server`; everything else here is a client of it, over gRPC like any other.

mod objects;
mod terminal;
mod watch;

use super::config::ConfigFlags;
use super::error::{CliError, exit};
use super::function::Settings as FunctionSettings;
use super::mapping::Settings as MappingSettings;
use super::output::{Format, Screen};
use super::server::next;
use super::session::{Session, SessionArgs};
use crate::server::{self, Beside, Listening, Stopped};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use objects::Source;
use std::collections::BTreeMap;
use std::path::PathBuf;
use watch::Changes;

const HEADING: &str = "Development";

pub(super) const HELP: &str = "\
Runs until Ctrl-C, which lets running invocations end; a second one ends at once. Streams, queues, the function and its
mappings are made if they are missing. When a file changes, invocations that run end in the old processes, all others
start in new ones: no attempt is spent, nothing is lost. What the function prints is shown behind the beginning of the
id of its request.

Without --data-dir everything is in a directory that is removed at the end; with it the next run goes on: the function
and its mappings get the settings that are told then, and keep all others. Any other command of `millstream` works from
a second terminal meanwhile.

Examples:
    millstream dev --function 'python3 -m awslambdaric app.handler' --source queue
    millstream dev --source stream/orders queue/jobs.fifo --batch-size 10 -- cargo lambda-bootstrap
    millstream dev --url http://127.0.0.1:8080/events --source stream
    millstream dev --watch src --watch templates --env STAGE=dev --data-dir ./dev-data -- ./bootstrap

Then:
    millstream stream put dev --key alice '{\"item\": 1}'
    millstream queue send dev '{\"item\": 2}'
    millstream generate-event sqs | millstream function invoke dev --payload -";

/// Everything behind `millstream dev`.
#[derive(Args, Debug)]
pub(crate) struct DevArgs {
    /// The function as one line, e.g. 'python3 -m awslambdaric app.handler'; words are taken apart as a shell does, but
    /// no shell is involved. Or as words behind --.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["command", "url"], help_heading = HEADING)]
    function: Option<String>,
    /// What the function is called, and the stream and queues that are not named.
    #[arg(long, value_name = "NAME", default_value = "dev", help_heading = HEADING)]
    name: String,
    /// What feeds it: stream, queue, queue.fifo, stream/NAME, queue/NAME, or an ARN; several may be given.
    #[arg(long, short, value_name = "SOURCE", num_args = 1.., value_parser = Source::parse, default_value = "stream", help_heading = HEADING)]
    source: Vec<Source>,
    /// A file or directory whose changes restart the function; may be repeated [default: the function's working
    /// directory]. Hidden directories, __pycache__, node_modules, target, logs and editors' temporary files do not count.
    #[arg(long, value_name = "PATH", help_heading = HEADING)]
    watch: Vec<PathBuf>,
    /// Never restart the function.
    #[arg(long, conflicts_with = "watch", help_heading = HEADING)]
    no_watch: bool,
    /// Let connections lead away from this machine: to AWS, or to any other endpoint that is not local.
    #[arg(long, help_heading = HEADING)]
    allow_remote: bool,
    #[command(flatten)]
    settings: FunctionSettings,
    #[command(flatten)]
    mapping: MappingSettings,
    #[command(flatten)]
    server: ServerFlags,
}

/// The server's flags, with what is different here.
#[derive(Clone, Debug)]
struct ServerFlags(ConfigFlags);

impl Args for ServerFlags {
    fn augment_args(cmd: Command) -> Command {
        ConfigFlags::augment_args(cmd.next_help_heading("Server")).mut_args(|arg| {
            match arg.get_id().as_str() {
                "data_dir" => arg.help("Where everything durable lives [default: a temporary directory]"),
                "log_level" => arg.help("What the server logs on standard error [default: warn]"),
                _ => arg,
            }
        })
    }

    fn augment_args_for_update(cmd: Command) -> Command {
        Self::augment_args(cmd)
    }
}

impl FromArgMatches for ServerFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        ConfigFlags::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Runs until it is stopped; its exit code.
///
/// # Errors
/// If the server cannot start, or what is to run on it cannot be made.
pub(crate) fn run(args: DevArgs) -> Result<u8, CliError> {
    let (function, watched) = args.function()?;
    // Gone when this returns.
    let scratch = tempfile::Builder::new().prefix("millstream-dev-").tempdir()?;
    let defaults = BTreeMap::from([
        ("data_dir", scratch.path().join("data").display().to_string()),
        ("log_level", "warn".to_owned()),
    ]);
    let (_, config) = args.server.0.read_with(defaults)?;
    if !args.allow_remote {
        stays_here(&config)?;
    }
    let changes = match args.no_watch || watched.is_empty() {
        true => Changes::never(),
        false => Changes::of(&watched, &config.data_dir)?,
    };
    let work = Work {
        sources: args.source,
        name: args.name,
        mapping: args.mapping,
        function,
        changes,
    };
    let beside = Beside {
        log: Some(terminal::layer()),
        task: move |listening| work.run(listening),
    };
    match server::run(&config, beside) {
        Ok((_, Some(Err(e)))) => Err(e),
        Ok((Stopped::Drained, _)) => Ok(0),
        Ok((Stopped::Deadline, _)) => Ok(exit::TIMEOUT),
        Err(e) => Err(CliError::failed("SERVER", e.to_string(), next(&e))),
    }
}

/// What is tried out must not meet what others rely on by accident.
#[cfg(feature = "aws")]
fn stays_here(config: &crate::config::ServerConfig) -> Result<(), CliError> {
    let remote: Vec<&str> = config.connections.remote().map(|c| c.pattern()).collect();
    if remote.is_empty() {
        return Ok(());
    }
    Err(CliError::usage(
        format!(
            "connections lead away from this machine: {}; allowed here are those with an endpoint_url of a loopback address \
             or localhost",
            remote.join(", ")
        ),
        "give them a local endpoint_url, or --allow-remote",
    ))
}

#[cfg(not(feature = "aws"))]
// The other build can fail.
#[allow(clippy::unnecessary_wraps)]
fn stays_here(_: &crate::config::ServerConfig) -> Result<(), CliError> {
    Ok(())
}

impl DevArgs {
    /// The function, and what is watched for it.
    fn function(&self) -> Result<(FunctionSettings, Vec<PathBuf>), CliError> {
        let mut function = self.settings.with_path();
        if let Some(line) = &self.function {
            let words = shlex::split(line).filter(|words| !words.is_empty());
            let words = words.ok_or_else(|| {
                CliError::usage(
                    format!(
                        "--function '{line}' is not valid: a program and its arguments, quoted as in a shell"
                    ),
                    "put the words behind -- instead",
                )
            })?;
            function = self.settings.with_command(words).with_path();
        }
        if !function.has_target() {
            return Err(CliError::usage(
                "no function is named",
                "write --function 'python3 -m awslambdaric app.handler', or the program behind --, or --url",
            ));
        }
        let watched = match self.watch.is_empty() {
            true => function.directory()?.into_iter().map(PathBuf::from).collect(),
            false => self.watch.clone(),
        };
        Ok((function, watched))
    }
}

/// What is done beside the server.
struct Work {
    name: String,
    sources: Vec<Source>,
    function: FunctionSettings,
    mapping: MappingSettings,
    changes: Changes,
}

impl Work {
    /// Makes what is missing, then restarts the function whenever a file has changed. Never ends by itself unless it
    /// fails.
    async fn run(mut self, listening: Listening) -> Result<(), CliError> {
        let address = listening.grpc.to_string();
        let session = Session::open(&SessionArgs::at(&address)).await?;
        let mut screen = Screen::new(Format::Table, false);
        for line in self.make(&session).await? {
            screen.line(&line)?;
        }
        let watched = self.changes.watched();
        if !watched.is_empty() {
            screen.line(&format!("watching {watched}"))?;
        }
        // As a server announces itself, for programs to read.
        if let Some(aws) = listening.aws {
            screen.line(&format!("listening aws={aws}"))?;
        }
        if let Some(ops) = listening.ops {
            screen.line(&format!("listening ops={ops}"))?;
        }
        screen.line(&format!("listening grpc={address}"))?;
        loop {
            let path = self.changes.next().await;
            let generation = objects::restart(&session, &self.name).await?;
            let path = path.display();
            screen.line(&format!(
                "{path} changed: function {} restarted ({generation})",
                self.name
            ))?;
        }
    }

    /// One line for each thing that is there then.
    async fn make(&self, session: &Session) -> Result<Vec<String>, CliError> {
        let mut lines = vec![objects::function(session, &self.name, &self.function).await?];
        for source in &self.sources {
            let timeout = self.function.seconds();
            lines.extend(objects::source(session, source, &self.name, timeout).await?);
            lines.push(objects::mapping(session, source, &self.name, &self.mapping).await?);
        }
        Ok(lines)
    }
}
