//! Tags of mappings and functions.

use super::arn::NamedFunction;
use super::error::AwsError;
use super::members::Members;
use super::route::Query;
use super::{Answer, Result, empty, json, mappings, namespace};
use hyper::StatusCode;
use millstream_engine::manage::{FunctionPatch, ManageError, Manager, MappingPatch};
use millstream_types::arn::{LOCAL_ACCOUNT, LOCAL_REGION};
use millstream_types::{Function, FunctionName, Mapping, Tags};
use serde_json::json;
use std::collections::BTreeMap;

/// How often a change is tried again when another came between.
const TRIES: usize = 5;

/// What is tagged.
enum Tagged {
    Mapping(Box<Mapping>),
    Function(Box<Function>),
}

impl Tagged {
    async fn find(manager: &Manager, arn: &str) -> Result<Self> {
        let ours = format!("arn:aws:lambda:{LOCAL_REGION}:{LOCAL_ACCOUNT}:");
        let of = |kind: &str| arn.split(':').nth(5) == Some(kind);
        if of("event-source-mapping") {
            let missing = || AwsError::not_found(format!("Event source mapping not found: {arn}"));
            let id = arn.strip_prefix(&ours).and_then(|rest| rest.split_once(':'));
            let (_, id) = id.ok_or_else(missing)?;
            return match mappings::find(manager, id).await {
                Ok(view) => Ok(Self::Mapping(Box::new(view.mapping))),
                Err(e) if e.status() == StatusCode::NOT_FOUND => Err(missing()),
                Err(e) => Err(e),
            };
        }
        if of("function") {
            let missing = || AwsError::not_found(format!("Function not found: {arn}"));
            let named = NamedFunction::parse(arn).filter(|f| f.is_local && f.qualifier.is_none());
            let name = named
                .and_then(|f| FunctionName::new(f.name).ok())
                .ok_or_else(missing)?;
            return match manager.function(&namespace(), &name).await {
                Ok(view) => Ok(Self::Function(Box::new(view.function))),
                Err(ManageError::NotFound { .. }) => Err(missing()),
                Err(e) => Err(e.into()),
            };
        }
        let allowed = "the ARN of an event source mapping or of a function";
        Err(AwsError::not_valid("Resource", arn, allowed))
    }

    fn tags(&self) -> &Tags {
        match self {
            Self::Mapping(mapping) => &mapping.tags,
            Self::Function(function) => &function.tags,
        }
    }

    async fn put(&self, manager: &Manager, tags: Tags) -> Result<(), ManageError> {
        let tags = Some(tags);
        match self {
            Self::Mapping(m) => {
                let patch = MappingPatch {
                    tags,
                    ..MappingPatch::default()
                };
                let revision = Some(m.revision);
                let put = manager.update_mapping(&m.namespace, &m.name, &patch, revision, false);
                put.await.map(drop)
            }
            Self::Function(f) => {
                let patch = FunctionPatch {
                    tags,
                    ..FunctionPatch::default()
                };
                let revision = Some(f.revision);
                let put = manager.update_function(&f.namespace, &f.name, &patch, revision, false);
                put.await.map(drop)
            }
        }
    }
}

pub(super) async fn list(manager: &Manager, arn: &str, query: Query) -> Result<Answer> {
    query.finish()?;
    let tagged = Tagged::find(manager, arn).await?;
    Ok(json(StatusCode::OK, &json!({"Tags": tagged.tags().as_map()})))
}

pub(super) async fn add(manager: &Manager, arn: &str, body: &[u8]) -> Result<Answer> {
    let mut members = Members::of_body(body)?;
    let new = members.text_map("Tags")?;
    members.finish()?;
    let new = new.ok_or_else(|| AwsError::invalid("Tags is required"))?;
    change(manager, arn, |tags| tags.extend(new.clone())).await
}

pub(super) async fn remove(manager: &Manager, arn: &str, mut query: Query) -> Result<Answer> {
    let names = query.take_all("tagKeys");
    query.finish()?;
    if names.is_empty() {
        return Err(AwsError::invalid(
            "TagKeys is required: at least one parameter tagKeys",
        ));
    }
    change(manager, arn, |tags| tags.retain(|name, _| !names.contains(name))).await
}

async fn change(
    manager: &Manager,
    arn: &str,
    change: impl Fn(&mut BTreeMap<String, String>) + Send + Sync,
) -> Result<Answer> {
    for _ in 0..TRIES {
        let tagged = Tagged::find(manager, arn).await?;
        let mut tags = tagged.tags().as_map().clone();
        change(&mut tags);
        let tags = Tags::new(tags).map_err(|e| AwsError::invalid(format!("Tags is not valid: {e}")))?;
        match tagged.put(manager, tags).await {
            Err(ManageError::Conflict { .. }) => {}
            put => return put.map(|()| empty(StatusCode::NO_CONTENT)).map_err(Into::into),
        }
    }
    Err(AwsError::new(
        super::error::Exception::ResourceConflict,
        "the resource is being changed by others: try again",
    ))
}
