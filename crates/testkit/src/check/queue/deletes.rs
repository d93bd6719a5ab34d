//! I7: a message is deleted only after the function succeeded with that very delivery of it, and a deleted one is
//! never handled again; but for a standard queue's, which may have been handed out twice before. What no filter wants
//! is deleted without having been handled.

use super::history::Fate;
use super::{Check, Invariant, QueueHistory};
use crate::queue_log::QueueEvent;

#[derive(Debug)]
pub(super) struct Deletes;

impl Check for Deletes {
    fn invariant(&self) -> Invariant {
        Invariant::Deletes
    }

    fn observe(&mut self, history: &QueueHistory, event: &QueueEvent) -> Result<(), String> {
        match event {
            QueueEvent::Deleted(d) => match history.message(&d.message) {
                None => Err(format!("{} was deleted, but never sent", d.message)),
                Some(m) if m.unwanted || m.successes.contains(&d.receives) => Ok(()),
                Some(m) => Err(format!(
                    "{} was deleted by its receipt {}, which did not succeed; those that did: {:?}",
                    d.message, d.receives, m.successes
                )),
            },
            QueueEvent::Gone { message } => match history.message(message) {
                Some(m) if m.successes.is_empty() && !m.unwanted => {
                    Err(format!("{message} is gone and never succeeded"))
                }
                _ => Ok(()),
            },
            QueueEvent::Started { call, messages } => {
                let deleted = |id: &str| {
                    let message = history.message(id);
                    message.is_some_and(|m| m.fate == Fate::Deleted && m.group.is_some())
                };
                let unwanted = |id: &str| history.message(id).is_some_and(|m| m.unwanted);
                if let Some(d) = messages.iter().find(|d| unwanted(&d.message)) {
                    return Err(format!(
                        "call {call} was sent {}, which no filter wants",
                        d.message
                    ));
                }
                match messages.iter().find(|d| deleted(&d.message)) {
                    Some(d) => Err(format!("call {call} was sent {}, which is deleted", d.message)),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}
