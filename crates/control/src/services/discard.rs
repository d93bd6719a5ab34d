//! `DiscardService` over the manager.

use crate::convert::ledger as convert;
use crate::{names, page, status};
use millstream_api::v1;
use millstream_engine::manage::Manager;
use millstream_types::MappingName;
use millstream_types::ids::DiscardId;
use tonic::{Request, Response, Status};

pub(super) struct Discards(pub(super) Manager);

#[tonic::async_trait]
impl v1::discard_service_server::DiscardService for Discards {
    async fn list_discards(
        &self,
        request: Request<v1::ListDiscardsRequest>,
    ) -> Result<Response<v1::ListDiscardsResponse>, Status> {
        let r = request.into_inner();
        let (namespace, name) = names::resource::<MappingName>("parent", &r.parent, names::MAPPINGS)?;
        let scope = format!("{}/discards", r.parent);
        let after: Option<DiscardId> = page::open_as(&scope, &r.page_token)?;
        let found = self
            .0
            .discards(&namespace, &name, after, page::size(r.page_size)?)
            .await;
        let (found, more) = found.map_err(|e| status::of_manage(e, ""))?;
        let last = found.last().filter(|_| more).map(|(d, _)| d.id.to_string());
        let next_page_token = last.map_or_else(String::new, |id| page::seal(&scope, id.as_bytes()));
        let discards = found.into_iter().map(convert::discard).collect();
        Ok(Response::new(v1::ListDiscardsResponse {
            discards,
            next_page_token,
        }))
    }

    async fn get_discard(
        &self,
        request: Request<v1::GetDiscardRequest>,
    ) -> Result<Response<v1::Discard>, Status> {
        let (namespace, id) = names::resource("name", &request.get_ref().name, names::DISCARDS)?;
        let found = self
            .0
            .discard(&namespace, id)
            .await
            .map_err(|e| status::of_manage(e, ""))?;
        Ok(Response::new(convert::discard(found)))
    }
}
