//! The command line and the environment of a function's processes.

use millstream_types::arn::LOCAL_REGION;
use millstream_types::{Function, ProcessTarget};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Set by us for every process, as Lambda does; a function cannot set them.
const RESERVED: [&str; 8] = [
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    // Switches runtimes to several invocations per process, which this pool does not offer.
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_RUNTIME_API",
];

/// How the processes of one function are started.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) name: Arc<str>,
    pub(super) concurrency: u32,
    pub(super) init_timeout: Duration,
    target: ProcessTarget,
}

impl Plan {
    /// Checks what can be checked without starting anything.
    ///
    /// # Errors
    /// What is wrong with the target, and what to do.
    pub(crate) fn new(function: &Function, target: &ProcessTarget) -> Result<Self, String> {
        if target.command.first().is_none_or(String::is_empty) {
            return Err(format!(
                "function {} has no command: name at least the program",
                function.name
            ));
        }
        let texts = target
            .command
            .iter()
            .chain(&target.working_dir)
            .chain(target.env.values());
        if texts.into_iter().any(|text| text.contains('\0')) {
            return Err(format!(
                "function {}: a command or environment holds a zero byte",
                function.name
            ));
        }
        for name in target.env.keys().chain(&target.env_pass) {
            check_variable(name).map_err(|why| format!("function {}: {why}", function.name))?;
        }
        Ok(Self {
            name: function.name.as_str().into(),
            concurrency: function.spec.concurrency.max(1),
            init_timeout: Duration::from_millis(u64::from(target.init_timeout_ms)),
            target: target.clone(),
        })
    }

    /// The program as people know it, for messages.
    pub(super) fn program(&self) -> &str {
        self.target.command.first().map_or("", String::as_str)
    }

    /// The command of process number `serial`, whose Runtime API listens on `api`. A program with a relative
    /// path is looked up from the working directory, one without a slash in the `PATH` of its environment.
    pub(super) fn command(&self, api: SocketAddr, serial: u64) -> Command {
        let mut command = Command::new(self.program());
        command.args(self.target.command.iter().skip(1));
        if let Some(dir) = &self.target.working_dir {
            command.current_dir(dir);
        }
        command
            .env_clear()
            .envs(self.environment(api, serial, |name| std::env::var_os(name)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The whole environment. What the function sets wins over what it takes from us, and that over the
    /// defaults; the reserved names are ours.
    fn environment(
        &self,
        api: SocketAddr,
        serial: u64,
        ours: impl Fn(&OsStr) -> Option<OsString>,
    ) -> BTreeMap<OsString, OsString> {
        let target = &self.target;
        let mut all = BTreeMap::<OsString, OsString>::new();
        let mut set = |name: &str, value: OsString| all.insert(name.into(), value);
        set("AWS_REGION", LOCAL_REGION.into());
        set("AWS_DEFAULT_REGION", LOCAL_REGION.into());
        set("TZ", ":UTC".into());
        let here = || std::env::current_dir().map(OsString::from).unwrap_or_default();
        set(
            "LAMBDA_TASK_ROOT",
            target.working_dir.as_ref().map_or_else(here, OsString::from),
        );
        for name in &target.env_pass {
            if let Some(value) = ours(OsStr::new(name)) {
                set(name, value);
            }
        }
        for (name, value) in &target.env {
            set(name, value.into());
        }
        set("AWS_LAMBDA_RUNTIME_API", api.to_string().into());
        set("AWS_LAMBDA_FUNCTION_NAME", (&*self.name).into());
        set("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into());
        set(
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            target.memory_mb.to_string().into(),
        );
        set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into());
        set(
            "AWS_LAMBDA_LOG_GROUP_NAME",
            format!("/aws/lambda/{}", self.name).into(),
        );
        set(
            "AWS_LAMBDA_LOG_STREAM_NAME",
            format!("[$LATEST]{serial:08}").into(),
        );
        all
    }
}

fn check_variable(name: &str) -> Result<(), String> {
    if RESERVED.contains(&name) {
        return Err(format!(
            "environment variable {name} is set by the server: remove it"
        ));
    }
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(format!(
            "'{name}' is not the name of an environment variable: remove it"
        ));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use millstream_types::{FunctionName, FunctionSpec, Namespace, Target, Wall};

    pub(in crate::process) fn function(target: &ProcessTarget) -> Function {
        Function {
            namespace: Namespace::default(),
            name: FunctionName::new("f").unwrap(),
            spec: FunctionSpec {
                target: Target::Process(target.clone()),
                timeout_ms: 3_000,
                concurrency: 2,
            },
            generation: 1,
            revision: 1,
            created: Wall(0),
            modified: Wall(0),
            request_id: None,
            applied: Default::default(),
            tags: Default::default(),
        }
    }

    fn target(command: &[&str], env: &[(&str, &str)], pass: &[&str]) -> ProcessTarget {
        ProcessTarget {
            command: command.iter().map(|&s| s.to_owned()).collect(),
            working_dir: Some("/srv/f".to_owned()),
            env: env.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
            env_pass: pass.iter().map(|&s| s.to_owned()).collect(),
            init_timeout_ms: 10_000,
            memory_mb: 128,
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (target, refusal) in [
            (target(&["./bootstrap"], &[("A", "b")], &["PATH"]), None),
            (target(&[], &[], &[]), Some("no command")),
            (target(&["a\0b"], &[], &[]), Some("zero byte")),
            (
                target(&["b"], &[("AWS_LAMBDA_MAX_CONCURRENCY", "2")], &[]),
                Some("is set by the server"),
            ),
            (target(&["b"], &[], &["A=B"]), Some("not the name")),
        ] {
            let made = Plan::new(&function(&target), &target);
            match (made, refusal) {
                (Ok(_), None) => {}
                (Err(text), Some(part)) => assert!(text.contains(part), "{text}"),
                (made, refusal) => panic!("{made:?} instead of {refusal:?}"),
            }
        }
    }

    #[test]
    fn the_environment_is_an_allow_list() {
        let target = target(
            &["b"],
            &[("MINE", "1"), ("AWS_REGION", "eu-west-1")],
            &["PATH", "MINE", "GONE"],
        );
        let plan = Plan::new(&function(&target), &target).unwrap();
        let ours = |name: &OsStr| (name != "GONE").then(|| OsString::from("ours"));
        let all = plan.environment("127.0.0.1:9".parse().unwrap(), 3, ours);
        let all: Vec<(&str, &str)> = all
            .iter()
            .map(|(k, v)| (k.to_str().unwrap(), v.to_str().unwrap()))
            .collect();
        let expected = [
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "[$LATEST]00000003"),
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9"),
            ("AWS_REGION", "eu-west-1"),
            ("LAMBDA_TASK_ROOT", "/srv/f"),
            ("MINE", "1"),
            ("PATH", "ours"),
            ("TZ", ":UTC"),
        ];
        assert_eq!(all, expected);
    }
}
