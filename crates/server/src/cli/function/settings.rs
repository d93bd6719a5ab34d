//! The settings of a function as flags.

use crate::cli::error::CliError;
use crate::cli::when;
use crate::units;
use clap::Args;
use millstream_api::v1;
use std::collections::HashMap;
use std::time::Duration;
use v1::function::Target;

const HEADING: &str = "Settings";
/// What the server takes if nothing is said.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// What create and update both can set.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)] // so that it can stand beside the settings of a mapping
pub(crate) struct Settings {
    /// The program and its arguments, behind `--`; no shell is involved.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Instead of a program: the server to which each event is posted, e.g. http://127.0.0.1:8080/events.
    #[arg(
        long,
        value_name = "URL",
        help_heading = HEADING,
        conflicts_with_all = ["command", "working_dir", "env", "env_pass", "init_timeout", "memory_mb"]
    )]
    url: Option<String>,
    /// Instead of a program: a function of AWS Lambda, by name or ARN, with :VERSION or :ALIAS if wanted; see connections in
    /// the server's configuration.
    #[arg(
        long,
        value_name = "FUNCTION",
        help_heading = HEADING,
        conflicts_with_all = ["command", "url", "working_dir", "env", "env_pass", "init_timeout", "memory_mb"]
    )]
    lambda: Option<String>,
    /// Longest run of one invocation, up to 15m [default: 3s].
    #[arg(long, value_parser = units::duration, value_name = "DURATION", help_heading = HEADING)]
    timeout: Option<Duration>,
    /// Most processes or connections, and with that most invocations at once, 1 to 1000 [default: 10].
    #[arg(long, value_name = "N", help_heading = HEADING)]
    concurrency: Option<i32>,
    /// The directory the program runs in [default with a new command: the present one].
    #[arg(long, value_name = "DIR", help_heading = HEADING)]
    working_dir: Option<String>,
    /// Sets a variable in its otherwise empty environment; may be repeated. Everybody can read it: pass secrets by
    /// --env-pass.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, help_heading = HEADING)]
    env: Vec<(String, String)>,
    /// Takes variables over from the server's environment, e.g. PATH,HOME [default of a new function: PATH].
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = HEADING)]
    env_pass: Vec<String>,
    /// Longest time from start to the first request for work, up to 5m [default: 10s].
    #[arg(long, value_parser = units::duration, value_name = "DURATION", help_heading = HEADING)]
    init_timeout: Option<Duration>,
    /// The memory size it is told, 128 to 10240; not enforced [default: 128].
    #[arg(long, value_name = "MB", help_heading = HEADING)]
    memory_mb: Option<i32>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is not of the form NAME=VALUE")),
    }
}

impl Settings {
    /// For a new function: its program is found where the server finds programs, unless something else is said.
    pub(crate) fn with_path(&self) -> Self {
        let mut settings = self.clone();
        if settings.has_command()
            && settings.env_pass.is_empty()
            && settings.env.iter().all(|(name, _)| name != "PATH")
        {
            settings.env_pass.push("PATH".to_owned());
        }
        settings
    }

    /// With this program and these arguments.
    pub(crate) fn with_command(&self, words: Vec<String>) -> Self {
        Self {
            command: words,
            ..self.clone()
        }
    }

    /// The function's timeout in whole seconds, rounded up.
    pub(crate) fn seconds(&self) -> u64 {
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT);
        timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0)
    }

    /// Whether a program is named.
    fn has_command(&self) -> bool {
        !self.command.is_empty()
    }

    /// Whether it is said how the function is reached.
    pub(crate) fn has_target(&self) -> bool {
        self.has_command() || self.url.is_some() || self.lambda.is_some()
    }

    /// Puts what is set into `function`, and names it for an update mask.
    ///
    /// # Errors
    /// If the present directory is needed and cannot be told.
    pub(crate) fn apply(&self, function: &mut v1::Function) -> Result<Vec<&'static str>, CliError> {
        function.timeout = self.timeout.map(when::proto);
        function.concurrency = self.concurrency;
        let working_dir = self.directory()?;
        let mut paths: Vec<&'static str> = [
            (self.timeout.is_some(), "timeout"),
            (self.concurrency.is_some(), "concurrency"),
            (self.has_command(), "process.command"),
            (working_dir.is_some(), "process.working_dir"),
            (!self.env.is_empty(), "process.env"),
            (!self.env_pass.is_empty(), "process.env_pass"),
            (self.init_timeout.is_some(), "process.init_timeout"),
            (self.memory_mb.is_some(), "process.memory_mb"),
            // The whole target, so that a program can be replaced by a server.
            (self.url.is_some(), "http"),
            (self.lambda.is_some(), "lambda"),
        ]
        .into_iter()
        .filter_map(|(set, path)| set.then_some(path))
        .collect();
        if paths.iter().any(|p| p.starts_with("process.")) {
            function.target = Some(Target::Process(v1::ProcessTarget {
                command: self.command.clone(),
                working_dir: working_dir.unwrap_or_default(),
                env: self.env.iter().cloned().collect::<HashMap<_, _>>(),
                env_pass: self.env_pass.clone(),
                init_timeout: self.init_timeout.map(when::proto),
                memory_mb: self.memory_mb,
            }));
        }
        if let Some(url) = &self.url {
            function.target = Some(Target::Http(v1::HttpTarget { url: url.clone() }));
        }
        if let Some(lambda) = &self.lambda {
            function.target = Some(Target::Lambda(v1::LambdaTarget {
                function: lambda.clone(),
            }));
        }
        paths.sort_unstable();
        Ok(paths)
    }

    /// Where the program runs, absolute; none without a program. Server and client share the machine: what works in
    /// this directory is to work there too.
    ///
    /// # Errors
    /// If the present directory cannot be told.
    pub(crate) fn directory(&self) -> Result<Option<String>, CliError> {
        let relative = match &self.working_dir {
            Some(dir) => dir.as_str(),
            None if self.has_command() => ".",
            None => return Ok(None),
        };
        let path = std::path::absolute(relative).map_err(|e| {
            CliError::failed(
                "IO",
                format!("directory '{relative}': {e}"),
                "name one with --working-dir",
            )
        })?;
        // Takes the dot at the end away.
        Ok(Some(
            path.components()
                .collect::<std::path::PathBuf>()
                .display()
                .to_string(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    fn parse(args: &[&str]) -> (v1::Function, Vec<&'static str>) {
        let line = Line::try_parse_from(std::iter::once(&"x").chain(args)).unwrap();
        let mut function = v1::Function::default();
        let paths = line.settings.apply(&mut function).unwrap();
        (function, paths)
    }

    #[test]
    fn a_command_runs_where_the_user_is() {
        let (function, paths) = parse(&[
            "--env",
            "A=b=c",
            "--env-pass",
            "PATH,HOME",
            "--",
            "python3",
            "-u",
            "f.py",
        ]);
        let Some(Target::Process(process)) = function.target else {
            panic!("{function:?}")
        };
        assert_eq!(process.command, ["python3", "-u", "f.py"]);
        assert_eq!(
            process.working_dir,
            std::env::current_dir().unwrap().display().to_string()
        );
        assert_eq!(
            (process.env["A"].as_str(), process.env_pass),
            ("b=c", vec!["PATH".to_owned(), "HOME".to_owned()])
        );
        assert_eq!(
            paths,
            [
                "process.command",
                "process.env",
                "process.env_pass",
                "process.working_dir"
            ]
        );
    }

    #[test]
    fn a_new_function_gets_the_servers_path_unless_it_says_otherwise() {
        for (args, want) in [
            (&["--", "x"][..], &["PATH"][..]),
            (&["--env", "PATH=/bin", "--", "x"], &[]),
            (&["--env-pass", "HOME", "--", "x"], &["HOME"]),
        ] {
            let line = Line::try_parse_from(std::iter::once(&"x").chain(args)).unwrap();
            assert_eq!(line.settings.with_path().env_pass, want);
        }
    }

    #[test]
    fn a_url_is_a_target_of_its_own() {
        let (function, paths) = parse(&["--url", "http://127.0.0.1:8080/events", "--timeout", "1m"]);
        let Some(Target::Http(http)) = function.target else {
            panic!("{function:?}")
        };
        assert_eq!(
            (http.url.as_str(), paths),
            ("http://127.0.0.1:8080/events", vec!["http", "timeout"])
        );
        for other in [&["--", "x"][..], &["--env", "A=b"], &["--memory-mb", "256"]] {
            let args = ["x", "--url", "http://h/"].iter().chain(other);
            assert!(Line::try_parse_from(args).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_function_of_lambda_is_a_target_of_its_own() {
        let (function, paths) = parse(&["--lambda", "orders:live"]);
        let Some(Target::Lambda(lambda)) = function.target else {
            panic!("{function:?}")
        };
        assert_eq!((lambda.function.as_str(), paths), ("orders:live", vec!["lambda"]));
        for other in [&["--", "x"][..], &["--env", "A=b"], &["--url", "http://h/"]] {
            let args = ["x", "--lambda", "orders"].iter().chain(other);
            assert!(Line::try_parse_from(args).is_err(), "{other:?}");
        }
    }

    #[test]
    fn without_a_command_nothing_of_the_target_changes() {
        let (function, paths) = parse(&["--timeout", "30s", "--concurrency", "4"]);
        assert_eq!((function.target, paths), (None, vec!["concurrency", "timeout"]));
        assert_eq!(function.timeout.unwrap().seconds, 30);
        assert!(Line::try_parse_from(["x", "--env", "A"]).is_err());
    }
}
