//! `QueueService` over the broker.

use crate::convert::{message, queue as convert, trace};
use crate::guard::Deadline;
use crate::refusal::{Refusal, Refusals};
use crate::{names, page, status};
use millstream_api::v1;
use millstream_ports::{Credit, MAX_WAIT, QueueDescription, QueueError, Queues, ReceiveOptions};
use millstream_types::{Namespace, QueueName};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// Most bytes of the messages of one answer, if it has more than one; below the 4 MiB that clients accept by default.
const ANSWER_BYTES: usize = 3 * 1024 * 1024;
/// Kept of a receive's deadline, so that the messages that come last are answered and do not run into it.
const TO_ANSWER: Duration = Duration::from_millis(500);
/// How often a change is tried again when another came between, before the caller is told.
const CHANGE_TRIES: usize = 5;

pub(super) struct BrokerQueues(pub(super) Arc<dyn Queues>);

type Answer<T> = Result<Response<T>, Status>;

fn answer(description: Result<QueueDescription, QueueError>) -> Answer<v1::Queue> {
    description
        .map(|d| Response::new(convert::to_api(&d)))
        .map_err(|e| status::of_queue(e, convert::PREFIX))
}

/// An error of a call that carries no settings.
fn failed(e: QueueError) -> Status {
    status::of_queue(e, "")
}

fn name(field: &str, text: &str) -> Result<(Namespace, QueueName), Refusal> {
    names::resource(field, text, names::QUEUES)
}

#[tonic::async_trait]
impl v1::queue_service_server::QueueService for BrokerQueues {
    async fn create_queue(&self, request: Request<v1::CreateQueueRequest>) -> Answer<v1::Queue> {
        let r = request.into_inner();
        let namespace = names::parent("parent", &r.parent)?;
        let mut refusals = Refusals::default();
        let name = refusals.take(names::id::<QueueName>("queue_id", &r.queue_id));
        let spec = convert::new_spec(&r.queue.unwrap_or_default(), &namespace, &mut refusals);
        let Some(name) = name.filter(|_| refusals.is_empty()) else {
            return Err(refusals.into_status());
        };
        answer(self.0.create(&namespace, &name, spec, r.validate_only).await)
    }

    async fn get_queue(&self, request: Request<v1::GetQueueRequest>) -> Answer<v1::Queue> {
        let (namespace, name) = name("name", &request.get_ref().name)?;
        answer(self.0.describe(&namespace, &name).await)
    }

    async fn list_queues(&self, request: Request<v1::ListQueuesRequest>) -> Answer<v1::ListQueuesResponse> {
        let r = request.into_inner();
        let namespace = names::parent("parent", &r.parent)?;
        let scope = format!("{}/queues", r.parent);
        let after: Option<QueueName> = page::open_as(&scope, &r.page_token)?;
        let size = page::size(r.page_size)?;
        // One more than shown tells whether there are more.
        let found = self.0.list(&namespace, after.as_ref(), size + 1).await;
        let found = found.map_err(failed)?;
        let mut queues: Vec<_> = found.iter().take(size).map(convert::to_api).collect();
        let more = page::fit(&mut queues) || found.len() > size;
        let last = queues.len().checked_sub(1).and_then(|i| found.get(i));
        let next = last
            .filter(|_| more)
            .map(|q| page::seal(&scope, q.name.as_str().as_bytes()));
        Ok(Response::new(v1::ListQueuesResponse {
            queues,
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn update_queue(&self, request: Request<v1::UpdateQueueRequest>) -> Answer<v1::Queue> {
        let r = request.into_inner();
        let q = r
            .queue
            .ok_or_else(|| Refusal::missing("queue", "what to change, and its name"))?;
        let (namespace, name) = name("queue.name", &q.name)?;
        let mut refusals = Refusals::default();
        let expected = refusals.take(names::revision("queue.etag", &q.etag)).flatten();
        let patch = convert::update(&q, &namespace, r.update_mask, &mut refusals);
        refusals.check()?;
        self.change(&namespace, &name, &patch, expected, r.validate_only)
            .await
    }

    async fn delete_queue(&self, request: Request<v1::DeleteQueueRequest>) -> Answer<()> {
        let r = request.into_inner();
        let (namespace, name) = name("name", &r.name)?;
        let expected = names::revision("etag", &r.etag)?;
        let deleted = self.0.delete(&namespace, &name, expected).await;
        deleted.map(Response::new).map_err(failed)
    }

    async fn purge_queue(&self, request: Request<v1::PurgeQueueRequest>) -> Answer<()> {
        let (namespace, name) = name("name", &request.get_ref().name)?;
        let purged = self.0.purge(&namespace, &name).await;
        purged.map(Response::new).map_err(failed)
    }

    async fn send_messages(
        &self,
        request: Request<v1::SendMessagesRequest>,
    ) -> Answer<v1::SendMessagesResponse> {
        let call = trace::of_call(request.metadata());
        let r = request.into_inner();
        let (namespace, name) = name("queue", &r.queue)?;
        let mut entries = message::entries(r.messages).map_err(Refusals::into_status)?;
        for entry in entries.iter_mut().filter(|entry| !message::has_trace(entry)) {
            entry.trace = call.clone();
        }
        let results = self.0.send(&namespace, &name, entries).await.map_err(failed)?;
        Ok(Response::new(message::send_response(results)))
    }

    /// When the caller goes away, its deadline passes or the server ends, this future is dropped, and the broker's with
    /// it. One that still waits has received nothing, so nothing is lost to anybody; what was being handed out in that
    /// moment, or is on its way to a caller that is gone, stays hidden until its visibility timeout ends and is
    /// received again then (as with SQS; it has cost a receive). To make that rare, the wait ends before the deadline
    /// does.
    async fn receive_messages(
        &self,
        request: Request<v1::ReceiveMessagesRequest>,
    ) -> Answer<v1::ReceiveMessagesResponse> {
        let deadline = request.extensions().get::<Deadline>().copied();
        let r = request.into_inner();
        let (namespace, name) = name("queue", &r.queue)?;
        let mut refusals = Refusals::default();
        let asked = message::receive(&r, &mut refusals);
        refusals.check()?;
        let options = ReceiveOptions {
            max_bytes: Some(ANSWER_BYTES),
            wait: self.wait(&namespace, &name, asked.wait, deadline).await?,
            ..asked
        };
        let messages = self.0.receive(&namespace, &name, options).await.map_err(failed)?;
        Ok(Response::new(v1::ReceiveMessagesResponse {
            messages: messages.iter().map(message::to_api).collect(),
        }))
    }

    async fn delete_messages(
        &self,
        request: Request<v1::DeleteMessagesRequest>,
    ) -> Answer<v1::DeleteMessagesResponse> {
        let r = request.into_inner();
        let (namespace, name) = name("queue", &r.queue)?;
        let receipts = message::receipts(r.receipt_handles)?;
        let results = self.0.delete_messages(&namespace, &name, &receipts).await;
        Ok(Response::new(v1::DeleteMessagesResponse {
            results: message::results(results.map_err(failed)?),
        }))
    }

    async fn change_message_visibility(
        &self,
        request: Request<v1::ChangeMessageVisibilityRequest>,
    ) -> Answer<v1::ChangeMessageVisibilityResponse> {
        let r = request.into_inner();
        let (namespace, name) = name("queue", &r.queue)?;
        let entries = message::visibilities(r.entries).map_err(Refusals::into_status)?;
        let results = self.0.change_visibility(&namespace, &name, &entries).await;
        Ok(Response::new(v1::ChangeMessageVisibilityResponse {
            results: message::results(results.map_err(failed)?),
        }))
    }

    async fn peek_messages(
        &self,
        request: Request<v1::PeekMessagesRequest>,
    ) -> Answer<v1::PeekMessagesResponse> {
        let r = request.into_inner();
        let (namespace, name) = name("queue", &r.queue)?;
        let scope = format!("{}/messages", r.queue);
        let after = page::open(&scope, &r.page_token)?;
        let credit = Credit {
            records: page::size(r.page_size)?,
            bytes: ANSWER_BYTES,
        };
        let page = self.0.peek(&namespace, &name, after.as_deref(), credit).await;
        let (found, next) = page.map_err(failed)?;
        Ok(Response::new(v1::PeekMessagesResponse {
            messages: found.iter().map(message::peeked_to_api).collect(),
            next_page_token: next.map_or_else(String::new, |cursor| page::seal(&scope, &cursor)),
        }))
    }
}

impl BrokerQueues {
    /// Changes what the patch names. Without `expected` it is tried again when another change came between; a change to
    /// what is there already makes no new version.
    async fn change(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        patch: &convert::QueuePatch,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Answer<v1::Queue> {
        let mut tries = CHANGE_TRIES;
        loop {
            let now = self.0.describe(namespace, name).await.map_err(failed)?;
            if let Some(expected) = expected.filter(|expected| *expected != now.revision) {
                return answer(Err(QueueError::Conflict {
                    queue: name.clone(),
                    expected,
                    actual: now.revision,
                }));
            }
            let spec = patch.clone().apply(&now.spec)?;
            if spec == now.spec {
                return answer(Ok(now));
            }
            tries -= 1;
            let revision = Some(now.revision);
            match self.0.set(namespace, name, spec, revision, validate_only).await {
                Err(QueueError::Conflict { .. }) if expected.is_none() && tries > 0 => {}
                changed => return answer(changed),
            }
        }
    }

    /// How long a receive waits: as asked, or as the queue's owner says, but no longer than its deadline allows.
    async fn wait(
        &self,
        namespace: &Namespace,
        name: &QueueName,
        asked: Option<Duration>,
        deadline: Option<Deadline>,
    ) -> Result<Option<Duration>, Status> {
        let Some(Deadline(at)) = deadline else {
            return Ok(asked);
        };
        let left = at.duration_since(Instant::now()).saturating_sub(TO_ANSWER);
        if left >= MAX_WAIT {
            return Ok(asked);
        }
        let wait = match asked {
            Some(wait) => wait,
            None => {
                let queue = self.0.describe(namespace, name).await.map_err(failed)?;
                Duration::from_secs(queue.spec.receive_wait_seconds.into())
            }
        };
        Ok(Some(wait.min(left)))
    }
}
