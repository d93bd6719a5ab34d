//! Functions: settings in, views and results out.

use super::mask::Mask;
use super::{applied, count, duration, millis, small, tags, timestamp};
use crate::names;
use crate::refusal::{Refusal, Refusals};
use crate::status::{self, Reason};
use millstream_api::v1;
use millstream_engine::manage::{
    FunctionPatch, FunctionView, HttpPatch, LambdaPatch, ProcessPatch, TargetPatch,
};
use millstream_engine::view::InvokeResult;
use millstream_types::function::function_arn;
use millstream_types::invocation::FunctionErrorKind;
use millstream_types::{Applied, FunctionSpec, HttpTarget, LambdaTarget, Outcome, ProcessTarget, Target};
use tonic::Status;
use v1::function::Target as ApiTarget;
use v1::invoke_function_response::Outcome as ApiOutcome;

/// Where the settings are in a request.
pub(crate) const PREFIX: &str = "function.";
const DEFAULT_TIMEOUT_MS: u32 = 3_000;
const DEFAULT_CONCURRENCY: u32 = 10;
const DEFAULT_INIT_TIMEOUT_MS: u32 = 10_000;
const DEFAULT_MEMORY_MB: u32 = 128;
/// The paths that an update may name.
const PATHS: &[&str] = &[
    "process",
    "process.command",
    "process.working_dir",
    "process.env",
    "process.env_pass",
    "process.init_timeout",
    "process.memory_mb",
    "in_process",
    "http",
    "http.url",
    "lambda",
    "lambda.function",
    "timeout",
    "concurrency",
    tags::PATH,
    applied::PATH,
];

/// The settings of a new function. What cannot be read is refused, and has its default in the result.
pub(crate) fn new_spec(f: &v1::Function, refusals: &mut Refusals) -> FunctionSpec {
    FunctionSpec {
        target: target(f, refusals).unwrap_or(Target::InProcess),
        timeout_ms: timeout(f, refusals),
        concurrency: concurrency(f, refusals),
    }
}

/// The change that an update means.
pub(crate) fn update(
    f: &v1::Function,
    mask: Option<prost_types::FieldMask>,
    refusals: &mut Refusals,
) -> FunctionPatch {
    let mask = Mask::read(mask, PATHS, refusals);
    let mut patch = FunctionPatch {
        target: target_patch(f, &mask, refusals),
        ..FunctionPatch::default()
    };
    if mask.means("timeout", f.timeout.is_some()) {
        patch.timeout_ms = Some(timeout(f, refusals));
    }
    if mask.means("concurrency", f.concurrency.is_some()) {
        patch.concurrency = Some(concurrency(f, refusals));
    }
    if mask.means_fixed(applied::PATH, f.applied.is_some()) {
        patch.applied = refusals.take(applied(f));
    }
    if mask.means_fixed(tags::PATH, !f.tags.is_empty()) {
        patch.tags = refusals.take(tags::read("function.tags", &f.tags));
    }
    patch
}

/// What of it is applied from a file.
pub(crate) fn applied(f: &v1::Function) -> Result<Applied, Refusal> {
    applied::read("function.applied", f.applied.as_ref())
}

/// The whole targets that a mask may name.
const TARGETS: [&str; 4] = ["process", "in_process", "http", "lambda"];

/// A target that is named, or simply set, replaces the old one; single settings of it change it.
fn target_patch(f: &v1::Function, mask: &Mask, refusals: &mut Refusals) -> Option<TargetPatch> {
    let set = f.target.as_ref().map(|target| match target {
        ApiTarget::Process(_) => "process",
        ApiTarget::InProcess(_) => "in_process",
        ApiTarget::Http(_) => "http",
        ApiTarget::Lambda(_) => "lambda",
    });
    let meant = |path: &&str| mask.means(path, set == Some(*path));
    if TARGETS.iter().any(meant) {
        let other = |path: &&str| meant(path) && set.is_some_and(|set| set != *path);
        if matches!(mask, Mask::Named(_)) && TARGETS.iter().any(other) {
            refusals.add(Refusal::new(
                "update_mask",
                TARGETS.join(", "),
                "the target that the function sets",
            ));
            return None;
        }
        return target(f, refusals).map(TargetPatch::Replace);
    }
    let Mask::Named(paths) = mask else { return None };
    let named = |target: &&str| paths.iter().any(|p| p.starts_with(&format!("{target}.")));
    let named: Vec<&str> = TARGETS.into_iter().filter(|target| named(target)).collect();
    match named[..] {
        ["process"] => Some(TargetPatch::Process(process_patch(f, mask, refusals))),
        ["http"] => Some(TargetPatch::Http(HttpPatch {
            url: Some(match &f.target {
                Some(ApiTarget::Http(http)) => http.url.clone(),
                _ => String::new(),
            }),
        })),
        ["lambda"] => Some(TargetPatch::Lambda(LambdaPatch {
            function: Some(match &f.target {
                Some(ApiTarget::Lambda(lambda)) => lambda.function.clone(),
                _ => String::new(),
            }),
        })),
        [_, _, ..] => {
            let allowed = "settings of one target";
            refusals.add(Refusal::new("update_mask", named.join(", "), allowed));
            None
        }
        _ => None,
    }
}

fn process_patch(f: &v1::Function, mask: &Mask, refusals: &mut Refusals) -> ProcessPatch {
    let default = v1::ProcessTarget::default();
    let p = if let Some(ApiTarget::Process(p)) = &f.target {
        p
    } else {
        &default
    };
    let read = process_target(p, refusals);
    let named = |path: &str| mask.means(path, true);
    ProcessPatch {
        command: named("process.command").then_some(read.command),
        working_dir: named("process.working_dir").then_some(read.working_dir),
        env: named("process.env").then_some(read.env),
        env_pass: named("process.env_pass").then_some(read.env_pass),
        init_timeout_ms: named("process.init_timeout").then_some(read.init_timeout_ms),
        memory_mb: named("process.memory_mb").then_some(read.memory_mb),
    }
}

fn target(f: &v1::Function, refusals: &mut Refusals) -> Option<Target> {
    match &f.target {
        Some(ApiTarget::Process(p)) => Some(Target::Process(process_target(p, refusals))),
        Some(ApiTarget::InProcess(v1::InProcessTarget {})) => Some(Target::InProcess),
        Some(ApiTarget::Http(http)) => Some(Target::Http(HttpTarget {
            url: http.url.clone(),
        })),
        Some(ApiTarget::Lambda(lambda)) => Some(Target::Lambda(LambdaTarget {
            function: lambda.function.clone(),
        })),
        None => {
            refusals.add(Refusal::missing(
                "function.target",
                "set process, http, lambda or in_process",
            ));
            None
        }
    }
}

fn process_target(p: &v1::ProcessTarget, refusals: &mut Refusals) -> ProcessTarget {
    let field = "function.process.init_timeout";
    let init = p
        .init_timeout
        .as_ref()
        .and_then(|d| refusals.take(millis(field, d)));
    let memory = p
        .memory_mb
        .map(|mb| positive("function.process.memory_mb", mb, "128 to 10240"));
    ProcessTarget {
        command: p.command.clone(),
        working_dir: (!p.working_dir.is_empty()).then(|| p.working_dir.clone()),
        env: p.env.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        env_pass: p.env_pass.clone(),
        init_timeout_ms: init.unwrap_or(DEFAULT_INIT_TIMEOUT_MS),
        memory_mb: memory.and_then(|m| refusals.take(m)).unwrap_or(DEFAULT_MEMORY_MB),
    }
}

fn timeout(f: &v1::Function, refusals: &mut Refusals) -> u32 {
    let read = f
        .timeout
        .as_ref()
        .and_then(|d| refusals.take(millis("function.timeout", d)));
    read.unwrap_or(DEFAULT_TIMEOUT_MS)
}

fn concurrency(f: &v1::Function, refusals: &mut Refusals) -> u32 {
    let read = f
        .concurrency
        .map(|n| positive("function.concurrency", n, "1 to 1000"));
    read.and_then(|n| refusals.take(n)).unwrap_or(DEFAULT_CONCURRENCY)
}

fn positive(field: &str, value: i32, allowed: &str) -> Result<u32, Refusal> {
    u32::try_from(value).map_err(|_| Refusal::new(field, value, allowed))
}

/// A function as configured, and what runs. Every setting is shown, those at their default too.
pub(crate) fn to_api(view: &FunctionView) -> v1::Function {
    let FunctionView { function: f, pool } = view;
    v1::Function {
        name: names::full(&f.namespace, names::FUNCTIONS, &f.name),
        etag: names::etag(f.revision),
        create_time: Some(timestamp(f.created)),
        update_time: Some(timestamp(f.modified)),
        generation: count(f.generation),
        arn: function_arn(&f.name),
        target: Some(match &f.spec.target {
            Target::InProcess => ApiTarget::InProcess(v1::InProcessTarget {}),
            Target::Process(p) => ApiTarget::Process(process_to_api(p)),
            Target::Http(http) => ApiTarget::Http(v1::HttpTarget {
                url: http.url.clone(),
            }),
            Target::Lambda(lambda) => ApiTarget::Lambda(v1::LambdaTarget {
                function: lambda.function.clone(),
            }),
        }),
        timeout: Some(duration(f.spec.timeout_ms.into())),
        concurrency: Some(small(f.spec.concurrency)),
        pool: Some(v1::PoolStatus {
            processes: small(pool.processes),
            in_flight: small(pool.in_flight),
            started: count(pool.started),
            crashed: count(pool.crashed),
        }),
        applied: applied::to_api(&f.applied),
        tags: tags::to_api(&f.tags),
    }
}

fn process_to_api(p: &ProcessTarget) -> v1::ProcessTarget {
    v1::ProcessTarget {
        command: p.command.clone(),
        working_dir: p.working_dir.clone().unwrap_or_default(),
        env: p.env.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        env_pass: p.env_pass.clone(),
        init_timeout: Some(duration(p.init_timeout_ms.into())),
        memory_mb: Some(small(p.memory_mb)),
    }
}

/// What came of a call by hand. A failure of the function is an answer; that it was not called is an error.
pub(crate) fn invoked(result: InvokeResult) -> Result<v1::InvokeFunctionResponse, Status> {
    use v1::FunctionErrorKind as Kind;
    let failed = |kind: Kind, error_type, message| {
        ApiOutcome::FunctionError(v1::FunctionError {
            kind: kind.into(),
            r#type: error_type,
            message,
        })
    };
    let outcome = match result.outcome {
        Outcome::Response(payload) => ApiOutcome::Payload(payload),
        Outcome::FunctionError(e) => failed(kind(e.kind), e.error_type, e.message),
        Outcome::Timeout { after } => {
            let message = format!("Task timed out after {:.2} seconds", after.as_secs_f64());
            failed(Kind::Timeout, "Sandbox.Timedout".to_owned(), message)
        }
        Outcome::Throttled { retry_after } => {
            let message =
                "the function has no capacity now: it runs as often as it may, or its server said so";
            return Err(status::retry(Reason::FunctionThrottled, message, retry_after));
        }
        Outcome::Unreachable { reason } => {
            return Err(status::retry(Reason::FunctionUnreachable, &reason, None));
        }
    };
    Ok(v1::InvokeFunctionResponse {
        request_id: result.request_id.to_string(),
        duration: Some(duration(result.duration_ms)),
        outcome: Some(outcome),
    })
}

fn kind(kind: FunctionErrorKind) -> v1::FunctionErrorKind {
    match kind {
        FunctionErrorKind::Raised => v1::FunctionErrorKind::Raised,
        FunctionErrorKind::Exited => v1::FunctionErrorKind::Exited,
        FunctionErrorKind::Crashed => v1::FunctionErrorKind::Crashed,
        FunctionErrorKind::Garbage => v1::FunctionErrorKind::Garbage,
        FunctionErrorKind::ResponseTooLarge => v1::FunctionErrorKind::ResponseTooLarge,
        FunctionErrorKind::Init => v1::FunctionErrorKind::Init,
        FunctionErrorKind::InitTimeout => v1::FunctionErrorKind::InitTimeout,
        FunctionErrorKind::Disconnected => v1::FunctionErrorKind::Disconnected,
    }
}

#[cfg(test)]
mod tests;
