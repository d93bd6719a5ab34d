//! The courier: takes failure documents from the outbox to their destinations, for as long as the policy of
//! [`millstream_core::delivery`] says.
//!
//! A document is in the outbox before it is sent (its discard's commit put it there) and leaves it only after it
//! was delivered, so a crash anywhere repeats a delivery rather than losing one; an embedded stream takes it
//! exactly once. What cannot be delivered leaves the outbox; its discard stays, with its payload.

use crate::context::Context;
use crate::posts::Posts;
use crate::task::{Owned, Timer};
use futures::future::join_all;
use millstream_core::delivery;
use millstream_core::failure_document::{records_of, with_payload};
use millstream_core::mutant::{self, Mutant};
use millstream_core::restart::{RestartPolicy, Restarts};
use millstream_ports::{DeliverError, Delivery};
use millstream_types::durable::{DeliveryEnd, DeliveryState, OutboxEntry};
use millstream_types::ids::DiscardId;
use millstream_types::{DestinationArn, Mono, Namespace};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Documents on their way at once; also the page that is read from the outbox.
const PAGE: usize = 64;
/// Of these, documents with payloads: each may take some 12 MiB of memory.
const PAYLOADS: usize = 4;

type DestinationKey = (Namespace, DestinationArn);

/// What the courier is told.
pub(crate) enum CourierMsg {
    /// Documents may have come, or a pause is over.
    Wake,
    /// A sweep over the outbox ended.
    Swept(Swept),
}

/// What a sweep came to.
pub(crate) struct Swept {
    failed: BTreeMap<DestinationKey, String>,
    delivered: BTreeMap<DestinationKey, u64>,
    /// Documents that were given up.
    given_up: BTreeMap<DestinationKey, u64>,
    unreadable: Option<String>,
}

/// Delivers documents.
pub(crate) struct Courier;

/// Its state.
pub(crate) struct CourierState {
    context: Arc<Context>,
    sweeping: Option<Owned>,
    again: bool,
    resting: BTreeMap<DestinationKey, (Mono, Restarts)>,
    timer: Timer,
    _waiter: Owned,
}

impl Actor for Courier {
    type Msg = CourierMsg;
    type State = CourierState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<CourierMsg>,
        context: Arc<Context>,
    ) -> Result<CourierState, ActorProcessingErr> {
        let (outbox, courier) = (context.ports.outbox.clone(), myself.clone());
        let waiter = Owned::spawn(async move {
            while courier.cast(CourierMsg::Wake).is_ok() {
                outbox.added().await;
            }
        });
        Ok(CourierState {
            context,
            sweeping: None,
            again: false,
            resting: BTreeMap::new(),
            timer: Timer::default(),
            _waiter: waiter,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<CourierMsg>,
        message: CourierMsg,
        state: &mut CourierState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CourierMsg::Wake if state.sweeping.is_some() => state.again = true,
            CourierMsg::Wake => {
                state.timer.fired();
                state.sweep(&myself);
            }
            CourierMsg::Swept(swept) => {
                state.sweeping = None;
                state.note(swept, &myself);
                if std::mem::take(&mut state.again) {
                    state.sweep(&myself);
                }
            }
        }
        Ok(())
    }
}

impl CourierState {
    fn sweep(&mut self, myself: &ActorRef<CourierMsg>) {
        let (context, myself) = (self.context.clone(), myself.clone());
        let now = context.now().mono;
        let resting = self
            .resting
            .iter()
            .filter(|(_, r)| r.0 > now)
            .map(|(d, _)| d.clone())
            .collect();
        self.sweeping = Some(Owned::spawn(async move {
            let swept = sweep(&context, resting).await;
            let _ = myself.cast(CourierMsg::Swept(swept));
        }));
    }

    fn note(&mut self, swept: Swept, myself: &ActorRef<CourierMsg>) {
        let now = self.context.now().mono;
        for destination in swept.delivered.keys() {
            self.resting.remove(destination);
        }
        for ((namespace, destination), documents) in swept.given_up {
            tracing::error!(
                %namespace, %destination, documents,
                "failure documents could not be delivered and are given up; their discards are kept"
            );
        }
        for (destination, why) in swept.failed {
            let jitter = self.context.jitter();
            let (at, restarts) = self
                .resting
                .entry(destination.clone())
                .or_insert_with(|| (now, Restarts::new(RestartPolicy::default(), now)));
            *at = restarts.on_failure(now, jitter);
            let (namespace, arn) = destination;
            tracing::warn!(%namespace, destination = %arn, why, "failure documents wait: delivery failed");
        }
        let mut next = self.resting.values().map(|r| r.0).filter(|at| *at > now).min();
        if let Some(why) = swept.unreadable {
            tracing::warn!(why, "the outbox cannot be read");
            next = Some(now.plus(std::time::Duration::from_secs(1)));
        }
        let myself = myself.clone();
        self.timer.set(&self.context.ports.clock, next, move || {
            let _ = myself.cast(CourierMsg::Wake);
        });
    }
}

/// Once through the outbox; a destination that fails is left out for the rest of the sweep.
async fn sweep(context: &Context, mut resting: Vec<DestinationKey>) -> Swept {
    let mut swept = Swept {
        failed: BTreeMap::new(),
        delivered: BTreeMap::new(),
        given_up: BTreeMap::new(),
        unreadable: None,
    };
    let mut after: Option<DiscardId> = None;
    let payloads = Semaphore::new(PAYLOADS);
    loop {
        let page = match context.ports.outbox.pending(after, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                swept.unreadable = Some(error.to_string());
                return swept;
            }
        };
        let Some(last) = page.last() else { return swept };
        after = Some(last.discard);
        let due = page.iter().filter(|entry| !resting.contains(&key(entry)));
        let deliveries = due.map(|entry| async { (key(entry), delivered(context, entry, &payloads).await) });
        let results = join_all(deliveries).await;
        for (destination, result) in results {
            match result {
                Ok(()) => *swept.delivered.entry(destination).or_default() += 1,
                Err((error, end)) => {
                    if end.is_some() {
                        *swept.given_up.entry(destination.clone()).or_default() += 1;
                    }
                    resting.push(destination.clone());
                    swept.failed.insert(destination, error.to_string());
                }
            }
        }
    }
}

fn key(entry: &OutboxEntry) -> DestinationKey {
    (entry.namespace.clone(), entry.destination.clone())
}

async fn delivered(
    context: &Context,
    entry: &OutboxEntry,
    room: &Semaphore,
) -> Result<(), (DeliverError, Option<DeliveryEnd>)> {
    let outbox = &context.ports.outbox;
    // A state that cannot be read only makes the patience longer.
    let before = outbox.state(entry.discard).await.unwrap_or_default();
    match deliver(context, entry, room).await {
        Ok(delivery) => {
            let state = delivery::delivered(before, context.now().wall);
            match (delivery, noted(context, entry, &state).await) {
                (Delivery::Delivered, Err(error)) => return Err((error, None)),
                // It is out of the outbox already.
                (Delivery::Settled, _) | (_, Ok(())) => {}
            }
            // A mapping that is gone has no counts any more.
            if let Some(meter) = context.board.meter(entry.mapping) {
                meter.delivered.add(records_of(&entry.document));
            }
            context.board.post(entry.mapping, Posts::delivered);
            Ok(())
        }
        Err(error) => {
            let now = context.now().wall;
            let state = delivery::failed(&before, &error.to_string(), context.delivery, now);
            let kept = noted(context, entry, &state).await.is_ok();
            let end = state.end.filter(|_| kept);
            if let Some(meter) = context.board.meter(entry.mapping).filter(|_| end.is_some()) {
                meter.undeliverable.add(records_of(&entry.document));
            }
            context.board.post(entry.mapping, |posts| {
                if end.is_some() {
                    posts.given_up(&entry.destination, now);
                    return true;
                }
                posts.failed(&entry.destination, &error.to_string(), now)
            });
            Err((error, end))
        }
    }
}

async fn noted(context: &Context, entry: &OutboxEntry, state: &DeliveryState) -> Result<(), DeliverError> {
    let written = context.ports.outbox.note(entry.discard, state).await;
    written.map_err(|e| DeliverError::Unavailable {
        destination: entry.destination.to_string(),
        why: e.to_string(),
    })
}

async fn deliver(context: &Context, entry: &OutboxEntry, room: &Semaphore) -> Result<Delivery, DeliverError> {
    if mutant::on(Mutant::SettledBeforeDelivered) {
        let _too_early = context.ports.outbox.settle(entry.discard).await;
    }
    let destination = context
        .ports
        .destinations
        .destination(&entry.namespace, &entry.destination)
        .await?;
    if !destination.wants_payload() {
        return destination.deliver(entry).await;
    }
    // It is closed by nobody.
    let _room = room.acquire().await.ok();
    let payload = context.ports.outbox.payload(entry.discard).await;
    let payload = payload.map_err(|e| DeliverError::Unavailable {
        destination: entry.destination.to_string(),
        why: e.to_string(),
    })?;
    let Some(payload) = payload else {
        return destination.deliver(entry).await;
    };
    let whole = OutboxEntry {
        document: with_payload(&entry.document, &payload),
        ..entry.clone()
    };
    destination.deliver(&whole).await
}
