//! Names of what there is, from a server that may not be there: whoever waits for them sits at a terminal.

use crate::cli::names::short;
use crate::manifest::Kind;
use millstream_api::v1;
use std::time::Duration;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use v1::function_service_client::FunctionServiceClient;
use v1::mapping_service_client::MappingServiceClient;
use v1::queue_service_client::QueueServiceClient;
use v1::stream_service_client::StreamServiceClient;

/// How long all of it may take.
const DEADLINE: Duration = Duration::from_millis(500);
const PAGE: i32 = 100;
/// Nobody chooses among more.
const MOST: usize = 1_000;

/// The short names of all resources of a kind; none if the server does not answer in time.
pub(super) fn names(server: &str, namespace: &str, kind: Kind) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return Vec::new() };
    let asked = async {
        let address = server.strip_prefix("http://").unwrap_or(server);
        let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
        let channel = endpoint.connect().await.ok()?;
        all(&channel, &format!("namespaces/{namespace}"), kind).await.ok()
    };
    let found = runtime.block_on(async { tokio::time::timeout(DEADLINE, asked).await });
    found.ok().flatten().unwrap_or_default()
}

async fn all(channel: &Channel, parent: &str, kind: Kind) -> Result<Vec<String>, Status> {
    let (mut names, mut page_token) = (Vec::new(), String::new());
    macro_rules! page {
        ($client:ident, $call:ident, $request:ident, $items:ident) => {{
            let request = v1::$request {
                parent: parent.to_owned(),
                page_size: PAGE,
                page_token,
            };
            let page = $client::new(channel.clone()).$call(request).await?.into_inner();
            names.extend(page.$items.iter().map(|item| short(&item.name).to_owned()));
            page.next_page_token
        }};
    }
    loop {
        page_token = match kind {
            Kind::Stream => page!(StreamServiceClient, list_streams, ListStreamsRequest, streams),
            Kind::Function => page!(
                FunctionServiceClient,
                list_functions,
                ListFunctionsRequest,
                functions
            ),
            Kind::Queue => page!(QueueServiceClient, list_queues, ListQueuesRequest, queues),
            Kind::Mapping => page!(MappingServiceClient, list_mappings, ListMappingsRequest, mappings),
        };
        if page_token.is_empty() || names.len() >= MOST {
            return Ok(names);
        }
    }
}
