//! Calls of a queue, each with a deadline of its own: what comes back is an answer for every entry.

use super::screen::QueueScreen;
use crate::meter::{Meter, Operation};
use millstream_core::event::QueueEventShape;
use millstream_core::queue::{
    DeleteOrder, EntryAnswer, ReceiveFault, ReceiveOrder, Received, VisibilityOrder,
};
use millstream_ports::{Clock, EntryError, QueueSource, SourceError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a queue may take to answer, beyond what it was asked to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A queue, and the clock that ends calls which hang.
#[derive(Clone)]
pub(super) struct Calls {
    pub(super) source: Arc<dyn QueueSource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shape: Arc<QueueEventShape>,
    pub(super) meter: Arc<Meter>,
    /// The mapping's filters, if it has any.
    pub(super) screen: Option<Arc<QueueScreen>>,
}

impl Calls {
    /// Receives once. `cut` ends the wait for a first message; what the queue hands out in the same moment it shows
    /// again by itself.
    pub(super) async fn receive(
        &self,
        order: ReceiveOrder,
        cut: oneshot::Receiver<()>,
    ) -> Result<Vec<Received>, ReceiveFault> {
        self.meter.requested(Operation::Receive);
        let hung = self.late(order.wait);
        let received = tokio::select! {
            biased;
            received = self.source.receive(order.max, order.wait) => received,
            Ok(()) = cut => Ok(Vec::new()),
            () = hung => Err(SourceError::Unavailable("a receive was not answered in time".to_owned())),
        };
        match received {
            Ok(messages) => {
                let mut received = Received::measure(messages, &self.shape);
                if let Some(screen) = &self.screen {
                    screen.sift(&mut received, &self.shape, &self.meter).await;
                }
                Ok(received)
            }
            Err(e @ (SourceError::NoSuchQueue { .. } | SourceError::NotServed(_))) => {
                Err(ReceiveFault::NoSuchQueue(e.to_string()))
            }
            Err(e) => Err(ReceiveFault::Unavailable(e.to_string())),
        }
    }

    pub(super) async fn delete(&self, order: &DeleteOrder) -> Vec<EntryAnswer> {
        self.meter.requested(Operation::Delete);
        let call = self.source.delete(&order.receipts);
        self.answers(order.receipts.len(), call).await
    }

    pub(super) async fn change_visibility(&self, order: &VisibilityOrder) -> Vec<EntryAnswer> {
        self.meter.requested(Operation::ChangeVisibility);
        let call = self.source.change_visibility(&order.entries);
        self.answers(order.entries.len(), call).await
    }

    /// One answer per entry, whatever the queue says.
    async fn answers(
        &self,
        entries: usize,
        call: impl Future<Output = Vec<Result<(), EntryError>>>,
    ) -> Vec<EntryAnswer> {
        let results = tokio::select! {
            biased;
            results = call => results,
            () = self.late(Duration::ZERO) => Vec::new(),
        };
        let mut answers: Vec<EntryAnswer> = results.into_iter().map(answer).collect();
        let none = || EntryAnswer::Unavailable("the queue did not answer".to_owned());
        answers.resize_with(entries, none);
        answers
    }

    async fn late(&self, wait: Duration) {
        let at = self.clock.now().mono.plus(wait).plus(ANSWER_WITHIN);
        self.clock.sleep_until(at).await;
    }
}

fn answer(result: Result<(), EntryError>) -> EntryAnswer {
    match result {
        Ok(()) => EntryAnswer::Done,
        Err(EntryError::Receipt(_)) => EntryAnswer::ReceiptInvalid,
        Err(e @ EntryError::Unavailable(_)) => EntryAnswer::Unavailable(e.to_string()),
    }
}
