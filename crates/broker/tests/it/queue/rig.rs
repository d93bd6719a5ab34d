//! A broker with queues, a clock and failures in the test's hands.

use crate::rig::open_db;
use millstream_broker::Broker;
use millstream_ports::{
    Credit, EntryError, PeekedMessage, QueueDepth, QueueError, Queues, ReceiveOptions, SendEntry, SendError,
    SendReceipt,
};
use millstream_store::{Batch, Db, Durability, Faults, Health};
use millstream_testkit::{ManualClock, SeededEntropy};
use millstream_types::message::MessageAttributes;
use millstream_types::queue::Redrive;
use millstream_types::{Message, Namespace, QueueName, QueueSpec, Wall};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const START: u64 = 1_700_000_000_000;

pub(crate) struct Rig {
    pub(crate) broker: Broker,
    pub(crate) db: Db,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) faults: Faults,
    dir: TempDir,
    lives: u64,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Wall(START)));
        Self::open(tempfile::tempdir().unwrap(), clock, 1).await
    }

    async fn open(dir: TempDir, clock: Arc<ManualClock>, lives: u64) -> Self {
        let faults = Faults::default();
        let db = open_db(dir.path(), &faults);
        let entropy = Arc::new(SeededEntropy::new(lives));
        let broker = Broker::open(db.clone(), clock.clone(), entropy).await.unwrap();
        Self {
            broker,
            db,
            clock,
            faults,
            dir,
            lives,
        }
    }

    /// The same directory in a new life. What was queued is written first, as a process that ends does.
    pub(crate) async fn reopen(self) -> Self {
        let Self {
            broker,
            db,
            clock,
            dir,
            lives,
            ..
        } = self;
        drop(broker);
        db.close().await;
        drop(db);
        Self::open(dir, clock, lives + 1).await
    }

    /// Waits until the database was opened again this often, and works.
    pub(crate) async fn reopened(&self, times: u64) {
        let reopened = |health: &Health| *health == Health::Healthy && self.db.stats().reopens >= times;
        self.db.health().wait_for(reopened).await.unwrap();
    }

    pub(crate) async fn create(&self, name: &str, spec: QueueSpec) {
        self.broker
            .create(&ns(), &queue(name), spec, false)
            .await
            .unwrap();
    }

    pub(crate) async fn plain(&self, name: &str) {
        self.create(name, QueueSpec::default()).await;
    }

    pub(crate) async fn send_all(
        &self,
        name: &str,
        entries: Vec<SendEntry>,
    ) -> Vec<Result<SendReceipt, SendError>> {
        self.broker.send(&ns(), &queue(name), entries).await.unwrap()
    }

    pub(crate) async fn send(&self, name: &str, bodies: &[&str]) -> Vec<SendReceipt> {
        let entries = bodies.iter().map(|body| entry(body)).collect();
        self.send_all(name, entries)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect()
    }

    /// `group:body` each, with the body as deduplication id.
    pub(crate) async fn send_fifo(&self, name: &str, messages: &[&str]) -> Vec<SendReceipt> {
        let entries = messages.iter().map(|text| fifo_entry(text)).collect();
        self.send_all(name, entries)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect()
    }

    pub(crate) async fn receive(&self, name: &str, max: usize) -> Vec<Message> {
        self.try_receive(name, max).await.unwrap()
    }

    pub(crate) async fn try_receive(&self, name: &str, max: usize) -> Result<Vec<Message>, QueueError> {
        let options = ReceiveOptions {
            max,
            wait: Some(Duration::ZERO),
            ..ReceiveOptions::default()
        };
        self.broker.receive(&ns(), &queue(name), options).await
    }

    /// Waits for what is on its way.
    pub(crate) async fn receive_soon(&self, name: &str) -> Vec<Message> {
        let options = ReceiveOptions {
            max: 10,
            wait: Some(Duration::from_secs(20)),
            ..ReceiveOptions::default()
        };
        self.broker.receive(&ns(), &queue(name), options).await.unwrap()
    }

    /// Returns when everything that was written before is on disk, or failed.
    pub(crate) async fn written(&self) {
        let _ = self.db.write(Batch::new(), Durability::Synced).await;
    }

    pub(crate) async fn delete(&self, name: &str, messages: &[&Message]) -> Vec<Result<(), EntryError>> {
        let receipts: Vec<_> = messages.iter().map(|m| m.receipt.clone()).collect();
        self.broker
            .delete_messages(&ns(), &queue(name), &receipts)
            .await
            .unwrap()
    }

    pub(crate) async fn hide(&self, name: &str, message: &Message, seconds: u64) -> Result<(), EntryError> {
        let entries = [(message.receipt.clone(), Duration::from_secs(seconds))];
        let answers = self.broker.change_visibility(&ns(), &queue(name), &entries).await;
        answers.unwrap().remove(0)
    }

    pub(crate) async fn depth(&self, name: &str) -> QueueDepth {
        self.broker.describe(&ns(), &queue(name)).await.unwrap().depth
    }

    /// Visible, in flight, delayed.
    pub(crate) async fn counts(&self, name: &str) -> (u64, u64, u64) {
        let depth = self.depth(name).await;
        (depth.visible, depth.in_flight, depth.delayed)
    }

    pub(crate) async fn peek(&self, name: &str) -> Vec<PeekedMessage> {
        let credit = Credit {
            records: 100,
            bytes: usize::MAX,
        };
        self.broker
            .peek(&ns(), &queue(name), None, credit)
            .await
            .unwrap()
            .0
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub(crate) fn ns() -> Namespace {
    Namespace::default()
}

pub(crate) fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

pub(crate) fn entry(body: &str) -> SendEntry {
    SendEntry {
        body: body.to_owned().into(),
        attributes: MessageAttributes::new(),
        delay: None,
        group: None,
        deduplication: None,
        trace_header: None,
        trace: None,
    }
}

/// `group:body`, with the body as deduplication id.
pub(crate) fn fifo_entry(text: &str) -> SendEntry {
    let (group, body) = text.split_once(':').unwrap();
    SendEntry {
        group: Some(group.to_owned()),
        deduplication: Some(body.to_owned()),
        ..entry(body)
    }
}

pub(crate) fn dead_letters(name: &str, max_receive_count: u32) -> QueueSpec {
    QueueSpec {
        redrive: Some(Redrive {
            dead_letter_queue: queue(name),
            max_receive_count,
        }),
        ..QueueSpec::default()
    }
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(body).collect()
}

pub(crate) fn body(message: &Message) -> &str {
    std::str::from_utf8(&message.body).unwrap()
}
