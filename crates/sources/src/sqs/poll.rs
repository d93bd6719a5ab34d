//! Receives, each in a task of its own.
//!
//! SQS cannot be told that nobody waits any more: what it hands out to a poll that was cut off stays hidden for the whole
//! visibility timeout. So a poll goes on to its end when the engine drops its future, and what it brings is shown again
//! at once. A stop waits for that, within its deadline.

use super::error::source_error;
use super::message::message;
use super::queue::{CALL_WITHIN, Queue, TRY_WITHIN, for_poll};
use crate::connection::{Fault, FaultKind, MAX_ATTEMPTS};
use aws_sdk_sqs::types::MessageSystemAttributeName;
use millstream_ports::{MAX_ENTRIES, MAX_WAIT, SourceError};
use millstream_types::{Message, Receipt};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Most polls at once, those included that nobody waits for any more: what sixteen mappings at full scale need.
const MOST_POLLS: u32 = 20_000;

/// All polls of a process.
#[derive(Debug)]
pub(super) struct Polls(Arc<Semaphore>);

impl Default for Polls {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_POLLS as usize)))
    }
}

impl Polls {
    /// Receives up to `max` messages, and waits up to `wait` for the first. See
    /// [`QueueSource::receive`](millstream_ports::QueueSource::receive).
    pub(super) async fn receive(
        &self,
        queue: &Arc<Queue>,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<Message>, SourceError> {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            let why = format!("{MOST_POLLS} long polls are on their way, which is the most");
            return Err(SourceError::Unavailable(why));
        };
        let (answer, answered) = oneshot::channel();
        let queue = Arc::clone(queue);
        let asked = Arc::clone(&queue);
        tokio::spawn(async move {
            let received = poll(&queue, max.clamp(1, MAX_ENTRIES), wait.min(MAX_WAIT)).await;
            let handed = received.map(|messages| Handed {
                messages,
                queue: Arc::clone(&queue),
                permit: Some(permit),
            });
            // If nobody waits any more, it is dropped here, and shows again what is in it.
            drop(answer.send(handed));
        });
        match answered.await {
            Ok(Ok(handed)) => Ok(handed.take()),
            Ok(Err(fault)) => Err(source_error(&asked.arn, &asked.note(fault))),
            Err(_) => Err(SourceError::Unavailable(
                "a poll ended without an answer".to_owned(),
            )),
        }
    }

    /// Waits until no poll is on its way, for at most so long; whether that is so.
    pub(super) async fn ended(&self, within: Duration) -> bool {
        let all = self.0.acquire_many(MOST_POLLS);
        tokio::time::timeout(within, all).await.is_ok()
    }
}

/// Messages on their way to whoever waits for them. Dropped with messages in it, it shows them again.
#[derive(Debug)]
struct Handed {
    messages: Vec<Message>,
    queue: Arc<Queue>,
    /// That of the poll, held until they are shown again.
    permit: Option<OwnedSemaphorePermit>,
}

impl Handed {
    fn take(mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if self.messages.is_empty() {
            return;
        }
        let receipts: Vec<(Receipt, Duration)> = std::mem::take(&mut self.messages)
            .into_iter()
            .map(|m| (m.receipt, Duration::ZERO))
            .collect();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (queue, permit) = (Arc::clone(&self.queue), self.permit.take());
        runtime.spawn(async move {
            let _permit = permit;
            for answer in queue.hide(&receipts).await {
                if let Err(error) = answer {
                    let queue = &*queue.arn;
                    tracing::info!(queue, %error, "a message that nobody waited for comes again only when its visibility timeout ends");
                }
            }
        });
    }
}

/// Receives once, as the engine sees it. A try that fails is repeated for what is left of the wait only: repeated in full it
/// would be cut off before its end, and what came to it then would be hidden from everybody.
async fn poll(queue: &Queue, max: usize, wait: Duration) -> Result<Vec<Message>, Fault> {
    let url = queue.url().await?;
    // A repetition after a lost answer then gets what the first try was given, where SQS can tell (FIFO).
    let id = queue.is_fifo.then(attempt_id).flatten();
    let (waited, answered) = (Instant::now() + wait, Instant::now() + wait + CALL_WITHIN);
    let (mut tries, mut left) = (1, wait);
    loop {
        let fault = match try_poll(queue, &url, id.clone(), max, left).await {
            Ok(messages) => return Ok(messages),
            Err(fault) => fault,
        };
        let again = Instant::now() + rest(tries);
        left = waited.saturating_duration_since(again);
        if tries == MAX_ATTEMPTS || !may_be_over(&fault) || again + left + TRY_WITHIN > answered {
            return Err(fault);
        }
        tokio::time::sleep_until(again.into()).await;
        tries += 1;
    }
}

/// Whether another try at once may help. Too much in flight passes only with what is being worked on.
fn may_be_over(fault: &Fault) -> bool {
    let is_full = fault
        .code
        .as_deref()
        .is_some_and(|code| code.ends_with("OverLimit"));
    matches!(fault.kind, FaultKind::Throttled | FaultKind::Unavailable) && !is_full
}

/// Before another try: up to a second, then up to two, by chance.
fn rest(tries: u32) -> Duration {
    let longest = Duration::from_millis(500 << tries.min(2));
    let chance = getrandom::u32().unwrap_or(u32::MAX / 2);
    longest.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

async fn try_poll(
    queue: &Queue,
    url: &str,
    attempt: Option<String>,
    max: usize,
    wait: Duration,
) -> Result<Vec<Message>, Fault> {
    // Both are bounded, as the callers see to.
    let (max, seconds) = (
        i32::try_from(max).unwrap_or(1),
        i32::try_from(wait.as_secs()).unwrap_or(0),
    );
    let call = queue
        .client
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(max)
        .wait_time_seconds(seconds)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All")
        .set_receive_request_attempt_id(attempt);
    let call = call.customize().config_override(for_poll(wait));
    let answer = call.send().await.map_err(|e| Fault::of("ReceiveMessage", &e))?;
    Ok(answer
        .messages
        .unwrap_or_default()
        .into_iter()
        .filter_map(message)
        .collect())
}

fn attempt_id() -> Option<String> {
    let (a, b) = (getrandom::u64().ok()?, getrandom::u64().ok()?);
    Some(format!("{a:016x}{b:016x}"))
}
