//! `millstream config …`, and the flags of the server's settings.

use super::error::CliError;
use super::output::{Format, Screen, Table};
use crate::config::{Inputs, KEYS, Problems, Resolved, ServerConfig, reference, resolve};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The flags of all settings, made from the table of keys: `--config` and one per key.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigFlags {
    file: Option<PathBuf>,
    values: BTreeMap<&'static str, String>,
}

impl Args for ConfigFlags {
    fn augment_args(cmd: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("PATH")
            .env("MILLSTREAM_CONFIG")
            .help("The configuration file [default: millstream.yaml, if there is one]");
        KEYS.iter().fold(cmd.arg(file), |cmd, key| {
            let help = format!("{} [env: {}] [default: {}]", key.summary, key.env(), key.default);
            cmd.arg(
                Arg::new(key.name)
                    .long(key.flag())
                    .value_name(key.form)
                    .help(help),
            )
        })
    }

    fn augment_args_for_update(cmd: Command) -> Command {
        Self::augment_args(cmd)
    }
}

impl FromArgMatches for ConfigFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        Ok(Self {
            file: text("config").filter(|path| !path.is_empty()).map(PathBuf::from),
            values: KEYS
                .iter()
                .filter_map(|key| Some((key.name, text(key.name)?)))
                .collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl ConfigFlags {
    /// The settings, from flags, environment and file.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(crate) fn read(self) -> Result<(Resolved, ServerConfig), CliError> {
        self.read_with(BTreeMap::new())
    }

    /// The settings, from flags, environment and file; with these defaults instead of the usual ones, by key.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(crate) fn read_with(
        self,
        defaults: BTreeMap<&'static str, String>,
    ) -> Result<(Resolved, ServerConfig), CliError> {
        let inputs = Inputs {
            defaults,
            file: self.file,
            env: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            flags: self.values,
        };
        let mut problems = Problems::default();
        let resolved = resolve(&inputs, &mut problems);
        let config = ServerConfig::read(&resolved, problems).map_err(|p| refused(&p))?;
        Ok((resolved, config))
    }
}

fn refused(problems: &Problems) -> CliError {
    let mut message = match problems.lines().len() {
        1 => "the configuration has a problem".to_owned(),
        n => format!("the configuration has {n} problems"),
    };
    for line in problems.lines() {
        message.push_str("\n  ");
        message.push_str(line);
    }
    CliError::Other {
        code: super::error::exit::USAGE,
        reason: "CONFIG",
        message,
        next: "correct them; `millstream config reference` describes every key".to_owned(),
    }
}

/// Everything behind `millstream config`.
#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Check the settings that a server would start with, and start nothing.
    Check(ConfigFlags),
    /// Show every setting and where it comes from.
    Print {
        /// What a server would be given.
        #[command(flatten)]
        flags: ConfigFlags,
        /// `table` with origins, or `yaml` to start a file from.
        #[arg(short, long, default_value = "table", value_parser = ["table", "yaml"])]
        output: String,
    },
    /// Print the reference of all settings as Markdown.
    Reference,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn run(args: ConfigArgs) -> Result<(), CliError> {
    let mut screen = Screen::new(Format::Table, false);
    match args.verb {
        Verb::Check(flags) => {
            let (resolved, _) = flags.read()?;
            resolved
                .suspicious
                .iter()
                .for_each(|warning| screen.note(&format!("warning: {warning}")));
            let file = resolved
                .file
                .map_or_else(|| "no file".to_owned(), |path| path.display().to_string());
            screen.line(&format!("the configuration is valid ({file})"))
        }
        Verb::Print { flags, output } => {
            let (resolved, _) = flags.read()?;
            if output == "yaml" {
                return resolved
                    .all()
                    .try_for_each(|(key, text, _)| screen.line(&format!("{}: {}", key.name, quoted(text))));
            }
            let mut table = Table::new(
                super::output::Columns {
                    narrow: &["KEY", "VALUE", "FROM"],
                    wide: &[],
                },
                false,
            );
            for (key, text, origin) in resolved.all() {
                table.row([key.name.to_owned(), text.to_owned(), origin.to_string()]);
            }
            screen.table(&mut table)
        }
        Verb::Reference => screen.bytes(reference().as_bytes()),
    }
}

/// A JSON string is a YAML scalar, whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
