//! `millstream completion SHELL`, and what the script that it prints calls: this program, with a variable set.
//!
//! What can stand at a place of the command line is told by the grammar itself; names of resources by the server.

mod live;
mod words;

use super::error::CliError;
use super::output::{Format, Screen};
use crate::manifest::Kind;
use clap::{Arg, Args, Command, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{Bash, EnvCompleter, Fish, Powershell, Zsh};
use std::ffi::OsStr;

/// Set by the scripts, to the name of their shell.
const VARIABLE: &str = "_MILLSTREAM_COMPLETE";
const PROGRAM: &str = "millstream";

pub(super) const HELP: &str = "\
Names of mappings, functions, streams and queues are asked of the server that the command would talk to; without an
answer in a moment there are none.

    bash          echo 'source <(millstream completion bash)' >> ~/.bashrc
    zsh           echo 'source <(millstream completion zsh)' >> ~/.zshrc      # behind compinit
    fish          millstream completion fish > ~/.config/fish/completions/millstream.fish
    PowerShell    millstream completion powershell >> $PROFILE";

/// The shells that are served.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // their names say it
enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(alias = "pwsh")]
    Powershell,
}

/// Everything behind `millstream completion`.
#[derive(Args, Debug)]
pub(crate) struct CompletionArgs {
    /// For which shell.
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// If nobody reads it.
pub(crate) fn run(args: &CompletionArgs) -> Result<(), CliError> {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    Screen::new(Format::Table, false).bytes(&script)
}

/// If a shell asks what may stand at a place of its command line, answers and ends the process.
pub(crate) fn answer(grammar: fn() -> Command) {
    CompleteEnv::with_factory(move || with_names(grammar(), &[]))
        .var(VARIABLE)
        .complete();
}

/// The grammar with what completes the names in it; `path` is how one gets to `command`.
fn with_names(command: Command, path: &[&str]) -> Command {
    // In place: the order of arguments and verbs counts.
    command
        .mut_args(|arg| match named_by(path, arg.get_id().as_str()) {
            Some(names) => names.complete(arg),
            None => arg,
        })
        .mut_subcommands(|verb| {
            let name = verb.get_name().to_owned();
            with_names(verb, &[path, &[name.as_str()]].concat())
        })
}

/// What an argument names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// Resources of a kind.
    Of(Kind),
    /// A stream, or a queue as `queue/NAME`.
    Destination,
    /// Kinds, names of the kind before them, or `KIND/NAME`.
    Anything,
}

/// What the argument `id` of the command at `path` names, if it names what exists.
fn named_by(path: &[&str], id: &str) -> Option<Names> {
    let noun = path.first().and_then(|noun| Kind::parse(noun));
    match (path, id) {
        // A name of its own, or the ARN of anything.
        (["generate-event" | "dev", ..], _) => None,
        ([_, "create"], "name") => None,
        (["get"], "what") => Some(Names::Anything),
        (_, "name" | "names") => noun.map(Names::Of),
        (_, "stream") => Some(Names::Of(Kind::Stream)),
        (_, "queue" | "dead_letter_queue") => Some(Names::Of(Kind::Queue)),
        (_, "function") => Some(Names::Of(Kind::Function)),
        (_, "mapping") => Some(Names::Of(Kind::Mapping)),
        (_, "on_failure") => Some(Names::Destination),
        _ => None,
    }
}

impl Names {
    fn complete(self, arg: Arg) -> Arg {
        arg.add(ArgValueCompleter::new(move |current: &OsStr| {
            self.candidates(&current.to_string_lossy())
        }))
    }

    fn candidates(self, current: &str) -> Vec<CompletionCandidate> {
        let line = words::Line::of_process();
        let all = match self {
            Self::Of(kind) => line.names(kind),
            Self::Destination => {
                let queues = line.names(Kind::Queue).into_iter();
                let queues = queues.map(|name| format!("queue/{name}"));
                line.names(Kind::Stream).into_iter().chain(queues).collect()
            }
            Self::Anything => match (line.kind(), current.split_once('/')) {
                (Some(kind), _) => line.names(kind),
                (None, Some((word, _))) => {
                    let named = |kind| {
                        let names = line.names(kind).into_iter();
                        names.map(|name| format!("{word}/{name}")).collect()
                    };
                    Kind::parse(word).map(named).unwrap_or_default()
                }
                (None, None) => {
                    let kinds = Kind::ALL.map(|kind| kind.collection().to_owned());
                    kinds.into_iter().chain(["all".to_owned()]).collect()
                }
            },
        };
        let fitting = all.into_iter().filter(|name| name.starts_with(current));
        fitting.map(CompletionCandidate::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    /// Every place of the command line where something that exists is named, by the words before it.
    fn places(command: &Command, path: &[&str], found: &mut Vec<String>) {
        for arg in command.get_arguments() {
            if named_by(path, arg.get_id().as_str()).is_some() {
                found.push(format!("{} {}", path.join(" "), arg.get_id()));
            }
        }
        for verb in command.get_subcommands() {
            places(verb, &[path, &[verb.get_name()]].concat(), found);
        }
    }

    #[test]
    fn names_are_completed_wherever_something_is_named() {
        let mut found = Vec::new();
        places(&Cli::command(), &[], &mut found);
        for place in [
            "get what",
            "mapping get names",
            "mapping wait names",
            "mapping update name",
            "mapping create function",
            "mapping create stream",
            "mapping create queue",
            "mapping create on_failure",
            "function invoke name",
            "function restart names",
            "stream put stream",
            "stream split name",
            "queue send queue",
            "queue purge names",
            "queue create dead_letter_queue",
            "ledger list mapping",
        ] {
            assert!(found.contains(&place.to_owned()), "{place}: {found:?}");
        }
        for place in ["mapping create name", "generate-event kinesis stream"] {
            assert!(!found.contains(&place.to_owned()), "{place}");
        }
        with_names(Cli::command(), &[]).debug_assert();
    }

    #[test]
    fn without_a_server_there_are_no_names_and_no_error() {
        let nobody = words::Line::of(["m", "get", "--server", "127.0.0.1:1"].map(str::to_owned));
        assert_eq!(nobody.names(Kind::Mapping), Vec::<String>::new());
    }
}
