//! Feeds the stream and the queues in step, so that a crash in the middle of the one is in the middle of the others.

use crate::client::Client;
use crate::error::DemoError;
use crate::flights::Flight;
use crate::producer::{BATCH, Producer, Receipt};
use crate::queue::QUEUES;
use crate::queue::sender::{Sender, Sent};
use crate::server::Server;
use crate::watch::{Put, Watcher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How many records the producer may be ahead of the slower mapping. Enough to fill every batch, little enough that
/// the crash in the middle of the puts is in the middle of the work.
const AHEAD: u64 = 20_000;

/// Of a stream of this many parts, the queues have all their messages when `.1` parts are put: dead letters take their
/// time, and the demo need not wait for them.
const SENT_WITH: (usize, usize) = (5, 4);

/// Messages that each queue gets at once right before the crash, so that its function is busy.
const BURST: usize = 500;

/// How long after the start of a put the server is killed: most puts are under way by then.
const KILL_DELAY: Duration = Duration::from_millis(3);

/// Everything that was put and sent.
pub(crate) struct Fed {
    /// In the order of the flights.
    pub(crate) receipts: Vec<Receipt>,
    /// In the order of [`QUEUES`].
    pub(crate) sent: [Sent; QUEUES.len()],
}

/// The producer of the stream, and the sender of each queue.
pub(crate) struct Feed {
    producer: Producer,
    senders: [Sender; QUEUES.len()],
    flights: usize,
    put: Arc<Put>,
}

impl Feed {
    /// Nothing is put yet; what is put is counted in `put`.
    pub(crate) async fn new(
        client: &Client,
        flights: &Arc<Vec<Flight>>,
        put: Arc<Put>,
    ) -> Result<Self, DemoError> {
        let senders =
            std::array::from_fn(|queue| Sender::new(client.clone(), &QUEUES[queue], Arc::clone(flights)));
        Ok(Self {
            producer: Producer::new(client.clone(), Arc::clone(flights)).await?,
            senders,
            flights: flights.len(),
            put,
        })
    }

    /// How many flights are stored for certain.
    pub(crate) fn stored(&self) -> usize {
        self.producer.stored()
    }

    /// How many messages each queue has stored for certain.
    pub(crate) fn sent(&self) -> [usize; QUEUES.len()] {
        self.senders.each_ref().map(Sender::stored)
    }

    /// Puts until `end` flights are stored, and sends each queue its share.
    pub(crate) async fn until(&mut self, end: usize, watcher: &Watcher) -> Result<(), DemoError> {
        while self.stored() < end {
            watcher
                .until(|look| look.worst_lag().is_some_and(|lag| lag < AHEAD))
                .await?;
            let share = (self.stored() + BATCH, self.flights);
            let [a, b] = &mut self.senders;
            let (to_a, to_b) = (due(a.all(), share), due(b.all(), share));
            tokio::try_join!(self.producer.put_next(), a.send_until(to_a), b.send_until(to_b))?;
            self.count();
        }
        Ok(())
    }

    /// Kills the server while a put to the stream and a send to each queue are under way. Returns whether the put was
    /// answered: whether it succeeds, fails or is stored without an answer is anybody's guess, and all three must be
    /// right. The sends go on until one is not answered.
    pub(crate) async fn through_kill(&mut self, server: &mut Server) -> Result<bool, DemoError> {
        let [a, b] = &mut self.senders;
        let (to_a, to_b) = (a.stored() + BURST, b.stored() + BURST);
        tokio::try_join!(a.send_until(to_a), b.send_until(to_b))?;
        let (put, _, _, killed) = tokio::join!(
            self.producer.put_next(),
            a.send_until(usize::MAX),
            b.send_until(usize::MAX),
            async {
                tokio::time::sleep(KILL_DELAY).await;
                server.kill().await
            }
        );
        self.count();
        killed.map(|()| put.is_ok())
    }

    /// Finds out which flights were stored without an answer; how many. The messages are sent again with the next.
    pub(crate) async fn recover(&mut self) -> Result<usize, DemoError> {
        let found = self.producer.recover().await?;
        self.count();
        Ok(found)
    }

    /// What is known of everything.
    pub(crate) fn into_fed(self) -> Fed {
        Fed {
            receipts: self.producer.into_receipts(),
            sent: self.senders.map(Sender::into_sent),
        }
    }

    fn count(&self) {
        self.put.flights.store(self.stored() as u64, Ordering::Relaxed);
        for (count, sent) in self.put.messages.iter().zip(self.sent()) {
            count.store(sent as u64, Ordering::Relaxed);
        }
    }
}

/// How many of `messages` are to be sent when `share.0` of `share.1` flights are put.
fn due(messages: usize, share: (usize, usize)) -> usize {
    let (parts, by) = SENT_WITH;
    (messages * share.0 * parts).div_ceil(share.1 * by).min(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_messages_are_due_at_four_fifths() {
        for (stored, messages) in [
            (0, 0),
            (1, 2),
            (40, 50),
            (79, 99),
            (80, 100),
            (81, 100),
            (150, 100),
        ] {
            assert_eq!(due(100, (stored, 100)), messages, "{stored}");
        }
    }
}
