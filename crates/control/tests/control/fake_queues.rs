//! Queues in memory, of one namespace. A hidden message stays hidden until somebody shows or deletes it: no clock.

use async_trait::async_trait;
use millstream_ports::*;
use millstream_types::queue::QueueSpec;
use millstream_types::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct FakeQueues {
    queues: Mutex<BTreeMap<QueueName, FakeQueue>>,
    sent: Notify,
    /// How receives were asked for.
    pub(crate) received: Mutex<Vec<ReceiveOptions>>,
    /// That a receive has begun to wait.
    pub(crate) waits: Notify,
    pub(crate) disk_full: AtomicBool,
    pub(crate) over_limit: AtomicBool,
    /// Changes that come between the next reads of settings and their writes.
    pub(crate) meanwhile: AtomicUsize,
}

struct FakeQueue {
    spec: QueueSpec,
    revision: u64,
    next: u64,
    messages: Vec<(Message, MessageState)>,
}

fn invalid(field: &'static str, value: &impl ToString, allowed: &str) -> QueueError {
    QueueError::Invalid {
        field,
        value: value.to_string(),
        allowed: allowed.into(),
    }
}

impl FakeQueues {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<QueueName, FakeQueue>> {
        self.queues.lock().unwrap()
    }

    fn with<T>(&self, name: &QueueName, f: impl FnOnce(&mut FakeQueue) -> T) -> Result<T, QueueError> {
        let mut queues = self.lock();
        let queue = queues
            .get_mut(name)
            .ok_or_else(|| QueueError::NotFound(name.clone()))?;
        Ok(f(queue))
    }

    /// A few of the broker's rules: a range, a rule of a kind, and one about another queue.
    fn check(&self, name: &QueueName, spec: &QueueSpec) -> Result<(), QueueError> {
        if spec.delay_seconds > 900 {
            return Err(invalid("delay_seconds", &spec.delay_seconds, "0 to 900"));
        }
        if spec.content_based_deduplication && !name.is_fifo() {
            return Err(invalid(
                "content_based_deduplication",
                &true,
                "only for FIFO queues",
            ));
        }
        match &spec.redrive {
            Some(r) if !self.lock().contains_key(&r.dead_letter_queue) => {
                let dead = &r.dead_letter_queue;
                Err(invalid("redrive.dead_letter_queue", dead, "an existing queue"))
            }
            _ => Ok(()),
        }
    }

    fn take(&self, name: &QueueName, options: &ReceiveOptions) -> Result<Vec<Message>, QueueError> {
        self.with(name, |q| {
            let (mut taken, mut bytes) = (Vec::new(), 0);
            let visible = q.messages.iter_mut().filter(|(_, s)| *s == MessageState::Visible);
            for (message, state) in visible.take(options.max) {
                bytes += message.payload_bytes();
                if !taken.is_empty() && options.max_bytes.is_some_and(|most| bytes > most) {
                    break;
                }
                *state = MessageState::InFlight(Wall(1_000));
                message.system.receive_count += 1;
                message.receipt = Receipt(format!("{}:{}", message.id, message.system.receive_count).into());
                taken.push(message.clone());
            }
            taken
        })
    }
}

impl FakeQueue {
    fn describe(&self, name: &QueueName) -> QueueDescription {
        let in_state = |wanted: fn(&MessageState) -> bool| {
            self.messages.iter().filter(|(_, s)| wanted(s)).count() as u64
        };
        QueueDescription {
            namespace: Namespace::default(),
            name: name.clone(),
            spec: self.spec.clone(),
            created: Wall(1_000),
            modified: Wall(1_000),
            revision: self.revision,
            depth: QueueDepth {
                visible: in_state(|s| *s == MessageState::Visible),
                in_flight: in_state(|s| matches!(s, MessageState::InFlight(_))),
                delayed: 0,
                oldest: None,
            },
            dead_letter_sources: Vec::new(),
        }
    }

    fn store(&mut self, e: SendEntry) -> Result<SendReceipt, SendError> {
        if e.delay.is_some_and(|d| d.as_secs() > 900) {
            return Err(SendError::Invalid {
                field: "delay_seconds",
                value: e.delay.unwrap_or_default().as_secs().to_string(),
                allowed: "0 to 900".into(),
            });
        }
        self.next += 1;
        let (id, md5): (Arc<str>, Arc<str>) = (format!("m{}", self.next).into(), "md5".into());
        let message = Message {
            id: id.clone(),
            receipt: Receipt("".into()),
            body: e.body,
            attributes: Arc::new(e.attributes),
            md5_of_body: md5.clone(),
            md5_of_attributes: None,
            system: message::SystemAttributes {
                receive_count: 0,
                sent: Wall(1_000),
                first_received: Wall(0),
                sender: "s".into(),
                trace_header: e.trace_header.map(Into::into),
                dead_letter_source: None,
                group: e.group.map(Into::into),
                fifo: None,
            },
            trace: e.trace,
        };
        self.messages.push((message, MessageState::Visible));
        Ok(SendReceipt {
            id,
            md5_of_body: md5,
            md5_of_attributes: None,
            sequence: None,
        })
    }

    fn find(&mut self, receipt: &Receipt) -> Result<usize, EntryError> {
        let found = self.messages.iter().position(|(m, _)| m.receipt == *receipt);
        found.ok_or_else(|| EntryError::Receipt("no such message".into()))
    }
}

#[async_trait]
impl Queues for FakeQueues {
    async fn create(
        &self,
        _: &Namespace,
        name: &QueueName,
        spec: QueueSpec,
        validate_only: bool,
    ) -> Result<QueueDescription, QueueError> {
        self.check(name, &spec)?;
        let mut queues = self.lock();
        if queues.contains_key(name) {
            return Err(QueueError::AlreadyExists(name.clone()));
        }
        let queue = FakeQueue {
            spec,
            revision: u64::from(!validate_only),
            next: 0,
            messages: Vec::new(),
        };
        let made = queue.describe(name);
        if !validate_only {
            queues.insert(name.clone(), queue);
        }
        Ok(made)
    }

    async fn describe(&self, _: &Namespace, name: &QueueName) -> Result<QueueDescription, QueueError> {
        let described = self.with(name, |q| q.describe(name));
        let other = self.meanwhile.load(SeqCst);
        if other > 0 {
            self.meanwhile.store(other - 1, SeqCst);
            self.with(name, |q| q.revision += 1)?;
        }
        described
    }

    async fn list(
        &self,
        _: &Namespace,
        after: Option<&QueueName>,
        limit: usize,
    ) -> Result<Vec<QueueDescription>, QueueError> {
        let queues = self.lock();
        let behind = queues.iter().filter(|(name, _)| after.is_none_or(|a| *name > a));
        Ok(behind.take(limit).map(|(name, q)| q.describe(name)).collect())
    }

    async fn set(
        &self,
        _: &Namespace,
        name: &QueueName,
        spec: QueueSpec,
        expected: Option<u64>,
        validate_only: bool,
    ) -> Result<QueueDescription, QueueError> {
        self.check(name, &spec)?;
        self.with(name, |q| match expected {
            Some(expected) if expected != q.revision => Err(QueueError::Conflict {
                queue: name.clone(),
                expected,
                actual: q.revision,
            }),
            _ if validate_only => Ok(QueueDescription {
                spec,
                ..q.describe(name)
            }),
            _ => {
                (q.spec, q.revision) = (spec, q.revision + 1);
                Ok(q.describe(name))
            }
        })?
    }

    async fn delete(&self, _: &Namespace, name: &QueueName, expected: Option<u64>) -> Result<(), QueueError> {
        let actual = self.with(name, |q| q.revision)?;
        match expected {
            Some(expected) if expected != actual => Err(QueueError::Conflict {
                queue: name.clone(),
                expected,
                actual,
            }),
            _ => {
                self.lock().remove(name);
                Ok(())
            }
        }
    }

    async fn purge(&self, _: &Namespace, name: &QueueName) -> Result<(), QueueError> {
        self.with(name, |q| q.messages.clear())
    }

    async fn send(
        &self,
        _: &Namespace,
        name: &QueueName,
        entries: Vec<SendEntry>,
    ) -> Result<Vec<Result<SendReceipt, SendError>>, QueueError> {
        if self.disk_full.load(SeqCst) {
            return Err(QueueError::DiskFull { free: 1, floor: 2 });
        }
        let stored = self.with(name, |q| entries.into_iter().map(|e| q.store(e)).collect());
        self.sent.notify_waiters();
        stored
    }

    async fn receive(
        &self,
        _: &Namespace,
        name: &QueueName,
        options: ReceiveOptions,
    ) -> Result<Vec<Message>, QueueError> {
        self.received.lock().unwrap().push(options);
        if self.over_limit.load(SeqCst) {
            return Err(QueueError::OverLimit(name.clone()));
        }
        let sent = self.sent.notified();
        let taken = self.take(name, &options)?;
        let wait = options.wait.unwrap_or_default();
        if !taken.is_empty() || wait.is_zero() {
            return Ok(taken);
        }
        self.waits.notify_one();
        drop(tokio::time::timeout(wait, sent).await);
        self.take(name, &options)
    }

    async fn delete_messages(
        &self,
        _: &Namespace,
        name: &QueueName,
        receipts: &[Receipt],
    ) -> Result<Vec<Result<(), EntryError>>, QueueError> {
        self.with(name, |q| {
            let mut one = |r| q.find(r).map(|i| drop(q.messages.remove(i)));
            receipts.iter().map(&mut one).collect()
        })
    }

    async fn change_visibility(
        &self,
        _: &Namespace,
        name: &QueueName,
        entries: &[(Receipt, Duration)],
    ) -> Result<Vec<Result<(), EntryError>>, QueueError> {
        self.with(name, |q| {
            let mut one = |(receipt, hidden): &(Receipt, Duration)| {
                let i = q.find(receipt)?;
                q.messages[i].1 = if hidden.is_zero() {
                    MessageState::Visible
                } else {
                    MessageState::InFlight(Wall(1_000 + hidden.as_millis() as u64))
                };
                Ok(())
            };
            entries.iter().map(&mut one).collect()
        })
    }

    async fn peek(
        &self,
        _: &Namespace,
        name: &QueueName,
        after: Option<&[u8]>,
        credit: Credit,
    ) -> Result<(Vec<PeekedMessage>, Option<Vec<u8>>), QueueError> {
        let from = match after {
            None => 0,
            Some([n]) => usize::from(*n),
            Some(_) => return Err(invalid("after", &"?", "what an earlier page returned")),
        };
        self.with(name, |q| {
            let mut bytes = 0;
            let found: Vec<_> = q.messages[from..]
                .iter()
                .take(credit.records)
                .enumerate()
                .take_while(|(i, (m, _))| {
                    bytes += m.payload_bytes();
                    *i == 0 || bytes <= credit.bytes
                })
                .map(|(_, (message, state))| PeekedMessage {
                    message: message.clone(),
                    state: *state,
                })
                .collect();
            let next = from + found.len();
            let more = (next < q.messages.len()).then(|| vec![u8::try_from(next).unwrap()]);
            (found, more)
        })
    }
}

/// What the engine sees of a queue.
pub(crate) struct FakeSource(pub(crate) bool);

#[async_trait]
impl QueueSource for FakeSource {
    async fn attributes(&self) -> Result<QueueAttributes, SourceError> {
        Ok(QueueAttributes {
            fifo: self.0,
            visibility_timeout: Duration::from_secs(30),
            max_receive_count: None,
        })
    }
    async fn receive(&self, _: usize, _: Duration) -> Result<Vec<Message>, SourceError> {
        std::future::pending().await
    }
    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), EntryError>> {
        vec![Ok(()); receipts.len()]
    }
    async fn change_visibility(&self, entries: &[(Receipt, Duration)]) -> Vec<Result<(), EntryError>> {
        vec![Ok(()); entries.len()]
    }
    async fn depth(&self) -> Result<QueueDepth, SourceError> {
        Ok(QueueDepth::default())
    }
}
