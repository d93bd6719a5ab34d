//! The destination of failure documents: it takes each once, or once more than it says.

use crate::world::{Port, World};
use async_trait::async_trait;
use millstream_ports::{DeliverError, Delivery, Destination, Destinations};
use millstream_testkit::Event;
use millstream_types::durable::OutboxEntry;
use millstream_types::ids::DiscardId;
use millstream_types::{DestinationArn, Namespace};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
pub(crate) struct Mail {
    arrived: BTreeMap<DiscardId, Arrivals>,
}

/// How often a document came, and how often it may.
#[derive(Default)]
struct Arrivals {
    came: u64,
    may_again: u64,
}

impl Mail {
    /// Something went wrong between the delivery of a document and its being noted: it may come once more.
    pub(crate) fn allow_again(&mut self, discard: DiscardId) {
        self.arrived.entry(discard).or_default().may_again += 1;
    }
}

fn unavailable(entry: &OutboxEntry) -> DeliverError {
    DeliverError::Unavailable {
        destination: entry.destination.to_string(),
        why: "so it is simulated".to_owned(),
    }
}

impl World {
    /// The process is gone: what it had delivered, and what is still in the outbox, may come again.
    pub(crate) fn mail_in_doubt(&mut self) {
        let waiting: Vec<DiscardId> = self.store.state.outbox().map(|o| o.discard).collect();
        for discard in waiting {
            if let Some(arrivals) = self.mail.arrived.get_mut(&discard) {
                arrivals.may_again += 1;
            }
        }
    }

    fn arrives(&mut self, entry: &OutboxEntry) {
        let discard = entry.discard;
        if !self.store.state.is_discard_synced(discard) {
            self.wrong(format!(
                "I8, I14: the document of {discard} arrived before its discard was synced"
            ));
        }
        let arrivals = self.mail.arrived.entry(discard).or_default();
        arrivals.came += 1;
        let (came, may) = (arrivals.came, 1 + arrivals.may_again);
        if came > may {
            self.wrong(format!(
                "I8: the document of {discard} came {came} times, which may be {may}"
            ));
        }
        if came > 1 {
            self.seen("document delivered again");
            return;
        }
        self.seen("document delivered");
        self.note(entry.mapping, Event::Document { discard });
    }
}

#[derive(Clone)]
pub(crate) struct SimMail(pub(crate) Port);

#[async_trait]
impl Destinations for SimMail {
    async fn destination(
        &self,
        _: &Namespace,
        arn: &DestinationArn,
    ) -> Result<Arc<dyn Destination>, DeliverError> {
        let down = self.0.call(|w| w.trouble(w.plan.faults.delivery / 2)).await;
        if down {
            let destination = arn.to_string();
            let why = "so it is simulated".to_owned();
            return Err(DeliverError::Unavailable { destination, why });
        }
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Destination for SimMail {
    async fn deliver(&self, entry: &OutboxEntry) -> Result<Delivery, DeliverError> {
        let taken = entry.clone();
        let delivered = self.0.call(move |w| {
            let trouble = w.trouble(w.plan.faults.delivery);
            if trouble {
                w.seen("delivery failed");
            }
            // It came, and the answer is lost.
            let lost = trouble && w.rng.per_mille(300);
            if !trouble || lost {
                w.arrives(&taken);
            }
            if lost {
                w.mail.allow_again(taken.discard);
            }
            if trouble {
                return Err(unavailable(&taken));
            }
            if w.rng.per_mille(500) {
                return Ok(Delivery::Delivered);
            }
            w.store.state.settle(taken.discard);
            w.store.state.sync();
            Ok(Delivery::Settled)
        });
        delivered.await
    }
}
