//! Queues against a model that is a list: random sends, receives, deletes, changes of visibility, time and restarts.

use super::rig::{Rig, body, entry, queue};
use millstream_types::{Message, QueueSpec, Receipt};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    /// Groups of the messages.
    Send(Vec<u8>),
    Receive(usize),
    /// Which of the receipts ever given.
    Delete(Index),
    Hide(Index, u64),
    Advance(u64),
    Purge,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        6 => proptest::collection::vec(0u8..4, 1..10).prop_map(Step::Send),
        10 => (1usize..=10).prop_map(Step::Receive),
        8 => index().prop_map(Step::Delete),
        3 => (index(), 0u64..40).prop_map(|(which, seconds)| Step::Hide(which, seconds)),
        4 => (0u64..25).prop_map(Step::Advance),
        1 => Just(Step::Purge),
        2 => Just(Step::Restart),
    ]
}

#[derive(Debug)]
struct ModelMessage {
    group: u8,
    receives: u32,
    /// Hidden until then, in seconds.
    until: u64,
    receipt: Option<Receipt>,
}

struct Run {
    rig: Rig,
    fifo: bool,
    now: u64,
    next: u64,
    /// By number, which is the body.
    messages: BTreeMap<u64, ModelMessage>,
    receipts: Vec<(u64, Message)>,
    /// After a restart a standard queue may count messages that were deleted before it, until it has passed them.
    restarted: bool,
    deleted: u64,
}

impl Run {
    async fn new(fifo: bool) -> Self {
        let rig = Rig::new().await;
        let spec = QueueSpec {
            visibility_timeout_seconds: 20,
            ..QueueSpec::default()
        };
        rig.create(Self::name(fifo), spec).await;
        Self {
            rig,
            fifo,
            now: 0,
            next: 0,
            messages: BTreeMap::new(),
            receipts: Vec::new(),
            restarted: false,
            deleted: 0,
        }
    }

    fn name(fifo: bool) -> &'static str {
        if fifo { "q.fifo" } else { "q" }
    }

    async fn step(mut self, step: Step) -> Self {
        let name = Self::name(self.fifo);
        match step {
            Step::Send(groups) => self.send(&groups).await,
            Step::Receive(max) => self.receive(max).await,
            Step::Delete(which) => self.delete(&which).await,
            Step::Hide(which, seconds) => self.hide(&which, seconds).await,
            Step::Advance(seconds) => {
                self.now += seconds;
                self.rig.advance(seconds);
            }
            Step::Purge => {
                use millstream_ports::Queues;
                self.rig
                    .broker
                    .purge(&super::rig::ns(), &queue(name))
                    .await
                    .unwrap();
                self.messages.clear();
            }
            Step::Restart => {
                self.rig = self.rig.reopen().await;
                self.restarted = true;
            }
        }
        let hidden = self.messages.values().filter(|m| m.until > self.now).count() as u64;
        let visible = self.messages.len() as u64 - hidden;
        let slack = if self.restarted && !self.fifo {
            self.deleted
        } else {
            0
        };
        let (seen, in_flight, delayed) = self.rig.counts(name).await;
        assert_eq!((in_flight, delayed), (hidden, 0));
        assert!(
            (visible..=visible + slack).contains(&seen),
            "{seen} are counted, {visible} are visible"
        );
        self
    }

    async fn send(&mut self, groups: &[u8]) {
        let mut entries = Vec::new();
        for group in groups {
            let mut one = entry(&self.next.to_string());
            if self.fifo {
                one.group = Some(format!("g{group}"));
                one.deduplication = Some(self.next.to_string());
            }
            entries.push(one);
            let message = ModelMessage {
                group: *group,
                receives: 0,
                until: 0,
                receipt: None,
            };
            self.messages.insert(self.next, message);
            self.next += 1;
        }
        let answers = self.rig.send_all(Self::name(self.fifo), entries).await;
        assert!(answers.iter().all(Result::is_ok));
    }

    fn is_locked(&self, group: u8) -> bool {
        self.messages
            .values()
            .any(|m| m.group == group && m.until > self.now)
    }

    async fn receive(&mut self, max: usize) {
        let free: Vec<bool> = (0..4).map(|group| !self.fifo || !self.is_locked(group)).collect();
        let open = |m: &ModelMessage| m.until <= self.now && free[usize::from(m.group)];
        let possible = self.messages.values().filter(|m| open(m)).count();
        let got = self.rig.receive(Self::name(self.fifo), max).await;
        assert_eq!(got.len(), possible.min(max), "as many as there are");
        let mut newest: BTreeMap<u8, u64> = BTreeMap::new();
        for message in got {
            let number: u64 = body(&message).parse().unwrap();
            let model = self.messages.get_mut(&number).unwrap();
            assert!(
                model.until <= self.now && free[usize::from(model.group)],
                "{number} is hidden"
            );
            model.receives += 1;
            model.until = self.now + 20;
            model.receipt = Some(message.receipt.clone());
            assert_eq!(message.system.receive_count, model.receives);
            if self.fifo {
                let earlier = newest.insert(model.group, number);
                assert!(earlier < Some(number), "out of order in its group");
                let group = model.group;
                let mut before = self.messages.range(..number).filter(|(_, m)| m.group == group);
                assert!(
                    before.all(|(_, m)| m.until > self.now),
                    "an earlier one was passed over"
                );
            }
            self.receipts.push((number, message));
        }
    }

    async fn delete(&mut self, which: &Index) {
        if self.receipts.is_empty() {
            return;
        }
        let (number, message) = &self.receipts[which.index(self.receipts.len())];
        let answer = self.rig.delete(Self::name(self.fifo), &[message]).await.remove(0);
        let (number, now, fifo) = (*number, self.now, self.fifo);
        match self.messages.get(&number) {
            // After a restart its number may stand for a later message, under another receipt.
            None => assert!(answer.is_ok() || self.restarted),
            Some(model) => {
                let newest = model.receipt.as_ref() == Some(&message.receipt);
                let good = newest && (!fifo || model.until > now);
                assert_eq!(answer.is_ok(), good, "{answer:?}");
                if good {
                    self.messages.remove(&number);
                    self.deleted += 1;
                }
            }
        }
    }

    async fn hide(&mut self, which: &Index, seconds: u64) {
        if self.receipts.is_empty() {
            return;
        }
        let (number, message) = &self.receipts[which.index(self.receipts.len())];
        let answer = self.rig.hide(Self::name(self.fifo), message, seconds).await;
        let now = self.now;
        let model = self.messages.get_mut(number);
        let good = model
            .as_ref()
            .is_some_and(|m| m.receipt.as_ref() == Some(&message.receipt) && m.until > now);
        assert_eq!(answer.is_ok(), good, "{answer:?}");
        if let (true, Some(model)) = (good, model) {
            model.until = now + seconds;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_queue_is_a_list(fifo in any::<bool>(), steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new(fifo).await;
            for step in steps {
                run = run.step(step).await;
            }
        });
    }
}
