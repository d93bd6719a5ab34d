//! I4 of message groups: each is in one batch at most, in order, and nothing overtakes an unfinished message.
//!
//! A message starts only when all earlier ones of its group succeeded or went to the dead-letter queue, or come before
//! it in the same batch. So first successes come in order but for what a function itself reports out of order: of a
//! batch, what is not listed is done, even behind a listed message (semantics, section 8).

use super::{Check, Invariant, QueueHistory};
use crate::queue_log::{Delivery, QueueEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct GroupOrder;

impl Check for GroupOrder {
    fn invariant(&self) -> Invariant {
        Invariant::KeyOrder
    }

    fn observe(&mut self, history: &QueueHistory, event: &QueueEvent) -> Result<(), String> {
        match event {
            QueueEvent::Started { call, messages } => {
                in_order(history, *call, messages)?;
                alone(history, *call, messages)
            }
            QueueEvent::Ended { .. } => succeeded(history),
            _ => Ok(()),
        }
    }
}

fn in_order(history: &QueueHistory, call: u64, batch: &[Delivery]) -> Result<(), String> {
    let (mut before, mut newest) = (BTreeSet::new(), BTreeMap::<&Arc<str>, usize>::new());
    for delivery in batch {
        let id = &delivery.message;
        let Some((message, group)) = history.message(id).and_then(|m| Some((m, m.group.as_ref()?))) else {
            continue;
        };
        if newest
            .insert(group, message.place)
            .is_some_and(|last| last >= message.place)
        {
            return Err(format!(
                "call {call} has {id} behind a later message of group {group}"
            ));
        }
        if let Some(earlier) = history.open_before(message).find(|id| !before.contains(*id)) {
            return Err(format!(
                "call {call} was sent {id} before {earlier} of group {group} was finished"
            ));
        }
        before.insert(id);
    }
    Ok(())
}

fn groups<'a>(history: &'a QueueHistory, batch: &'a [Delivery]) -> BTreeSet<&'a Arc<str>> {
    let group = |d: &'a Delivery| history.message(&d.message).and_then(|m| m.group.as_ref());
    batch.iter().filter_map(group).collect()
}

fn alone(history: &QueueHistory, call: u64, batch: &[Delivery]) -> Result<(), String> {
    let own = groups(history, batch);
    if own.is_empty() {
        return Ok(());
    }
    for (other, running) in history.running.iter().filter(|(other, _)| **other != call) {
        if let Some(group) = groups(history, running).intersection(&own).next() {
            return Err(format!("calls {other} and {call} hold group {group} at once"));
        }
    }
    Ok(())
}

fn succeeded(history: &QueueHistory) -> Result<(), String> {
    let Some((batch, failed)) = &history.just_ended else {
        return Ok(());
    };
    let listed: BTreeSet<&Arc<str>> = failed
        .iter()
        .filter_map(|at| Some(&batch.get(*at)?.message))
        .collect();
    for id in &history.just_done {
        let Some(message) = history.message(id) else {
            continue;
        };
        if let Some(earlier) = history.open_before(message).find(|id| !listed.contains(*id)) {
            return Err(format!("{id} succeeded before {earlier} of its group"));
        }
    }
    Ok(())
}
