//! `StreamService` over the broker.

use crate::convert::{stream as convert, trace};
use crate::refusal::{Refusal, Refusals};
use crate::{names, page, status};
use millstream_api::v1;
use millstream_ports::{StreamDescription, StreamError, Streams};
use millstream_types::{Namespace, Position, ShardId, StreamName};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// How many records are read at once: each may have 10 MiB.
const READ_CHUNK: usize = 10;
/// Most bytes of one page of records, if it has more than one.
const READ_BYTES: usize = 3 * 1024 * 1024;

pub(super) struct BrokerStreams(pub(super) Arc<dyn Streams>);

type Answer<T> = Result<Response<T>, Status>;

fn answer(description: Result<StreamDescription, StreamError>) -> Answer<v1::Stream> {
    description
        .map(|d| Response::new(convert::to_api(&d)))
        .map_err(status::of_stream)
}

fn name(field: &str, text: &str) -> Result<(Namespace, StreamName), Refusal> {
    names::resource(field, text, names::STREAMS)
}

#[tonic::async_trait]
impl v1::stream_service_server::StreamService for BrokerStreams {
    async fn create_stream(&self, request: Request<v1::CreateStreamRequest>) -> Answer<v1::Stream> {
        let r = request.into_inner();
        let namespace = names::parent("parent", &r.parent)?;
        let mut refusals = Refusals::default();
        let name = refusals.take(names::id::<StreamName>("stream_id", &r.stream_id));
        let spec = convert::new_spec(&r.stream.unwrap_or_default(), &mut refusals);
        let Some(name) = name.filter(|_| refusals.is_empty()) else {
            return Err(refusals.into_status());
        };
        answer(self.0.create(&namespace, &name, spec, r.validate_only).await)
    }

    async fn get_stream(&self, request: Request<v1::GetStreamRequest>) -> Answer<v1::Stream> {
        let (namespace, name) = name("name", &request.get_ref().name)?;
        answer(self.0.describe(&namespace, &name).await)
    }

    async fn list_streams(
        &self,
        request: Request<v1::ListStreamsRequest>,
    ) -> Answer<v1::ListStreamsResponse> {
        let r = request.into_inner();
        let namespace = names::parent("parent", &r.parent)?;
        let scope = format!("{}/streams", r.parent);
        let after: Option<StreamName> = page::open_as(&scope, &r.page_token)?;
        let size = page::size(r.page_size)?;
        // One more than shown tells whether there are more.
        let found = self
            .0
            .list(&namespace, after.as_ref(), size + 1)
            .await
            .map_err(status::of_stream)?;
        let mut streams: Vec<_> = found.iter().take(size).map(convert::to_api).collect();
        let more = page::fit(&mut streams) || found.len() > size;
        let last = streams.len().checked_sub(1).and_then(|i| found.get(i));
        let next = last
            .filter(|_| more)
            .map(|s| page::seal(&scope, s.name.as_str().as_bytes()));
        Ok(Response::new(v1::ListStreamsResponse {
            streams,
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn update_stream(&self, request: Request<v1::UpdateStreamRequest>) -> Answer<v1::Stream> {
        let r = request.into_inner();
        let s = r
            .stream
            .ok_or_else(|| Refusal::missing("stream", "what to change, and its name"))?;
        let (namespace, name) = name("stream.name", &s.name)?;
        let mut refusals = Refusals::default();
        let expected = refusals.take(names::revision("stream.etag", &s.etag)).flatten();
        let (change, count) = convert::update(&s, r.update_mask, &mut refusals);
        refusals.check()?;
        let now = self
            .0
            .describe(&namespace, &name)
            .await
            .map_err(status::of_stream)?;
        if let Some(count) = count.filter(|count| *count != now.spec.shards) {
            let allowed = format!(
                "fixed at creation, to {}: use SplitShard or MergeShards",
                now.spec.shards
            );
            return Err(Refusal::new("stream.shard_count", count, allowed).into());
        }
        answer(
            self.0
                .set(&namespace, &name, change, expected, r.validate_only)
                .await,
        )
    }

    async fn delete_stream(&self, request: Request<v1::DeleteStreamRequest>) -> Answer<()> {
        let r = request.into_inner();
        let (namespace, name) = name("name", &r.name)?;
        let expected = names::revision("etag", &r.etag)?;
        self.0
            .delete(&namespace, &name, expected)
            .await
            .map_err(status::of_stream)?;
        Ok(Response::new(()))
    }

    async fn split_shard(&self, request: Request<v1::SplitShardRequest>) -> Answer<v1::Stream> {
        let r = request.into_inner();
        let (namespace, name) = name("name", &r.name)?;
        let shard: ShardId = names::id("shard_id", &r.shard_id)?;
        let at = convert::hash_key("new_starting_hash_key", &r.new_starting_hash_key)?;
        answer(self.0.split(&namespace, &name, &shard, at).await)
    }

    async fn merge_shards(&self, request: Request<v1::MergeShardsRequest>) -> Answer<v1::Stream> {
        let r = request.into_inner();
        let (namespace, name) = name("name", &r.name)?;
        let shard: ShardId = names::id("shard_id", &r.shard_id)?;
        let adjacent: ShardId = names::id("adjacent_shard_id", &r.adjacent_shard_id)?;
        answer(self.0.merge(&namespace, &name, &shard, &adjacent).await)
    }

    async fn put_records(&self, request: Request<v1::PutRecordsRequest>) -> Answer<v1::PutRecordsResponse> {
        let call = trace::of_call(request.metadata());
        let r = request.into_inner();
        let (namespace, name) = name("stream", &r.stream)?;
        let mut entries = convert::entries(r.records).map_err(Refusals::into_status)?;
        for entry in &mut entries {
            entry.trace = entry.trace.take().or_else(|| call.clone());
        }
        let results = self
            .0
            .put(&namespace, &name, entries)
            .await
            .map_err(status::of_stream)?;
        Ok(Response::new(convert::put_response(results)))
    }

    async fn read_records(
        &self,
        request: Request<v1::ReadRecordsRequest>,
    ) -> Answer<v1::ReadRecordsResponse> {
        let r = request.into_inner();
        let (namespace, name) = name("stream", &r.stream)?;
        let shard: ShardId = names::id("shard_id", &r.shard_id)?;
        let size = page::size(r.page_size)?;
        let scope = format!("{}/{}", r.stream, r.shard_id);
        let from = match page::open(&scope, &r.page_token)? {
            Some(cursor) => serde_json::from_slice(&cursor).map_err(|_| {
                Refusal::new(
                    "page_token",
                    &r.page_token,
                    "the next_page_token of the same shard",
                )
            })?,
            None => self.start(&namespace, &name, &shard, r.start.as_ref()).await?,
        };
        let (records, next) = self.read(&namespace, &name, &shard, from, size).await?;
        let cursor = serde_json::to_vec(&next).map_err(|e| Status::internal(e.to_string()))?;
        let next_page_token = if next == Position::End {
            String::new()
        } else {
            page::seal(&scope, &cursor)
        };
        Ok(Response::new(v1::ReadRecordsResponse {
            records,
            next_page_token,
        }))
    }
}

impl BrokerStreams {
    async fn start(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        shard: &ShardId,
        start: Option<&v1::read_records_request::Start>,
    ) -> Result<Position, Status> {
        let newest = match start {
            Some(v1::read_records_request::Start::Latest(())) => {
                let stream = self
                    .0
                    .describe(namespace, name)
                    .await
                    .map_err(status::of_stream)?;
                stream
                    .shards
                    .iter()
                    .find(|s| s.info.id == *shard)
                    .and_then(|s| s.newest)
            }
            _ => None,
        };
        Ok(convert::start(start, newest)?)
    }

    /// Up to `size` records, fewer if they are large, and where to go on.
    async fn read(
        &self,
        namespace: &Namespace,
        name: &StreamName,
        shard: &ShardId,
        mut from: Position,
        size: usize,
    ) -> Result<(Vec<v1::StreamRecord>, Position), Status> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < size && from != Position::End {
            let chunk = READ_CHUNK.min(size - records.len());
            let page = self.0.read_page(namespace, name, shard, from, chunk).await;
            let (found, next) = page.map_err(status::of_stream)?;
            let empty = found.is_empty();
            for record in &found {
                bytes += record.data.len() + record.partition_key.len();
                if bytes > READ_BYTES && !records.is_empty() {
                    return Ok((records, Position::At(record.mark)));
                }
                records.push(convert::record(record));
            }
            from = next;
            if empty {
                break;
            }
        }
        Ok((records, from))
    }
}
