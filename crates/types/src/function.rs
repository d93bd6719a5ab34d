//! Functions: what is called.

use crate::arn::{LOCAL_ACCOUNT, LOCAL_REGION};
use crate::{Applied, FunctionName, Namespace, Tags, Wall};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A registered function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Whose it is.
    pub namespace: Namespace,
    /// What it is called.
    pub name: FunctionName,
    /// What its owner set.
    pub spec: FunctionSpec,
    /// Grows with every change of `spec` and with every restart, from 1; a new one has processes of its own.
    pub generation: u64,
    /// The catalog's revision of this version; printed as its etag.
    pub revision: u64,
    /// When it was registered.
    pub created: Wall,
    /// When it was changed last.
    pub modified: Wall,
    /// The id the caller gave the request that made it, so that a repeated request finds its own work.
    pub request_id: Option<String>,
    /// What of `spec` was applied from a file.
    #[serde(default, skip_serializing_if = "Applied::is_empty")]
    pub applied: Applied,
    /// What its owner noted on it; a change of it is none of `spec`.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// What a function's owner sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionSpec {
    /// How it is reached.
    pub target: Target,
    /// Longest run of one invocation, 1 to 900,000 ms; AWS's default is 3,000.
    pub timeout_ms: u32,
    /// Most invocations at once, 1 to 1,000. For a process function: most processes; for an http function: most
    /// connections.
    pub concurrency: u32,
}

/// How a function is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A closure that the embedding program registered under the function's name.
    InProcess,
    /// Child processes that speak the Lambda Runtime API.
    Process(ProcessTarget),
    /// A server that takes each event as the body of a POST.
    Http(HttpTarget),
    /// A function of AWS Lambda, or of what speaks its protocol.
    Lambda(LambdaTarget),
}

impl Target {
    /// What its kind is called in the API.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InProcess => "in_process",
            Self::Process(_) => "process",
            Self::Http(_) => "http",
            Self::Lambda(_) => "lambda",
        }
    }
}

/// A pool of child processes that speak the Lambda Runtime API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessTarget {
    /// The program and its arguments; at least the program.
    pub command: Vec<String>,
    /// The directory it runs in; the server's own if not set.
    pub working_dir: Option<String>,
    /// What is set in its otherwise empty environment.
    pub env: BTreeMap<String, String>,
    /// Names taken over from the server's environment, e.g. `PATH`.
    pub env_pass: Vec<String>,
    /// Longest time from start to the first request for work, 100 to 300,000 ms; AWS's is 10,000.
    pub init_timeout_ms: u32,
    /// The `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` it is told, in MB, 128 to 10,240. Not enforced.
    pub memory_mb: u32,
}

/// A server that takes each event as the body of a POST and answers with what the function returns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpTarget {
    /// Where it is: `http` or `https`, at most 2,048 ASCII characters, without user, password and fragment.
    pub url: String,
}

/// A function of AWS Lambda that is called by its `Invoke` API and waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LambdaTarget {
    /// What names it, exactly as it was given: see [`crate::lambda::LambdaName`].
    pub function: String,
}

/// The `AWS::Lambda` ARN of a function of this system.
#[must_use]
pub fn function_arn(name: &FunctionName) -> String {
    format!("arn:aws:lambda:{LOCAL_REGION}:{LOCAL_ACCOUNT}:function:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The catalog stores functions so.
    #[test]
    fn stored_targets_stay_readable() {
        let process = ProcessTarget {
            command: vec!["./bootstrap".to_owned()],
            working_dir: None,
            env: BTreeMap::new(),
            env_pass: Vec::new(),
            init_timeout_ms: 10_000,
            memory_mb: 128,
        };
        let url = "http://127.0.0.1:8080/events".to_owned();
        let function = "orders:live".to_owned();
        for (stored, target) in [
            (r#""in_process""#, Target::InProcess),
            (
                r#"{"process":{"command":["./bootstrap"],"working_dir":null,"env":{},"env_pass":[],"init_timeout_ms":10000,"memory_mb":128}}"#,
                Target::Process(process),
            ),
            (
                r#"{"http":{"url":"http://127.0.0.1:8080/events"}}"#,
                Target::Http(HttpTarget { url }),
            ),
            (
                r#"{"lambda":{"function":"orders:live"}}"#,
                Target::Lambda(LambdaTarget { function }),
            ),
        ] {
            assert_eq!(serde_json::from_str::<Target>(stored).unwrap(), target);
            assert_eq!(serde_json::to_string(&target).unwrap(), stored);
        }
    }
}
