//! Create, get, list, update and delete of event source mappings.

use super::error::{AwsError, Exception};
use super::request::MappingRequest;
use super::route::Query;
use super::{Answer, Result, json, model, namespace, paging, rules, shape};
use hyper::StatusCode;
use millstream_engine::manage::{ManageError, Manager, MappingState};
use millstream_engine::view::MappingView;
use millstream_types::{Desired, Mapping, MappingId, MappingName};
use serde_json::{Value, json};

/// Most mappings of a page (semantics, section 1).
const PAGE: usize = 100;
/// How many mappings are looked at for a page before it is given as it is: an answer takes no longer than that, and the
/// next page goes on there.
const MOST_SEEN: usize = 10_000;
/// How often a change is tried again when another came between.
const TRIES: usize = 5;
const SCOPE: &str = "aws/event-source-mappings";

fn not_found() -> AwsError {
    AwsError::not_found("The resource you requested does not exist.")
}

/// A change that was just made is shown as being under way, as AWS does, though it may have been taken up by now.
fn under_way(mut view: MappingView, old: Option<&Mapping>) -> MappingView {
    let new = &view.mapping;
    let settled = matches!(view.status.state, MappingState::Active | MappingState::Paused);
    view.status.state = match old {
        _ if !settled => view.status.state,
        None => MappingState::Creating,
        Some(old) if old.generation == new.generation => view.status.state,
        Some(old) if old.desired == new.desired => MappingState::Updating,
        Some(_) if new.desired == Desired::Paused => MappingState::Pausing,
        Some(_) => MappingState::Resuming,
    };
    view
}

fn configuration(status: StatusCode, view: &MappingView) -> Answer {
    json(status, &shape::mapping(view))
}

pub(super) async fn create(manager: &Manager, body: &[u8]) -> Result<Answer> {
    let request = MappingRequest::create(body)?;
    model::create(&request)?;
    let draft = rules::create(&request)?;
    // The rules of settings first: a source that is not read is told last.
    if let Some(violation) = manager.check_mapping(&draft.new.spec).into_iter().next() {
        return Err(ManageError::Invalid(millstream_engine::manage::Violations(vec![violation])).into());
    }
    let view = manager.create_mapping(draft.finish()?, false).await?;
    Ok(configuration(StatusCode::ACCEPTED, &under_way(view, None)))
}

/// The mapping of a UUID.
pub(super) async fn find(manager: &Manager, id: &str) -> Result<MappingView> {
    let id: MappingId = id.parse().map_err(|_| not_found())?;
    Ok(manager.mapping_by_id(&namespace(), id).await?)
}

pub(super) async fn get(manager: &Manager, id: &str) -> Result<Answer> {
    Ok(configuration(StatusCode::OK, &find(manager, id).await?))
}

pub(super) async fn list(manager: &Manager, mut query: Query) -> Result<Answer> {
    let (source, function) = (query.take("EventSourceArn"), query.take("FunctionName"));
    let (marker, max_items) = (query.take("Marker"), query.take("MaxItems"));
    query.finish()?;
    let asked = model::list(source.as_deref(), function.as_deref(), max_items.as_deref())?;
    let size = paging::size(asked, PAGE);
    let scope = format!(
        "{SCOPE}?{}&{}",
        source.as_deref().unwrap_or_default(),
        function.as_deref().unwrap_or_default()
    );
    let mut after: Option<MappingName> = paging::open(&scope, marker.as_deref())?;
    let wanted = Filter::new(source, function.as_deref());
    let (mut found, mut seen) = (Vec::new(), 0);
    let more = 'pages: loop {
        let page = manager.mappings(&namespace(), after.as_ref(), PAGE).await?;
        for view in &page.items {
            if found.len() == size || seen == MOST_SEEN {
                break 'pages true;
            }
            seen += 1;
            after = Some(view.mapping.name.clone());
            if wanted.matches(view) {
                found.push(shape::mapping(view));
            }
        }
        if !page.more {
            break false;
        }
    };
    let mut body = json!({"EventSourceMappings": found});
    if let (true, Some(after), Value::Object(members)) = (more, after, &mut body) {
        let marker = paging::seal(&scope, after.as_str());
        members.insert("NextMarker".into(), marker.into());
    }
    Ok(json(StatusCode::OK, &body))
}

/// What a listing is of.
struct Filter {
    source: Option<String>,
    /// None for all functions.
    function: Option<String>,
}

impl Filter {
    fn new(source: Option<String>, function: Option<&str>) -> Self {
        Self {
            source: source.filter(|arn| !arn.is_empty()),
            function: function.map(str::to_owned),
        }
    }

    fn matches(&self, view: &MappingView) -> bool {
        let spec = &view.mapping.spec;
        let of_source = self.source.as_ref().is_none_or(|arn| arn == spec.source.as_str());
        let of_function = self
            .function
            .as_ref()
            .is_none_or(|name| spec.function.is_named_by(name));
        of_source && of_function
    }
}

/// AWS changes and removes only what it shows as settled (semantics, section 1).
fn settled(view: &MappingView, verb: &str) -> Result<()> {
    match shape::state(&view.mapping, view.status.state) {
        "Enabled" | "Disabled" => Ok(()),
        _ => Err(in_use(verb)),
    }
}

fn in_use(verb: &str) -> AwsError {
    let message = format!("Cannot {verb} the event source mapping because it is in use.");
    AwsError::new(Exception::ResourceInUse, message)
}

pub(super) async fn update(manager: &Manager, id: &str, body: &[u8]) -> Result<Answer> {
    let request = MappingRequest::update(body)?;
    model::update(&request)?;
    for _ in 0..TRIES {
        let old = find(manager, id).await?;
        settled(&old, "update")?;
        let mapping = &old.mapping;
        let patch = rules::update(&request, mapping.spec.source.kind())?;
        if let Some(function) = &patch.function {
            // AWS checks a function that is named, also if it was before.
            manager
                .check_function_of(&namespace(), &mapping.spec.source, function)
                .await?;
        }
        let revision = Some(mapping.revision);
        match manager
            .update_mapping(&namespace(), &mapping.name, &patch, revision, false)
            .await
        {
            Err(ManageError::Conflict { .. }) => {}
            changed => {
                let shown = under_way(changed?, Some(&old.mapping));
                return Ok(configuration(StatusCode::ACCEPTED, &shown));
            }
        }
    }
    Err(in_use("update"))
}

pub(super) async fn delete(manager: &Manager, id: &str) -> Result<Answer> {
    for _ in 0..TRIES {
        let old = find(manager, id).await?;
        settled(&old, "delete")?;
        let mapping = &old.mapping;
        let revision = Some(mapping.revision);
        match manager
            .delete_mapping(&namespace(), &mapping.name, revision, false)
            .await
        {
            Err(ManageError::Conflict { .. }) => {}
            deleted => return Ok(configuration(StatusCode::ACCEPTED, &deleted?)),
        }
    }
    Err(in_use("delete"))
}
