//! What one process is doing, as a state machine: the only place that decides whether a call of the process
//! is allowed, who holds the invocation, and when the process is out of time.
//!
//! ```text
//! Away (starting) --next--> Idle --assign--> Busy --answer--> Away (returning) --next--> Idle
//!        with work pending:  next goes straight to Busy
//! ```
//! Work may be assigned to a process that is away: it gets it when it asks. So a process whose answer has
//! just been taken can be given more at once, without a second process being started meanwhile.

use super::death::{Doom, Held};
use crate::event::Event;
use millstream_types::{Outcome, RequestId};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long after the deadline of what it answered a process may take to ask again.
const RETURN_GRACE: Duration = Duration::from_secs(1);

/// An invocation and who waits for its end.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) event: Arc<Event>,
    pub(super) tell: oneshot::Sender<Ending>,
}

/// How the stay of an invocation with a process ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// With this.
    Outcome(Outcome),
    /// The process ended without having seen it.
    Untaken,
}

/// An invocation on its way to the process.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) event: Arc<Event>,
    pub(super) deadline: Instant,
}

/// The answer to a process that asks for work.
#[derive(Debug)]
pub(super) enum Next {
    /// Here is some.
    Now(Handover),
    /// There is none yet.
    Wait(oneshot::Receiver<Handover>),
    /// The process is being ended: it gets no answer.
    Never,
    /// It had not finished what it has.
    Refused,
}

/// What became of an assignment.
#[derive(Debug)]
pub(super) enum Assigned {
    /// The process has it.
    Handed,
    /// The process gets it when it asks.
    Queued,
    /// The process takes no work any more.
    Refused,
}

/// What a process that asked for work changed besides.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arrival {
    /// It asked for the first time: its start succeeded.
    pub(super) first: bool,
    /// It is free, and nobody knows it yet.
    pub(super) list: bool,
}

#[derive(Debug)]
enum Phase {
    /// Not connected to `/next`: starting, or between an answer and the next request.
    Away {
        starting: bool,
        pending: Option<Work>,
        listed: bool,
        due: Instant,
    },
    /// Waiting in `/next`.
    Idle { waiting: oneshot::Sender<Handover> },
    /// Running an invocation.
    Busy { work: Work, deadline: Instant },
    /// Ended.
    Gone,
}

/// The state of one process.
#[derive(Debug)]
pub(super) struct Protocol {
    phase: Phase,
    doom: Option<Doom>,
    /// The last deadline: when a process that answered must have asked again, should it come to that.
    last_due: Instant,
    /// Until when the process's task sleeps; none means until it is woken.
    armed: Option<Instant>,
}

impl Protocol {
    /// A process started at `now` for `pending`.
    pub(super) fn new(pending: Work, now: Instant, init_timeout: Duration) -> Self {
        let due = now + init_timeout;
        let phase = Phase::Away {
            starting: true,
            pending: Some(pending),
            listed: false,
            due,
        };
        Self {
            phase,
            doom: None,
            last_due: due,
            armed: None,
        }
    }

    /// Gives the process an invocation.
    pub(super) fn assign(&mut self, work: Work, now: Instant) -> Assigned {
        if self.doom.is_some() {
            return Assigned::Refused;
        }
        match std::mem::replace(&mut self.phase, Phase::Gone) {
            Phase::Idle { waiting } => {
                let handover = Handover {
                    event: Arc::clone(&work.event),
                    deadline: now + work.event.timeout,
                };
                let deadline = handover.deadline;
                if waiting.send(handover).is_ok() {
                    self.run(work, deadline);
                    return Assigned::Handed;
                }
                // The connection broke while idle; the process may come back on another.
                let due = self.last_due.max(deadline);
                self.phase = Phase::Away {
                    starting: false,
                    pending: Some(work),
                    listed: false,
                    due,
                };
                Assigned::Queued
            }
            Phase::Away {
                starting,
                pending: None,
                listed,
                due,
            } => {
                self.phase = Phase::Away {
                    starting,
                    pending: Some(work),
                    listed,
                    due,
                };
                Assigned::Queued
            }
            other => {
                self.phase = other;
                Assigned::Refused
            }
        }
    }

    /// Takes an invocation back that the process has not asked for.
    pub(super) fn revoke(&mut self) -> bool {
        match &mut self.phase {
            Phase::Away { pending, listed, .. } if pending.is_some() => {
                *pending = None;
                *listed = false;
                true
            }
            _ => false,
        }
    }

    /// The process asks for work.
    pub(super) fn next(&mut self, now: Instant) -> (Next, Arrival) {
        if self.doom.is_some() {
            return (Next::Never, Arrival::default());
        }
        match std::mem::replace(&mut self.phase, Phase::Gone) {
            Phase::Away {
                starting,
                pending,
                listed,
                ..
            } => {
                // An invocation whose caller has gone is not started.
                if let Some(work) = pending.filter(|work| !work.tell.is_closed()) {
                    let deadline = now + work.event.timeout;
                    let handover = Handover {
                        event: Arc::clone(&work.event),
                        deadline,
                    };
                    self.run(work, deadline);
                    return (
                        Next::Now(handover),
                        Arrival {
                            first: starting,
                            list: false,
                        },
                    );
                }
                (
                    self.wait(),
                    Arrival {
                        first: starting,
                        list: !listed,
                    },
                )
            }
            // A second request: the connection of the first is taken to be lost.
            Phase::Idle { .. } => (self.wait(), Arrival::default()),
            Phase::Busy { work, deadline } => {
                self.phase = Phase::Busy { work, deadline };
                (Next::Refused, Arrival::default())
            }
            Phase::Gone => (Next::Never, Arrival::default()),
        }
    }

    /// Whether the process may answer request `id` now.
    pub(super) fn expects(&self, id: &str) -> bool {
        self.doom.is_none() && matches!(&self.phase, Phase::Busy { work, .. } if work.event.id_text == id)
    }

    /// The request that the process runs.
    pub(super) fn running(&self) -> Option<RequestId> {
        match &self.phase {
            Phase::Busy { work, .. } => Some(work.event.request_id),
            _ => None,
        }
    }

    /// The process has answered request `id`: it is free, and the caller owes the work its outcome. None if
    /// it had no such request to answer.
    pub(super) fn answer(&mut self, id: &str) -> Option<Work> {
        if !self.expects(id) {
            return None;
        }
        let due = self.last_due + RETURN_GRACE;
        let free = Phase::Away {
            starting: false,
            pending: None,
            listed: true,
            due,
        };
        match std::mem::replace(&mut self.phase, free) {
            Phase::Busy { work, .. } => Some(work),
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Whether the process has not asked for work yet.
    pub(super) fn starting(&self) -> bool {
        matches!(self.phase, Phase::Away { starting: true, .. })
    }

    /// Condemns the process; the first reason counts.
    pub(super) fn doom(&mut self, why: Doom) {
        if self.doom.is_none() && !matches!(self.phase, Phase::Gone) {
            self.doom = Some(why);
        }
    }

    /// Why the process was condemned, if it was.
    pub(super) fn doomed(&self) -> Option<Doom> {
        self.doom.clone()
    }

    /// Condemns the process if it is free.
    pub(super) fn retire(&mut self) -> bool {
        let free = matches!(self.phase, Phase::Idle { .. } | Phase::Away { pending: None, .. });
        if free && self.doom.is_none() {
            self.doom = Some(Doom::Retired);
        }
        free
    }

    /// Whether the process must be ended at `now`; if not, when to ask again (none: when woken).
    pub(super) fn check(&mut self, now: Instant) -> Result<Option<Instant>, Doom> {
        let (due, why) = match &self.phase {
            Phase::Away {
                starting: true, due, ..
            } => (Some(*due), Doom::InitTimeout),
            Phase::Away { due, .. } => (Some(*due), Doom::Late),
            Phase::Busy { deadline, .. } => (Some(*deadline), Doom::Timeout),
            Phase::Idle { .. } | Phase::Gone => (None, Doom::Late),
        };
        if due.is_some_and(|due| due <= now) {
            self.doom(why);
        }
        self.armed = due;
        self.doom.clone().map_or(Ok(due), Err)
    }

    /// Whether the process's task sleeps beyond what it has to watch now.
    pub(super) fn must_wake(&self) -> bool {
        let due = match &self.phase {
            Phase::Busy { deadline, .. } => *deadline,
            Phase::Away { due, .. } => *due,
            Phase::Idle { .. } | Phase::Gone => return self.doom.is_some(),
        };
        self.doom.is_some() || self.armed.is_none_or(|armed| armed > due)
    }

    /// The process has ended: gives back what it held.
    pub(super) fn end(&mut self) -> Option<(Work, Held)> {
        match std::mem::replace(&mut self.phase, Phase::Gone) {
            Phase::Away {
                starting, pending, ..
            } => pending.map(|work| (work, if starting { Held::Starting } else { Held::Waiting })),
            Phase::Busy { work, .. } => Some((work, Held::Running)),
            Phase::Idle { .. } | Phase::Gone => None,
        }
    }

    fn run(&mut self, work: Work, deadline: Instant) {
        self.last_due = deadline;
        self.phase = Phase::Busy { work, deadline };
    }

    fn wait(&mut self) -> Next {
        let (waiting, handed) = oneshot::channel();
        self.phase = Phase::Idle { waiting };
        Next::Wait(handed)
    }
}

#[cfg(test)]
mod tests;
