//! `FunctionService` over the manager.

use crate::convert::{function as convert, tags};
use crate::guard::Deadline;
use crate::refusal::{Refusal, Refusals};
use crate::{names, page, status};
use millstream_api::v1;
use millstream_engine::manage::{FunctionView, ManageError, Manager, NewFunction, check_request_id};
use millstream_types::{FunctionName, Namespace};
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// Largest event of a call by hand: that of a synchronous AWS invoke.
const MAX_PAYLOAD: usize = 6_291_456;
/// Kept of a call's deadline, so that a timeout of the function is answered and not run into.
const TO_ANSWER: Duration = Duration::from_millis(500);

pub(super) struct Functions(pub(super) Manager);

type Answer<T> = Result<Response<T>, Status>;

fn failed(e: ManageError) -> Status {
    status::of_manage(e, convert::PREFIX)
}

fn answer(view: Result<FunctionView, ManageError>) -> Answer<v1::Function> {
    view.map(|view| Response::new(convert::to_api(&view)))
        .map_err(failed)
}

fn name(field: &str, text: &str) -> Result<(Namespace, FunctionName), Refusal> {
    names::resource(field, text, names::FUNCTIONS)
}

#[tonic::async_trait]
impl v1::function_service_server::FunctionService for Functions {
    async fn create_function(&self, request: Request<v1::CreateFunctionRequest>) -> Answer<v1::Function> {
        let r = request.into_inner();
        let namespace = names::parent("parent", &r.parent)?;
        let f = r
            .function
            .ok_or_else(|| Refusal::missing("function", "what to create"))?;
        let mut refusals = Refusals::default();
        let name = refusals.take(names::id("function_id", &r.function_id));
        let spec = convert::new_spec(&f, &mut refusals);
        let applied = refusals.take(convert::applied(&f)).unwrap_or_default();
        let tags = refusals
            .take(tags::read("function.tags", &f.tags))
            .unwrap_or_default();
        let Some(name) = name.filter(|_| refusals.is_empty()) else {
            let request_id = Some(r.request_id.as_str()).filter(|id| !id.is_empty());
            refusals.merge("", check_request_id(request_id).into_iter().collect());
            refusals.merge(convert::PREFIX, self.0.check_function(&spec));
            return Err(refusals.into_status());
        };
        let request_id = (!r.request_id.is_empty()).then_some(r.request_id);
        answer(
            self.0
                .create_function(
                    NewFunction {
                        namespace,
                        name,
                        spec,
                        request_id,
                        applied,
                        tags,
                    },
                    r.validate_only,
                )
                .await,
        )
    }

    async fn get_function(&self, request: Request<v1::GetFunctionRequest>) -> Answer<v1::Function> {
        let (namespace, name) = name("name", &request.get_ref().name)?;
        answer(self.0.function(&namespace, &name).await)
    }

    async fn list_functions(
        &self,
        request: Request<v1::ListFunctionsRequest>,
    ) -> Answer<v1::ListFunctionsResponse> {
        let r = request.into_inner();
        let namespace = names::parent("parent", &r.parent)?;
        let scope = format!("{}/functions", r.parent);
        let after = page::open_as(&scope, &r.page_token)?;
        let listed = self
            .0
            .functions(&namespace, after.as_ref(), page::size(r.page_size)?)
            .await
            .map_err(failed)?;
        let mut functions: Vec<_> = listed.items.iter().map(convert::to_api).collect();
        let more = page::fit(&mut functions) || listed.more;
        let last = functions.len().checked_sub(1).and_then(|i| listed.items.get(i));
        let next = last
            .filter(|_| more)
            .map(|v| page::seal(&scope, v.function.name.as_str().as_bytes()));
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListFunctionsResponse {
            functions,
            next_page_token,
        }))
    }

    async fn update_function(&self, request: Request<v1::UpdateFunctionRequest>) -> Answer<v1::Function> {
        let r = request.into_inner();
        let f = r
            .function
            .ok_or_else(|| Refusal::missing("function", "what to change, and its name"))?;
        let (namespace, name) = name("function.name", &f.name)?;
        let mut refusals = Refusals::default();
        let expected = refusals.take(names::revision("function.etag", &f.etag)).flatten();
        let patch = convert::update(&f, r.update_mask, &mut refusals);
        refusals.check()?;
        answer(
            self.0
                .update_function(&namespace, &name, &patch, expected, r.validate_only)
                .await,
        )
    }

    async fn restart_function(&self, request: Request<v1::RestartFunctionRequest>) -> Answer<v1::Function> {
        let r = request.into_inner();
        let (namespace, name) = name("name", &r.name)?;
        let expected = names::revision("etag", &r.etag)?;
        answer(self.0.restart_function(&namespace, &name, expected).await)
    }

    async fn delete_function(&self, request: Request<v1::DeleteFunctionRequest>) -> Answer<()> {
        let r = request.into_inner();
        let (namespace, name) = name("name", &r.name)?;
        let expected = names::revision("etag", &r.etag)?;
        self.0
            .delete_function(&namespace, &name, expected, r.validate_only)
            .await
            .map_err(failed)?;
        Ok(Response::new(()))
    }

    async fn invoke_function(
        &self,
        request: Request<v1::InvokeFunctionRequest>,
    ) -> Answer<v1::InvokeFunctionResponse> {
        let deadline = request.extensions().get::<Deadline>().copied();
        let r = request.into_inner();
        let (namespace, name) = name("name", &r.name)?;
        check_payload(&r.payload)?;
        let left = deadline.map_or(Duration::MAX, |d| d.0.saturating_duration_since(Instant::now()));
        let at_most = left.saturating_sub(TO_ANSWER).max(Duration::from_millis(1));
        let result = self
            .0
            .invoke_function(&namespace, &name, r.payload, at_most)
            .await
            .map_err(failed)?;
        Ok(Response::new(convert::invoked(result)?))
    }
}

fn check_payload(payload: &[u8]) -> Result<(), Refusal> {
    if payload.len() > MAX_PAYLOAD {
        let value = format!("{} bytes", payload.len());
        return Err(Refusal::new(
            "payload",
            value,
            format!("at most {MAX_PAYLOAD} bytes"),
        ));
    }
    if payload.is_empty() {
        return Ok(());
    }
    serde_json::from_slice::<&serde_json::value::RawValue>(payload)
        .map(drop)
        .map_err(|e| Refusal {
            field: "payload".into(),
            message: format!("payload is not a JSON document: {e}"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_json_of_bounded_size() {
        let large = vec![b' '; MAX_PAYLOAD + 1];
        for (payload, ok) in [
            (&b""[..], true),
            (b"{}", true),
            (b" [1, \"a\"] ", true),
            (b"{", false),
            (b"\xff", false),
            (b"{} {}", false),
            (&large, false),
        ] {
            assert_eq!(check_payload(payload).is_ok(), ok, "{:?}", payload.get(..10));
        }
    }
}
