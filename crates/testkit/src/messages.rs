//! A function for batches of messages that takes its time on a clock under control, and is decided per call.

use crate::queue_log::{BatchResult, Delivery, QueueEvent, QueueLog};
use async_trait::async_trait;
use bytes::Bytes;
use millstream_core::verdict::{QueueVerdict, queue_verdict};
use millstream_ports::{Body, Clock, InvokeFactory, Invoker, PoolStatus};
use millstream_types::{Function, Invocation, Message, Mono, Outcome, Payload, RequestId};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One call, as the function sees it.
#[derive(Clone, Debug)]
pub struct MessageCall {
    /// Its number, from 0.
    pub number: u64,
    /// The id of the request.
    pub request: RequestId,
    /// Which attempt it says it is.
    pub attempt: u32,
    /// The batch.
    pub messages: Vec<Message>,
    /// When it began.
    pub at: Mono,
    /// When it ended; none while it runs, or if nobody waited for its end.
    pub ended: Option<Mono>,
}

impl MessageCall {
    /// The batch, as texts.
    #[must_use]
    pub fn bodies(&self) -> Vec<String> {
        let text = |m: &Message| String::from_utf8_lossy(&m.body).into_owned();
        self.messages.iter().map(text).collect()
    }
}

/// How a call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// With this outcome, after so long.
    After(Duration, Outcome),
    /// Not at all.
    Never,
}

impl Reply {
    /// Success at once.
    #[must_use]
    pub fn ok() -> Self {
        Self::ok_after(Duration::ZERO)
    }

    /// Success after so long.
    #[must_use]
    pub fn ok_after(after: Duration) -> Self {
        Self::After(after, Outcome::Response(Bytes::from_static(b"{}")))
    }
}

type Decide = Box<dyn FnMut(&MessageCall) -> Reply + Send>;

/// The [`Invoker`] port over a closure. Clones share everything; also a factory that gives itself.
#[derive(Clone)]
pub struct MessageFunction {
    clock: Arc<dyn Clock>,
    log: QueueLog,
    reports: bool,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    decide: Decide,
    calls: Vec<MessageCall>,
    running: usize,
    peak: usize,
}

impl fmt::Debug for MessageFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageFunction")
            .field("calls", &self.calls().len())
            .finish()
    }
}

impl MessageFunction {
    /// A function that `decide` speaks for. It writes what it does into `log`; `reports` tells whether its mapping
    /// reads its reports of single messages.
    #[must_use]
    pub fn new(
        clock: Arc<dyn Clock>,
        log: &QueueLog,
        reports: bool,
        decide: impl FnMut(&MessageCall) -> Reply + Send + 'static,
    ) -> Self {
        Self {
            clock,
            log: log.clone(),
            reports,
            shared: Arc::new(Mutex::new(Shared {
                decide: Box::new(decide),
                calls: Vec::new(),
                running: 0,
                peak: 0,
            })),
        }
    }

    /// All calls so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<MessageCall> {
        self.with(|s| s.calls.clone())
    }

    /// How many run now, and how many ran at once at most.
    #[must_use]
    pub fn running(&self) -> (usize, usize) {
        self.with(|s| (s.running, s.peak))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Shared) -> T) -> T {
        f(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin(&self, invocation: &Invocation, messages: &[Message]) -> (Ends, Reply) {
        let at = self.clock.now().mono;
        let (number, reply) = self.with(|s| {
            let call = MessageCall {
                number: s.calls.len() as u64,
                request: invocation.request_id,
                attempt: invocation.attempt,
                messages: messages.to_vec(),
                at,
                ended: None,
            };
            let reply = (s.decide)(&call);
            let number = call.number;
            s.calls.push(call);
            s.running += 1;
            s.peak = s.peak.max(s.running);
            (number, reply)
        });
        self.log.push(QueueEvent::Started {
            call: number,
            messages: messages.iter().map(Delivery::of).collect(),
        });
        let ends = Ends {
            function: self.clone(),
            number,
            result: BatchResult::NotRun,
        };
        (ends, reply)
    }
}

/// A call that runs. Dropped when it ends, or when nobody waits for it any more: then it did nothing.
struct Ends {
    function: MessageFunction,
    number: u64,
    result: BatchResult,
}

impl Ends {
    fn with(mut self, outcome: &Outcome, messages: &[Message]) {
        self.result = match queue_verdict(outcome, messages, self.function.reports) {
            QueueVerdict::Done => BatchResult::Done,
            QueueVerdict::Partial { failed } => BatchResult::DoneBut(failed),
            QueueVerdict::Failed { .. } => BatchResult::Failed,
            QueueVerdict::Throttled { .. } => BatchResult::NotRun,
        };
        let at = self.function.clock.now().mono;
        self.function.with(|s| {
            if let Some(call) = s.calls.get_mut(self.number as usize) {
                call.ended = Some(at);
            }
        });
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.function.with(|s| s.running -= 1);
        self.function.log.push(QueueEvent::Ended {
            call: self.number,
            result: self.result.clone(),
        });
    }
}

#[async_trait]
impl Invoker for MessageFunction {
    fn body(&self) -> Body {
        Body::Records
    }

    async fn invoke(&self, invocation: Invocation) -> Outcome {
        let Payload::Messages(messages) = &invocation.payload else {
            return crate::function::raised("AskedForMessages");
        };
        let (ends, reply) = self.begin(&invocation, messages);
        match reply {
            Reply::Never => futures::future::pending().await,
            Reply::After(after, outcome) => {
                self.clock.sleep_until(self.clock.now().mono.plus(after)).await;
                ends.with(&outcome, messages);
                outcome
            }
        }
    }

    fn status(&self) -> PoolStatus {
        PoolStatus::default()
    }

    async fn close(&self) {}
}

impl InvokeFactory for MessageFunction {
    fn invoker(&self, _function: &Function) -> Result<Arc<dyn Invoker>, String> {
        Ok(Arc::new(self.clone()))
    }
}
