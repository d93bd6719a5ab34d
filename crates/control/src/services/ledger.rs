//! `LedgerService` over the manager.

use crate::convert::ledger as convert;
use crate::{names, page, status};
use millstream_api::v1;
use millstream_engine::manage::Manager;
use millstream_types::MappingName;
use tonic::{Request, Response, Status};

pub(super) struct Ledger(pub(super) Manager);

#[tonic::async_trait]
impl v1::ledger_service_server::LedgerService for Ledger {
    async fn list_ledger_entries(
        &self,
        request: Request<v1::ListLedgerEntriesRequest>,
    ) -> Result<Response<v1::ListLedgerEntriesResponse>, Status> {
        let r = request.into_inner();
        let (namespace, name) = names::resource::<MappingName>("parent", &r.parent, names::MAPPINGS)?;
        let scope = format!("{}/ledger", r.parent);
        let after = page::open(&scope, &r.page_token)?;
        let read = self
            .0
            .ledger(&namespace, &name, after, page::size(r.page_size)?)
            .await;
        let read = read.map_err(|e| status::of_manage(e, ""))?;
        let attempts = read.attempts.iter().map(convert::attempt);
        let entries = read.entries.iter().map(convert::entry).chain(attempts).collect();
        let next_page_token = read
            .next
            .map_or_else(String::new, |next| page::seal(&scope, &next));
        Ok(Response::new(v1::ListLedgerEntriesResponse {
            entries,
            next_page_token,
        }))
    }
}
