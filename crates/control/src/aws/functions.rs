//! Functions, as far as clients of event source mappings look at them.

use super::arn::NamedFunction;
use super::constraint::Constraints;
use super::error::AwsError;
use super::route::Query;
use super::{Answer, Result, json, model, namespace, paging};
use hyper::StatusCode;
use millstream_engine::manage::{FunctionView, ManageError, Manager};
use millstream_types::arn::{LOCAL_ACCOUNT, LOCAL_REGION};
use millstream_types::function::function_arn;
use millstream_types::{Function, FunctionName, Target, Wall};
use serde_json::{Value, json};

/// Most functions of a page (AWS).
const PAGE: usize = 50;
const SCOPE: &str = "aws/functions";
/// The memory of what has no setting for it; AWS's default.
const MEMORY_MB: u32 = 128;

/// The function that a path and the parameter `Qualifier` name.
pub(super) async fn find(manager: &Manager, text: &str, qualifier: Option<&str>) -> Result<FunctionView> {
    let mut c = Constraints::default();
    model::function_name(&mut c, Some(text));
    c.check()?;
    let arn = |name: &str, qualifier: Option<&str>| {
        let qualifier = qualifier.map_or_else(String::new, |q| format!(":{q}"));
        format!("arn:aws:lambda:{LOCAL_REGION}:{LOCAL_ACCOUNT}:function:{name}{qualifier}")
    };
    let named = NamedFunction::parse(text)
        .ok_or_else(|| AwsError::not_found(format!("Function not found: {text}")))?;
    if let (Some(a), Some(b)) = (named.qualifier.as_deref(), qualifier)
        && a != b
    {
        return Err(AwsError::invalid(
            "The derived qualifier from the function name does not match the specified qualifier.",
        ));
    }
    let qualifier = named.qualifier.as_deref().or(qualifier);
    let missing = || AwsError::not_found(format!("Function not found: {}", arn(&named.name, qualifier)));
    // Every function is its newest version; it has no other.
    if !named.is_local || qualifier.is_some_and(|q| q != "$LATEST") {
        return Err(missing());
    }
    let name = FunctionName::new(&named.name).map_err(|_| missing())?;
    match manager.function(&namespace(), &name).await {
        Err(ManageError::NotFound { .. }) => Err(missing()),
        other => Ok(other?),
    }
}

pub(super) async fn get(manager: &Manager, text: &str, mut query: Query) -> Result<Answer> {
    let qualifier = query.take("Qualifier");
    query.finish()?;
    let FunctionView { function, .. } = find(manager, text, qualifier.as_deref()).await?;
    let mut shown = json!({
        "Configuration": configuration(&function),
        "Code": {},
        "Concurrency": {"ReservedConcurrentExecutions": function.spec.concurrency},
    });
    if let (false, Value::Object(members)) = (function.tags.is_empty(), &mut shown) {
        members.insert("Tags".into(), json!(function.tags.as_map()));
    }
    Ok(json(StatusCode::OK, &shown))
}

pub(super) async fn get_configuration(manager: &Manager, text: &str, mut query: Query) -> Result<Answer> {
    let qualifier = query.take("Qualifier");
    query.finish()?;
    let view = find(manager, text, qualifier.as_deref()).await?;
    Ok(json(StatusCode::OK, &configuration(&view.function)))
}

pub(super) async fn list(manager: &Manager, mut query: Query) -> Result<Answer> {
    let (marker, max_items) = (query.take("Marker"), query.take("MaxItems"));
    let version = query.take("FunctionVersion");
    query.finish()?;
    let mut c = Constraints::default();
    // All versions of all functions are their only ones.
    c.one_of("functionVersion", version.as_deref(), &["ALL"]);
    let asked = model::page(&mut c, max_items.as_deref())?;
    c.check()?;
    let after: Option<FunctionName> = paging::open(SCOPE, marker.as_deref())?;
    let page = manager
        .functions(&namespace(), after.as_ref(), paging::size(asked, PAGE))
        .await?;
    let shown: Vec<Value> = page
        .items
        .iter()
        .map(|view| configuration(&view.function))
        .collect();
    let mut body = json!({"Functions": shown});
    if let (true, Some(last), Value::Object(members)) = (page.more, page.items.last(), &mut body) {
        let marker = paging::seal(SCOPE, last.function.name.as_str());
        members.insert("NextMarker".into(), marker.into());
    }
    Ok(json(StatusCode::OK, &body))
}

/// `FunctionConfiguration`, with what there is of it here.
fn configuration(f: &Function) -> Value {
    let memory = match &f.spec.target {
        Target::Process(process) => process.memory_mb,
        Target::InProcess | Target::Http(_) | Target::Lambda(_) => MEMORY_MB,
    };
    json!({
        "FunctionName": f.name.as_str(),
        "FunctionArn": function_arn(&f.name),
        "Role": format!("arn:aws:iam::{LOCAL_ACCOUNT}:role/millstream"),
        "Version": "$LATEST",
        "Description": description(&f.spec.target),
        "Timeout": f.spec.timeout_ms.div_ceil(1_000),
        "MemorySize": memory,
        "CodeSize": 0,
        "PackageType": "Zip",
        "LastModified": date_time(f.modified),
        "RevisionId": f.revision.to_string(),
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "TracingConfig": {"Mode": "PassThrough"},
    })
}

/// How it is reached, which Lambda has no member for.
fn description(target: &Target) -> String {
    match target {
        Target::Lambda(lambda) => format!("lambda target {}", lambda.function),
        Target::InProcess | Target::Process(_) | Target::Http(_) => format!("{} target", target.kind()),
    }
}

/// `2026-01-01T00:00:00.123+0000`, as Lambda writes it.
fn date_time(at: Wall) -> String {
    let basic = super::signature::basic(at.0 / 1_000);
    let part = |from: usize, to: usize| basic.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}T{}:{}:{}.{:03}+0000",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(9, 11),
        part(11, 13),
        part(13, 15),
        at.0 % 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::LambdaTarget;

    #[test]
    fn what_is_called_elsewhere_is_named() {
        let lambda = LambdaTarget {
            function: "orders:live".to_owned(),
        };
        for (target, expected) in [
            (Target::Lambda(lambda), "lambda target orders:live"),
            (Target::InProcess, "in_process target"),
        ] {
            assert_eq!(description(&target), expected);
        }
    }

    #[test]
    fn times_are_written_as_lambda_does() {
        assert_eq!(date_time(Wall(1_700_000_000_123)), "2023-11-14T22:13:20.123+0000");
    }
}
