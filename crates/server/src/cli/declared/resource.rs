//! Resources of all kinds through one set of calls.

use crate::cli::error::CliError;
use crate::cli::output::{Shown, from_json, to_json};
use crate::cli::paging;
use crate::cli::session::Session;
use crate::manifest::{Kind, Live, ObjectId, Settings, Tree, document};
use millstream_api::v1;
use prost_types::FieldMask;
use serde_json::Value;
use std::collections::BTreeMap;
use tonic::{Code, Status};

/// A resource as the server has it.
#[derive(Clone, Debug)]
pub(crate) enum Resource {
    Stream(Box<v1::Stream>),
    Function(Box<v1::Function>),
    Queue(Box<v1::Queue>),
    Mapping(Box<v1::Mapping>),
}

/// What a call is to make or change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) id: &'a ObjectId,
    /// The version it is based on; empty for what is new.
    pub(crate) etag: &'a str,
    /// The settings that an update names.
    pub(crate) mask: &'a [&'static str],
    /// Their values, or all of something new.
    pub(crate) values: &'a Settings,
    /// What is applied.
    pub(crate) applied: &'a Settings,
    /// Check only.
    pub(crate) validate_only: bool,
}

impl Resource {
    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Stream(_) => Kind::Stream,
            Self::Function(_) => Kind::Function,
            Self::Queue(_) => Kind::Queue,
            Self::Mapping(_) => Kind::Mapping,
        }
    }

    /// What names it.
    pub(crate) fn id(&self) -> ObjectId {
        let mut parts = self.name().split('/').skip(1).step_by(2);
        ObjectId {
            kind: self.kind(),
            namespace: parts.next().unwrap_or_default().to_owned(),
            name: parts.next().unwrap_or_default().to_owned(),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Stream(s) => &s.name,
            Self::Function(f) => &f.name,
            Self::Queue(q) => &q.name,
            Self::Mapping(m) => &m.name,
        }
    }

    /// The version it is.
    pub(crate) fn etag(&self) -> &str {
        match self {
            Self::Stream(s) => &s.etag,
            Self::Function(f) => &f.etag,
            Self::Queue(q) => &q.etag,
            Self::Mapping(m) => &m.etag,
        }
    }

    fn json(&self) -> Result<String, CliError> {
        match self {
            Self::Stream(s) => to_json(&**s, false),
            Self::Function(f) => to_json(&**f, false),
            Self::Queue(q) => to_json(&**q, false),
            Self::Mapping(m) => to_json(&**m, false),
        }
    }

    /// Its settings, and which of them were applied.
    ///
    /// # Errors
    /// If it does not fit its own descriptor, which is a fault of this program.
    pub(crate) fn live(&self) -> Result<Live, CliError> {
        let message: Value = parse(&self.json()?)?;
        let at = |path: &str| path.split('.').try_fold(&message, |value, key| value.get(key));
        let settings = self.kind().fields().iter().filter_map(|field| {
            let value = field.form.of_api(at(field.path)?)?;
            Some((field.path, value))
        });
        let applied = at("applied.settings").and_then(Value::as_object);
        let applied = applied.into_iter().flatten().map(|(path, json)| {
            let text = json.as_str().unwrap_or_default();
            // Not written by this program if it is no JSON: it then equals no setting, as if changed by others.
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            (path.clone(), value)
        });
        Ok(Live {
            settings: settings.collect(),
            applied: applied.collect::<BTreeMap<_, _>>(),
        })
    }

    /// The document that can be applied again, with everything else the server tells in its status.
    ///
    /// # Errors
    /// As [`Resource::live`].
    pub(crate) fn document(&self) -> Result<Tree, CliError> {
        let mut status: Tree = parse(&self.json()?)?;
        let live = self.live()?;
        status.remove("name");
        for field in self.kind().fields() {
            status.remove(field.path);
        }
        if !live.applied.is_empty() {
            let applied = live.applied.into_iter().collect::<serde_json::Map<_, _>>();
            status.set("applied", Tree::from(&Value::Object(applied)));
        }
        let id = self.id();
        Ok(document(
            id.kind,
            &id.namespace,
            &id.name,
            &live.settings,
            Some(status),
        ))
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(json: &'a str) -> Result<T, CliError> {
    serde_json::from_str(json)
        .map_err(|e| CliError::failed("INTERNAL", format!("a resource cannot be shown: {e}"), ""))
}

impl Change<'_> {
    fn parent(&self) -> String {
        format!("namespaces/{}", self.id.namespace)
    }

    fn mask(&self) -> Option<FieldMask> {
        let paths = self.mask.iter().copied().chain(["applied"]);
        Some(FieldMask {
            paths: paths.map(str::to_owned).collect(),
        })
    }

    /// The message that carries it; for something new without a name, which the request has.
    fn message<M: Shown + Default>(&self, named: bool) -> Result<M, Status> {
        let mut message = Tree::Map(Vec::new());
        if named {
            message.set("name", Tree::text(self.id.resource()));
            message.set("etag", Tree::text(self.etag));
        }
        for field in self.id.kind.fields() {
            if let Some(value) = self.values.get(field.path) {
                message.set(field.path, Tree::from(&field.form.to_api(value)));
            }
        }
        let noted = self
            .applied
            .iter()
            .map(|(path, value)| ((*path).to_owned(), Value::from(value.to_string())))
            .collect::<serde_json::Map<_, _>>();
        message.set("applied.settings", Tree::from(&Value::Object(noted)));
        let json = serde_json::to_string(&message).map_err(|e| Status::internal(e.to_string()))?;
        from_json(&json).map_err(|e| Status::internal(e.lines().join(" ")))
    }
}

/// The resource, if there is one.
///
/// # Errors
/// If the server cannot be asked.
pub(crate) async fn get(session: &Session, id: &ObjectId) -> Result<Option<Resource>, CliError> {
    let name = id.resource();
    let found = match id.kind {
        Kind::Stream => {
            let request = session.request(v1::GetStreamRequest { name });
            let answer = session.streams().get_stream(request).await;
            answer.map(|s| Resource::Stream(Box::new(s.into_inner())))
        }
        Kind::Function => {
            let request = session.request(v1::GetFunctionRequest { name });
            let answer = session.functions().get_function(request).await;
            answer.map(|f| Resource::Function(Box::new(f.into_inner())))
        }
        Kind::Queue => {
            let request = session.request(v1::GetQueueRequest { name });
            let answer = session.queues().get_queue(request).await;
            answer.map(|q| Resource::Queue(Box::new(q.into_inner())))
        }
        Kind::Mapping => {
            let request = session.request(v1::GetMappingRequest { name });
            let answer = session.mappings().get_mapping(request).await;
            answer.map(|m| Resource::Mapping(Box::new(m.into_inner())))
        }
    };
    match found {
        Ok(resource) => Ok(Some(resource)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}

/// All resources of a kind in the session's namespace, in the order of their names.
///
/// # Errors
/// If the server cannot be asked.
pub(crate) async fn list(session: &Session, kind: Kind) -> Result<Vec<Resource>, CliError> {
    let (parent, page_size) = (session.parent(), paging::PAGE);
    macro_rules! pages {
        ($client:ident, $call:ident, $request:ident, $items:ident, $resource:ident) => {
            paging::collect(0, |page_token| {
                let parent = parent.clone();
                let request = session.request(v1::$request {
                    parent,
                    page_size,
                    page_token,
                });
                let mut client = session.$client();
                async move {
                    let page = client.$call(request).await?.into_inner();
                    let items = page
                        .$items
                        .into_iter()
                        .map(|i| Resource::$resource(Box::new(i)));
                    Ok((items.collect(), page.next_page_token))
                }
            })
            .await
        };
    }
    let (resources, _) = match kind {
        Kind::Stream => pages!(streams, list_streams, ListStreamsRequest, streams, Stream),
        Kind::Function => pages!(
            functions,
            list_functions,
            ListFunctionsRequest,
            functions,
            Function
        ),
        Kind::Queue => pages!(queues, list_queues, ListQueuesRequest, queues, Queue),
        Kind::Mapping => pages!(mappings, list_mappings, ListMappingsRequest, mappings, Mapping),
    }?;
    Ok(resources)
}

/// Makes something new, or checks whether it could be made.
///
/// # Errors
/// The server's.
pub(crate) async fn create(session: &Session, change: Change<'_>) -> Result<Resource, Status> {
    let (parent, id, validate_only) = (change.parent(), change.id.name.clone(), change.validate_only);
    let made = match change.id.kind {
        Kind::Stream => {
            let request = session.request(v1::CreateStreamRequest {
                parent,
                stream_id: id,
                stream: Some(change.message(false)?),
                validate_only,
            });
            let made = session.streams().create_stream(request).await?;
            Resource::Stream(Box::new(made.into_inner()))
        }
        Kind::Function => {
            let request = session.request(v1::CreateFunctionRequest {
                parent,
                function_id: id,
                function: Some(change.message(false)?),
                request_id: String::new(),
                validate_only,
            });
            let made = session.functions().create_function(request).await?;
            Resource::Function(Box::new(made.into_inner()))
        }
        Kind::Queue => {
            let request = session.request(v1::CreateQueueRequest {
                parent,
                queue_id: id,
                queue: Some(change.message(false)?),
                validate_only,
            });
            let made = session.queues().create_queue(request).await?;
            Resource::Queue(Box::new(made.into_inner()))
        }
        Kind::Mapping => {
            let request = session.request(v1::CreateMappingRequest {
                parent,
                mapping_id: id,
                mapping: Some(change.message(false)?),
                request_id: String::new(),
                validate_only,
            });
            let made = session.mappings().create_mapping(request).await?;
            Resource::Mapping(Box::new(made.into_inner()))
        }
    };
    Ok(made)
}

/// Changes what the mask names and notes what is applied, or checks whether that could be done.
///
/// # Errors
/// The server's; ABORTED if the version changed is not the newest.
pub(crate) async fn update(session: &Session, change: Change<'_>) -> Result<Resource, Status> {
    let (update_mask, validate_only) = (change.mask(), change.validate_only);
    let changed = match change.id.kind {
        Kind::Stream => {
            let request = session.request(v1::UpdateStreamRequest {
                stream: Some(change.message(true)?),
                update_mask,
                validate_only,
            });
            let changed = session.streams().update_stream(request).await?;
            Resource::Stream(Box::new(changed.into_inner()))
        }
        Kind::Function => {
            let request = session.request(v1::UpdateFunctionRequest {
                function: Some(change.message(true)?),
                update_mask,
                validate_only,
            });
            let changed = session.functions().update_function(request).await?;
            Resource::Function(Box::new(changed.into_inner()))
        }
        Kind::Queue => {
            let request = session.request(v1::UpdateQueueRequest {
                queue: Some(change.message(true)?),
                update_mask,
                validate_only,
            });
            let changed = session.queues().update_queue(request).await?;
            Resource::Queue(Box::new(changed.into_inner()))
        }
        Kind::Mapping => {
            let request = session.request(v1::UpdateMappingRequest {
                mapping: Some(change.message(true)?),
                update_mask,
                validate_only,
            });
            let changed = session.mappings().update_mapping(request).await?;
            Resource::Mapping(Box::new(changed.into_inner()))
        }
    };
    Ok(changed)
}

/// Removes it; of a mapping, begins to.
///
/// # Errors
/// The server's.
pub(crate) async fn delete(session: &Session, id: &ObjectId) -> Result<(), Status> {
    let (name, etag) = (id.resource(), String::new());
    match id.kind {
        Kind::Stream => {
            let request = session.request(v1::DeleteStreamRequest { name, etag });
            session.streams().delete_stream(request).await?;
        }
        Kind::Function => {
            let request = session.request(v1::DeleteFunctionRequest {
                name,
                etag,
                validate_only: false,
            });
            session.functions().delete_function(request).await?;
        }
        Kind::Queue => {
            let request = session.request(v1::DeleteQueueRequest { name, etag });
            session.queues().delete_queue(request).await?;
        }
        Kind::Mapping => {
            let request = session.request(v1::DeleteMappingRequest {
                name,
                etag,
                validate_only: false,
            });
            session.mappings().delete_mapping(request).await?;
        }
    }
    Ok(())
}
