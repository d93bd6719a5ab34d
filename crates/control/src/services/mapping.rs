//! `MappingService` over the manager.

use super::watch;
use crate::convert::{inspect, mapping as convert, tags};
use crate::refusal::{Refusal, Refusals};
use crate::{names, page, status};
use futures::stream::BoxStream;
use millstream_api::v1;
use millstream_engine::manage::{ManageError, Manager, NewMapping, check_request_id};
use millstream_engine::view::MappingView;
use millstream_types::{MappingName, Namespace};
use tonic::{Request, Response, Status};

pub(super) struct Mappings(pub(super) Manager);

type Answer<T> = Result<Response<T>, Status>;

fn failed(e: ManageError) -> Status {
    status::of_manage(e, convert::PREFIX)
}

fn answer(view: Result<MappingView, ManageError>) -> Answer<v1::Mapping> {
    view.map(|view| Response::new(convert::to_api(&view)))
        .map_err(failed)
}

fn name(text: &str) -> Result<(Namespace, MappingName), Refusal> {
    names::resource("name", text, names::MAPPINGS)
}

#[tonic::async_trait]
impl v1::mapping_service_server::MappingService for Mappings {
    async fn create_mapping(&self, request: Request<v1::CreateMappingRequest>) -> Answer<v1::Mapping> {
        let r = request.into_inner();
        let new = self.read_new(&r)?;
        answer(self.0.create_mapping(new, r.validate_only).await)
    }

    async fn get_mapping(&self, request: Request<v1::GetMappingRequest>) -> Answer<v1::Mapping> {
        let (namespace, name) = name(&request.get_ref().name)?;
        answer(self.0.mapping(&namespace, &name).await)
    }

    async fn list_mappings(
        &self,
        request: Request<v1::ListMappingsRequest>,
    ) -> Answer<v1::ListMappingsResponse> {
        let r = request.into_inner();
        let namespace = names::parent("parent", &r.parent)?;
        let scope = format!("{}/mappings", r.parent);
        let after = page::open_as(&scope, &r.page_token)?;
        let listed = self
            .0
            .mappings(&namespace, after.as_ref(), page::size(r.page_size)?)
            .await
            .map_err(failed)?;
        let mut mappings: Vec<_> = listed.items.iter().map(convert::to_api).collect();
        let more = page::fit(&mut mappings) || listed.more;
        let last = mappings.len().checked_sub(1).and_then(|i| listed.items.get(i));
        let next = last
            .filter(|_| more)
            .map(|v| page::seal(&scope, v.mapping.name.as_str().as_bytes()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListMappingsResponse {
            mappings,
            next_page_token,
        }))
    }

    async fn update_mapping(&self, request: Request<v1::UpdateMappingRequest>) -> Answer<v1::Mapping> {
        let r = request.into_inner();
        let m = r
            .mapping
            .ok_or_else(|| Refusal::missing("mapping", "what to change, and its name"))?;
        let (namespace, name) = names::resource::<MappingName>("mapping.name", &m.name, names::MAPPINGS)?;
        let mut refusals = Refusals::default();
        let expected = refusals.take(names::revision("mapping.etag", &m.etag)).flatten();
        let patch = convert::update(&m, &namespace, r.update_mask, &mut refusals);
        refusals.check()?;
        let patch = patch.unwrap_or_default();
        answer(
            self.0
                .update_mapping(&namespace, &name, &patch, expected, r.validate_only)
                .await,
        )
    }

    async fn delete_mapping(&self, request: Request<v1::DeleteMappingRequest>) -> Answer<v1::Mapping> {
        let r = request.into_inner();
        let (namespace, name) = name(&r.name)?;
        let expected = names::revision("etag", &r.etag)?;
        answer(
            self.0
                .delete_mapping(&namespace, &name, expected, r.validate_only)
                .await,
        )
    }

    async fn pause_mapping(&self, request: Request<v1::PauseMappingRequest>) -> Answer<v1::Mapping> {
        let r = request.into_inner();
        let (namespace, name) = name(&r.name)?;
        answer(
            self.0
                .pause_mapping(&namespace, &name, names::revision("etag", &r.etag)?)
                .await,
        )
    }

    async fn resume_mapping(&self, request: Request<v1::ResumeMappingRequest>) -> Answer<v1::Mapping> {
        let r = request.into_inner();
        let (namespace, name) = name(&r.name)?;
        answer(
            self.0
                .resume_mapping(&namespace, &name, names::revision("etag", &r.etag)?)
                .await,
        )
    }

    type WatchMappingsStream = BoxStream<'static, Result<v1::WatchMappingsResponse, Status>>;

    async fn watch_mappings(
        &self,
        request: Request<v1::WatchMappingsRequest>,
    ) -> Answer<Self::WatchMappingsStream> {
        let namespace = names::parent("parent", &request.get_ref().parent)?;
        let watch = self.0.watch_mappings(&namespace).await.map_err(failed)?;
        Ok(Response::new(watch::responses(watch)))
    }

    async fn inspect_mapping(
        &self,
        request: Request<v1::InspectMappingRequest>,
    ) -> Answer<v1::MappingInspection> {
        let (namespace, name) = name(&request.get_ref().name)?;
        let inspection = self.0.inspect_mapping(&namespace, &name).await.map_err(failed)?;
        Ok(Response::new(inspect::to_api(inspection)))
    }
}

impl Mappings {
    fn read_new(&self, r: &v1::CreateMappingRequest) -> Result<NewMapping, Status> {
        let namespace = names::parent("parent", &r.parent)?;
        let m = r
            .mapping
            .as_ref()
            .ok_or_else(|| Refusal::missing("mapping", "what to create"))?;
        let mut refusals = Refusals::default();
        let named = (!r.mapping_id.is_empty()).then(|| names::id("mapping_id", &r.mapping_id));
        let name = named.and_then(|name| refusals.take(name));
        let spec = convert::new_spec(m, &namespace, &mut refusals);
        let applied = refusals.take(convert::applied(m)).unwrap_or_default();
        let tags = refusals
            .take(tags::read("mapping.tags", &m.tags))
            .unwrap_or_default();
        match spec {
            Some(spec) if refusals.is_empty() => {
                let request_id = (!r.request_id.is_empty()).then(|| r.request_id.clone());
                Ok(NewMapping {
                    namespace,
                    name,
                    spec,
                    request_id,
                    paused: m.paused(),
                    applied,
                    tags,
                })
            }
            spec => {
                // All at once: what cannot be read, and what breaks a rule.
                let request_id = Some(r.request_id.as_str()).filter(|id| !id.is_empty());
                refusals.merge("", check_request_id(request_id).into_iter().collect());
                refusals.merge(
                    convert::PREFIX,
                    spec.map_or_else(Vec::new, |s| self.0.check_mapping(&s)),
                );
                Err(refusals.into_status())
            }
        }
    }
}
