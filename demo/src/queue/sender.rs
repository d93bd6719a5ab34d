//! Sends one queue's messages, in order, and remembers the receipt of each: the id and sequence number it got.
//!
//! After a crash in the middle of a send nobody knows whether its messages were stored. They are sent again: a FIFO
//! queue knows them by their deduplication ids and answers with the first receipts, a standard queue may hold them
//! twice. The check knows for which flights that is so.

use super::QueueScene;
use crate::client::{Client, queue_name};
use crate::error::DemoError;
use crate::flights::Flight;
use millstream_api::v1;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Messages of one send, the most the API takes.
const BATCH: usize = 10;

/// What a send was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Of which flight.
    pub(crate) n: usize,
    pub(crate) id: String,
    /// Empty: the queue is no FIFO queue.
    pub(crate) sequence: String,
}

/// What is known of all messages of a queue when they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// In the order of the sends.
    pub(crate) receipts: Vec<Receipt>,
    /// Flights that were sent again because the send before was not answered.
    pub(crate) again: BTreeSet<usize>,
}

/// The sender of one queue and what it has sent so far.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Client,
    scene: &'static QueueScene,
    flights: Arc<Vec<Flight>>,
    messages: Vec<usize>,
    sent: Sent,
}

impl Sender {
    /// A sender that has sent nothing yet.
    pub(crate) fn new(client: Client, scene: &'static QueueScene, flights: Arc<Vec<Flight>>) -> Self {
        let messages = scene.messages(&flights);
        Self {
            client,
            scene,
            flights,
            messages,
            sent: Sent::default(),
        }
    }

    /// How many messages there are.
    pub(crate) fn all(&self) -> usize {
        self.messages.len()
    }

    /// How many messages are stored for certain.
    pub(crate) fn stored(&self) -> usize {
        self.sent.receipts.len()
    }

    /// Sends, ten at a time, until `end` messages or all are stored.
    ///
    /// # Errors
    /// If a call fails or a message is refused. The next call sends the same messages again.
    pub(crate) async fn send_until(&mut self, end: usize) -> Result<(), DemoError> {
        while self.stored() < end.min(self.all()) {
            let from = self.stored();
            let to = (from + BATCH).min(self.all());
            let sent = self.send(from, to).await;
            if sent.is_err() {
                self.sent.again.extend(&self.messages[from..to]);
            }
            sent?;
        }
        Ok(())
    }

    async fn send(&mut self, from: usize, to: usize) -> Result<(), DemoError> {
        let entries = self.messages[from..to].iter();
        let request = v1::SendMessagesRequest {
            queue: queue_name(self.scene.queue),
            messages: entries.map(|n| entry(self.scene, &self.flights[*n])).collect(),
        };
        let answer = self.client.queues.clone().send_messages(request).await;
        let results = answer
            .map_err(DemoError::call("SendMessages"))?
            .into_inner()
            .results;
        let receipts = receipts(&self.messages[from..to], results)?;
        self.sent.receipts.extend(receipts);
        Ok(())
    }

    /// What is known of what was sent.
    pub(crate) fn into_sent(self) -> Sent {
        self.sent
    }
}

/// The receipts of a send, if all of it was stored.
fn receipts(numbers: &[usize], results: Vec<v1::SendMessagesResult>) -> Result<Vec<Receipt>, DemoError> {
    if let [n, ..] = numbers
        && results.len() != numbers.len()
    {
        let why = format!("{} results for {} messages", results.len(), numbers.len());
        return Err(DemoError::Refused { n: *n, why });
    }
    let receipt = |(n, result): (&usize, v1::SendMessagesResult)| {
        if result.error_code.is_empty() {
            Ok(Receipt {
                n: *n,
                id: result.message_id,
                sequence: result.sequence_number,
            })
        } else {
            let why = format!("{}: {}", result.error_code, result.error_message);
            Err(DemoError::Refused { n: *n, why })
        }
    };
    numbers.iter().zip(results).map(receipt).collect()
}

fn entry(scene: &QueueScene, flight: &Flight) -> v1::SendMessagesEntry {
    let (message_group_id, message_deduplication_id) = if scene.fifo {
        (flight.dest.clone(), flight.n.to_string())
    } else {
        Default::default()
    };
    v1::SendMessagesEntry {
        // A flight is plain values: it always has a JSON form.
        body: serde_json::to_string(flight).unwrap_or_default(),
        message_group_id,
        message_deduplication_id,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flights::tests::flight;
    use crate::queue::QUEUES;

    #[test]
    fn only_fifo_messages_have_group_and_deduplication_id() {
        let [arrival, departure] = QUEUES.map(|scene| entry(&scene, &flight(17, "N1", Some(3))));
        assert_eq!(arrival.body, departure.body);
        assert_eq!(
            (
                arrival.message_group_id.as_str(),
                arrival.message_deduplication_id.as_str()
            ),
            ("", "")
        );
        assert_eq!(
            (
                departure.message_group_id.as_str(),
                departure.message_deduplication_id.as_str()
            ),
            ("IAH", "17")
        );
    }

    #[test]
    fn a_send_counts_only_if_all_of_it_is_stored() {
        let result = |id: &str, error: &str| v1::SendMessagesResult {
            message_id: id.to_owned(),
            error_code: error.to_owned(),
            error_message: "why".to_owned(),
            ..Default::default()
        };
        let stored = receipts(&[3, 5], vec![result("a", ""), result("b", "")]).unwrap();
        assert_eq!(
            stored.iter().map(|r| (r.n, r.id.as_str())).collect::<Vec<_>>(),
            [(3, "a"), (5, "b")]
        );
        for (results, why) in [
            (
                vec![result("a", ""), result("", "DISK_FULL")],
                "flight 5 was not stored: DISK_FULL: why",
            ),
            (
                vec![result("a", "")],
                "flight 3 was not stored: 1 results for 2 messages",
            ),
        ] {
            assert_eq!(receipts(&[3, 5], results).unwrap_err().to_string(), why);
        }
    }
}
