//! The gRPC clients, and the calls that tests make more than once.

use millstream_api::{MAX_PAYLOAD_MESSAGE_BYTES, v1};
use std::path::Path;
use std::time::Duration;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use v1::discard_service_client::DiscardServiceClient;
use v1::function_service_client::FunctionServiceClient;
use v1::ledger_service_client::LedgerServiceClient;
use v1::mapping_service_client::MappingServiceClient;
use v1::queue_service_client::QueueServiceClient;
use v1::read_records_request::Start;
use v1::stream_service_client::StreamServiceClient;

/// Where everything of the tests lives.
pub(crate) const NAMESPACE: &str = "namespaces/default";
/// Most records of a put.
pub(crate) const MOST_RECORDS: usize = 500;
const PAGE: i32 = 100;
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Every service of one life of a server.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) streams: StreamServiceClient<Channel>,
    pub(crate) queues: QueueServiceClient<Channel>,
    pub(crate) functions: FunctionServiceClient<Channel>,
    pub(crate) mappings: MappingServiceClient<Channel>,
    pub(crate) ledger: LedgerServiceClient<Channel>,
    pub(crate) discards: DiscardServiceClient<Channel>,
}

/// A record to be put.
pub(crate) fn entry(key: &str, data: impl Into<Vec<u8>>) -> v1::PutRecordsEntry {
    v1::PutRecordsEntry {
        partition_key: key.to_owned(),
        data: data.into().into(),
        ..Default::default()
    }
}

/// A mapping of a stream to a function, from the oldest record on, with AWS's defaults.
pub(crate) fn mapping(stream: &str, function: &str) -> v1::Mapping {
    v1::Mapping {
        source_arn: stream_arn(stream),
        function: function.to_owned(),
        starting_position: v1::StartingPosition::TrimHorizon.into(),
        ..Default::default()
    }
}

/// A mapping of a queue to a function, with AWS's defaults.
pub(crate) fn mapping_of_queue(queue: &str, function: &str) -> v1::Mapping {
    v1::Mapping {
        source_arn: queue_arn(queue),
        function: function.to_owned(),
        ..Default::default()
    }
}

/// A queue of the built-in broker.
pub(crate) fn queue_arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{queue}")
}

/// The name of a queue.
pub(crate) fn queue_name(id: &str) -> String {
    format!("{NAMESPACE}/queues/{id}")
}

/// A message to be sent.
pub(crate) fn message(body: impl Into<String>) -> v1::SendMessagesEntry {
    v1::SendMessagesEntry {
        body: body.into(),
        ..Default::default()
    }
}

/// A stream of the built-in broker.
pub(crate) fn stream_arn(stream: &str) -> String {
    format!("arn:aws:kinesis:us-east-1:000000000000:stream/{stream}")
}

/// Failure documents go to `stream`.
pub(crate) fn on_failure(stream: &str) -> Option<v1::DestinationConfig> {
    Some(v1::DestinationConfig {
        on_failure: Some(v1::OnFailure {
            destination: stream_arn(stream),
        }),
    })
}

/// The name of a mapping.
pub(crate) fn mapping_name(id: &str) -> String {
    format!("{NAMESPACE}/mappings/{id}")
}

/// The name of a stream.
pub(crate) fn stream_name(id: &str) -> String {
    format!("{NAMESPACE}/streams/{id}")
}

impl Client {
    /// Connects when first used.
    pub(crate) fn new(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint
            .timeout(CALL_TIMEOUT)
            .connect_timeout(Duration::from_secs(3))
            .connect_lazy();
        Self {
            streams: StreamServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES),
            queues: QueueServiceClient::new(channel.clone())
                .max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES),
            functions: FunctionServiceClient::new(channel.clone()),
            mappings: MappingServiceClient::new(channel.clone()),
            ledger: LedgerServiceClient::new(channel.clone()),
            discards: DiscardServiceClient::new(channel).max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES),
        }
    }

    /// Makes a stream.
    pub(crate) async fn create_stream(&self, id: &str, shards: i32) {
        let request = v1::CreateStreamRequest {
            parent: NAMESPACE.to_owned(),
            stream_id: id.to_owned(),
            stream: Some(v1::Stream {
                shard_count: Some(shards),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.streams.clone().create_stream(request).await.unwrap();
    }

    /// Makes a queue.
    pub(crate) async fn create_queue(&self, id: &str, settings: v1::Queue) {
        let request = v1::CreateQueueRequest {
            parent: NAMESPACE.to_owned(),
            queue_id: id.to_owned(),
            queue: Some(settings),
            ..Default::default()
        };
        self.queues.clone().create_queue(request).await.unwrap();
    }

    /// A queue as it is now.
    pub(crate) async fn queue(&self, id: &str) -> Result<v1::Queue, Status> {
        let request = v1::GetQueueRequest { name: queue_name(id) };
        Ok(self.queues.clone().get_queue(request).await?.into_inner())
    }

    /// Sends 1 to 10 messages; one result each.
    pub(crate) async fn send(
        &self,
        queue: &str,
        messages: Vec<v1::SendMessagesEntry>,
    ) -> Result<Vec<v1::SendMessagesResult>, Status> {
        let request = v1::SendMessagesRequest {
            queue: queue_name(queue),
            messages,
        };
        Ok(self
            .queues
            .clone()
            .send_messages(request)
            .await?
            .into_inner()
            .results)
    }

    /// Every message of a queue, without receiving any.
    pub(crate) async fn peek_all(&self, queue: &str) -> Vec<v1::QueueMessage> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::PeekMessagesRequest {
                queue: queue_name(queue),
                page_size: PAGE,
                page_token,
            };
            let page = self
                .queues
                .clone()
                .peek_messages(request)
                .await
                .unwrap()
                .into_inner();
            all.extend(page.messages);
            if page.next_page_token.is_empty() {
                return all;
            }
            page_token = page.next_page_token;
        }
    }

    /// Registers a program as a function.
    pub(crate) async fn create_function(
        &self,
        id: &str,
        command: &[String],
        timeout: Duration,
        processes: i32,
    ) {
        let target = v1::ProcessTarget {
            command: command.to_vec(),
            ..Default::default()
        };
        let request = v1::CreateFunctionRequest {
            parent: NAMESPACE.to_owned(),
            function_id: id.to_owned(),
            function: Some(v1::Function {
                target: Some(v1::function::Target::Process(target)),
                timeout: Some(timeout.try_into().unwrap()),
                concurrency: Some(processes),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.functions.clone().create_function(request).await.unwrap();
    }

    /// Connects a stream to a function.
    pub(crate) async fn create_mapping(&self, id: &str, mapping: v1::Mapping) -> v1::Mapping {
        let request = v1::CreateMappingRequest {
            parent: NAMESPACE.to_owned(),
            mapping_id: id.to_owned(),
            mapping: Some(mapping),
            ..Default::default()
        };
        self.mappings
            .clone()
            .create_mapping(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// Puts all of them, in requests as large as allowed, one after the other; the results in the same order.
    ///
    /// # Panics
    /// If one is not stored.
    pub(crate) async fn put(
        &self,
        stream: &str,
        entries: Vec<v1::PutRecordsEntry>,
    ) -> Vec<v1::PutRecordsResult> {
        let mut results = Vec::with_capacity(entries.len());
        for records in entries.chunks(MOST_RECORDS) {
            let request = v1::PutRecordsRequest {
                stream: stream_name(stream),
                records: records.to_vec(),
            };
            let answer = self
                .streams
                .clone()
                .put_records(request)
                .await
                .unwrap()
                .into_inner();
            assert_eq!(
                answer.failed_record_count,
                0,
                "{:?}",
                answer.results.iter().find(|r| !r.error_code.is_empty())
            );
            results.extend(answer.results);
        }
        results
    }

    /// A stream as it is now.
    pub(crate) async fn stream(&self, id: &str) -> Result<v1::Stream, Status> {
        let request = v1::GetStreamRequest {
            name: stream_name(id),
        };
        Ok(self.streams.clone().get_stream(request).await?.into_inner())
    }

    /// A mapping as it is now.
    pub(crate) async fn mapping(&self, id: &str) -> Result<v1::Mapping, Status> {
        let request = v1::GetMappingRequest {
            name: mapping_name(id),
        };
        Ok(self.mappings.clone().get_mapping(request).await?.into_inner())
    }

    /// The inside of a mapping as it is now.
    pub(crate) async fn inspect(&self, id: &str) -> Result<v1::MappingInspection, Status> {
        let request = v1::InspectMappingRequest {
            name: mapping_name(id),
        };
        Ok(self.mappings.clone().inspect_mapping(request).await?.into_inner())
    }

    /// Asks for a pause.
    pub(crate) async fn pause(&self, id: &str) -> Result<v1::Mapping, Status> {
        let request = v1::PauseMappingRequest {
            name: mapping_name(id),
            ..Default::default()
        };
        Ok(self.mappings.clone().pause_mapping(request).await?.into_inner())
    }

    /// Ends a pause.
    pub(crate) async fn resume(&self, id: &str) -> Result<v1::Mapping, Status> {
        let request = v1::ResumeMappingRequest {
            name: mapping_name(id),
            ..Default::default()
        };
        Ok(self.mappings.clone().resume_mapping(request).await?.into_inner())
    }

    /// Every record of a shard. Ends at the first page without records: for shards nobody puts to meanwhile.
    pub(crate) async fn read_shard(&self, stream: &str, shard: &str) -> Vec<v1::StreamRecord> {
        let mut records = Vec::new();
        let mut request = v1::ReadRecordsRequest {
            stream: stream_name(stream),
            shard_id: shard.to_owned(),
            start: Some(Start::TrimHorizon(())),
            page_size: PAGE,
            page_token: String::new(),
        };
        loop {
            let page = self
                .streams
                .clone()
                .read_records(request.clone())
                .await
                .unwrap()
                .into_inner();
            let is_last = page.records.is_empty() || page.next_page_token.is_empty();
            records.extend(page.records);
            if is_last {
                return records;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// The whole history of a mapping's attempts.
    pub(crate) async fn attempts(&self, mapping: &str) -> Vec<v1::LedgerEntry> {
        let mut entries = Vec::new();
        let mut page_token = String::new();
        loop {
            let parent = mapping_name(mapping);
            let request = v1::ListLedgerEntriesRequest {
                parent,
                page_size: PAGE,
                page_token,
            };
            let page = self
                .ledger
                .clone()
                .list_ledger_entries(request)
                .await
                .unwrap()
                .into_inner();
            entries.extend(page.entries);
            if page.next_page_token.is_empty() {
                return entries;
            }
            page_token = page.next_page_token;
        }
    }

    /// What a mapping gave up, without payloads.
    pub(crate) async fn given_up(&self, mapping: &str) -> Vec<v1::Discard> {
        let mut discards = Vec::new();
        let mut page_token = String::new();
        loop {
            let parent = mapping_name(mapping);
            let request = v1::ListDiscardsRequest {
                parent,
                page_size: PAGE,
                page_token,
            };
            let page = self
                .discards
                .clone()
                .list_discards(request)
                .await
                .unwrap()
                .into_inner();
            discards.extend(page.discards);
            if page.next_page_token.is_empty() {
                return discards;
            }
            page_token = page.next_page_token;
        }
    }
}

/// The command of the test function, with its journal in `dir`, naming records by sequence number or by id.
pub(crate) fn test_function(dir: &Path, by: &str) -> Vec<String> {
    std::fs::create_dir_all(dir).unwrap();
    let text = |p: &Path| p.to_str().unwrap().to_owned();
    vec![
        text(Path::new(env!("CARGO_BIN_EXE_test-function"))),
        text(dir),
        by.to_owned(),
    ]
}
