//! The gRPC clients, and the calls the demo makes more than once. The demo knows nothing of the server but its API.

use crate::error::DemoError;
use millstream_api::MAX_PAYLOAD_MESSAGE_BYTES;
use millstream_api::v1;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use v1::function_service_client::FunctionServiceClient;
use v1::ledger_service_client::LedgerServiceClient;
use v1::mapping_service_client::MappingServiceClient;
use v1::queue_service_client::QueueServiceClient;
use v1::stream_service_client::StreamServiceClient;

/// Where everything of the demo lives.
pub(crate) const NAMESPACE: &str = "namespaces/default";

/// Longest a call may take; also what a call to a dead server costs at most.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Records of a page, the most the API gives.
const PAGE: i32 = 100;

/// Every service of one server. Connects when first used, and again after the server was away.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) functions: FunctionServiceClient<Channel>,
    pub(crate) mappings: MappingServiceClient<Channel>,
    pub(crate) streams: StreamServiceClient<Channel>,
    pub(crate) queues: QueueServiceClient<Channel>,
    ledger: LedgerServiceClient<Channel>,
}

impl Client {
    /// For the server at `address`.
    pub(crate) fn new(address: std::net::SocketAddr) -> Result<Self, DemoError> {
        let endpoint =
            Endpoint::from_shared(format!("http://{address}")).map_err(|error| DemoError::Missing {
                what: format!("a usable address ({error})"),
            })?;
        let channel = endpoint
            .timeout(CALL_TIMEOUT)
            .connect_timeout(Duration::from_secs(3))
            .connect_lazy();
        let streams = StreamServiceClient::new(channel.clone())
            .max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES);
        Ok(Self {
            functions: FunctionServiceClient::new(channel.clone()),
            mappings: MappingServiceClient::new(channel.clone()),
            streams,
            queues: QueueServiceClient::new(channel.clone()),
            ledger: LedgerServiceClient::new(channel),
        })
    }

    /// A stream as it is now.
    pub(crate) async fn stream(&self, id: &str) -> Result<v1::Stream, DemoError> {
        let request = v1::GetStreamRequest {
            name: stream_name(id),
        };
        let answer = self.streams.clone().get_stream(request).await;
        Ok(answer.map_err(DemoError::call("GetStream"))?.into_inner())
    }

    /// A queue as it is now.
    pub(crate) async fn queue(&self, id: &str) -> Result<v1::Queue, DemoError> {
        let request = v1::GetQueueRequest { name: queue_name(id) };
        let answer = self.queues.clone().get_queue(request).await;
        Ok(answer.map_err(DemoError::call("GetQueue"))?.into_inner())
    }

    /// Every message of a queue, without receiving any.
    pub(crate) async fn peek(&self, id: &str) -> Result<Vec<v1::QueueMessage>, DemoError> {
        let mut messages = Vec::new();
        let mut request = v1::PeekMessagesRequest {
            queue: queue_name(id),
            page_size: PAGE,
            page_token: String::new(),
        };
        loop {
            let answer = self.queues.clone().peek_messages(request.clone()).await;
            let page = answer.map_err(DemoError::call("PeekMessages"))?.into_inner();
            messages.extend(page.messages);
            if page.next_page_token.is_empty() {
                return Ok(messages);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// The inside of a mapping as it is now.
    pub(crate) async fn inspect(&self, mapping: &str) -> Result<v1::MappingInspection, DemoError> {
        let request = v1::InspectMappingRequest {
            name: format!("{NAMESPACE}/mappings/{mapping}"),
        };
        let answer = self.mappings.clone().inspect_mapping(request).await;
        Ok(answer.map_err(DemoError::call("InspectMapping"))?.into_inner())
    }

    /// Every record of a shard behind `after`, or all of it. Ends at the first page without records: only for
    /// shards nobody puts to meanwhile.
    pub(crate) async fn read_shard(
        &self,
        stream: &str,
        shard: &str,
        after: Option<String>,
    ) -> Result<Vec<v1::StreamRecord>, DemoError> {
        use v1::read_records_request::Start;
        let mut records = Vec::new();
        let mut request = v1::ReadRecordsRequest {
            stream: stream_name(stream),
            shard_id: shard.to_owned(),
            start: Some(after.map_or(Start::TrimHorizon(()), Start::AfterSequenceNumber)),
            page_size: PAGE,
            page_token: String::new(),
        };
        loop {
            let answer = self.streams.clone().read_records(request.clone()).await;
            let page = answer.map_err(DemoError::call("ReadRecords"))?.into_inner();
            let is_last = page.records.is_empty() || page.next_page_token.is_empty();
            records.extend(page.records);
            if is_last {
                return Ok(records);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// The whole history of a mapping's attempts.
    pub(crate) async fn ledger(&self, mapping: &str) -> Result<Vec<v1::LedgerEntry>, DemoError> {
        let mut entries = Vec::new();
        let mut request = v1::ListLedgerEntriesRequest {
            parent: format!("{NAMESPACE}/mappings/{mapping}"),
            page_size: PAGE,
            page_token: String::new(),
        };
        loop {
            let answer = self.ledger.clone().list_ledger_entries(request.clone()).await;
            let page = answer.map_err(DemoError::call("ListLedgerEntries"))?.into_inner();
            entries.extend(page.entries);
            if page.next_page_token.is_empty() {
                return Ok(entries);
            }
            request.page_token = page.next_page_token;
        }
    }
}

/// The resource name of a stream.
pub(crate) fn stream_name(id: &str) -> String {
    format!("{NAMESPACE}/streams/{id}")
}

/// The resource name of a queue.
pub(crate) fn queue_name(id: &str) -> String {
    format!("{NAMESPACE}/queues/{id}")
}
