//! The protocol of one process as tables: what it says, and what becomes of the invocation.

use super::*;
use crate::event::tests::invocation;

const INIT: Duration = Duration::from_secs(10);

struct Rig {
    protocol: Protocol,
    now: Instant,
    ids: u128,
}

fn work(id: u128) -> (Work, oneshot::Receiver<Ending>) {
    let (tell, told) = oneshot::channel();
    (
        Work {
            event: Arc::new(Event::new(invocation(id)).unwrap()),
            tell,
        },
        told,
    )
}

impl Rig {
    /// A process started for one invocation.
    fn start() -> (Self, oneshot::Receiver<Ending>) {
        let (first, told) = work(1);
        let now = Instant::now();
        (
            Self {
                protocol: Protocol::new(first, now, INIT),
                now,
                ids: 1,
            },
            told,
        )
    }

    /// A process that waits in `/next` after one invocation.
    fn idle() -> (Self, oneshot::Receiver<Handover>) {
        let (mut rig, _told) = Self::start();
        let id = rig.take();
        assert!(rig.protocol.answer(&id).is_some());
        match rig.protocol.next(rig.now) {
            (Next::Wait(handed), arrival) => {
                assert_eq!(arrival, Arrival::default());
                (rig, handed)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The process asks and gets work; its id.
    fn take(&mut self) -> String {
        match self.protocol.next(self.now) {
            (Next::Now(handover), _) => handover.event.id_text.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn assign(&mut self) -> (Assigned, oneshot::Receiver<Ending>) {
        self.ids += 1;
        let (work, told) = work(self.ids);
        (self.protocol.assign(work, self.now), told)
    }
}

#[test]
fn a_started_process_gets_what_it_was_started_for() {
    let (mut rig, _told) = Rig::start();
    assert!(rig.protocol.starting());
    let (next, arrival) = rig.protocol.next(rig.now);
    assert!(matches!(next, Next::Now(_)));
    assert_eq!(
        arrival,
        Arrival {
            first: true,
            list: false
        }
    );
    assert!(!rig.protocol.starting());
}

#[test]
fn an_invocation_whose_caller_has_gone_is_not_started() {
    let (mut rig, told) = Rig::start();
    drop(told);
    let (next, arrival) = rig.protocol.next(rig.now);
    assert!(matches!(next, Next::Wait(_)));
    assert_eq!(
        arrival,
        Arrival {
            first: true,
            list: true
        }
    );
}

#[test]
fn an_idle_process_is_handed_work_at_once() {
    let (mut rig, mut handed) = Rig::idle();
    let (assigned, _told) = rig.assign();
    assert!(matches!(assigned, Assigned::Handed));
    let handover = handed.try_recv().unwrap();
    assert_eq!(handover.deadline, rig.now + handover.event.timeout);
    assert!(rig.protocol.expects(&handover.event.id_text));
    assert!(matches!(rig.assign().0, Assigned::Refused));
}

#[test]
fn work_assigned_to_a_returning_process_waits_for_it() {
    let (mut rig, _told) = Rig::start();
    let id = rig.take();
    assert!(rig.protocol.answer(&id).is_some());
    let (assigned, _told) = rig.assign();
    assert!(matches!(assigned, Assigned::Queued));
    assert_ne!(rig.take(), id);
}

#[test]
fn queued_work_can_be_taken_back_and_the_process_lists_itself_later() {
    let (mut rig, _told) = Rig::start();
    let id = rig.take();
    assert!(rig.protocol.answer(&id).is_some());
    let (_, _told) = rig.assign();
    assert!(rig.protocol.revoke());
    assert!(!rig.protocol.revoke());
    let (next, arrival) = rig.protocol.next(rig.now);
    assert!(matches!(next, Next::Wait(_)));
    assert_eq!(
        arrival,
        Arrival {
            first: false,
            list: true
        }
    );
}

#[test]
fn work_for_a_connection_that_broke_while_idle_is_kept() {
    let (mut rig, handed) = Rig::idle();
    drop(handed);
    let (assigned, _told) = rig.assign();
    assert!(matches!(assigned, Assigned::Queued));
    rig.take();
}

#[test]
fn only_the_running_request_can_be_answered_and_once() {
    let (mut rig, _told) = Rig::start();
    let id = rig.take();
    assert!(rig.protocol.answer("another").is_none());
    assert!(matches!(rig.protocol.next(rig.now).0, Next::Refused));
    assert!(rig.protocol.answer(&id).is_some());
    assert!(rig.protocol.answer(&id).is_none());
}

#[test]
fn every_deadline_is_watched() {
    let (mut rig, _told) = Rig::start();
    let late = Duration::from_secs(5);
    assert_eq!(rig.protocol.check(rig.now), Ok(Some(rig.now + INIT)));
    let at = rig.now + INIT;
    let (mut other, _told2) = Rig::start();
    assert_eq!(other.protocol.check(at + late), Err(Doom::InitTimeout));

    let id = rig.take();
    assert!(
        rig.protocol.must_wake(),
        "the deadline of the invocation is before that of the start"
    );
    let deadline = rig.now + Duration::from_secs(3);
    assert_eq!(rig.protocol.check(rig.now), Ok(Some(deadline)));
    assert!(!rig.protocol.must_wake());
    assert!(rig.protocol.answer(&id).is_some());
    assert_eq!(rig.protocol.check(deadline), Ok(Some(deadline + RETURN_GRACE)));
    assert_eq!(rig.protocol.check(deadline + RETURN_GRACE), Err(Doom::Late));
}

#[test]
fn an_invocation_beyond_its_deadline_dooms_and_cannot_be_answered_any_more() {
    let (mut rig, _told) = Rig::start();
    let id = rig.take();
    assert_eq!(
        rig.protocol.check(rig.now + Duration::from_secs(3)),
        Err(Doom::Timeout)
    );
    assert!(rig.protocol.answer(&id).is_none());
    assert!(matches!(rig.protocol.next(rig.now).0, Next::Never));
    assert!(matches!(rig.protocol.end(), Some((_, Held::Running))));
    assert!(rig.protocol.end().is_none());
}

#[test]
fn an_idle_process_has_no_deadline_and_only_free_ones_retire() {
    let (mut rig, _handed) = Rig::idle();
    assert_eq!(rig.protocol.check(rig.now + Duration::from_hours(1)), Ok(None));
    assert!(rig.protocol.retire());
    assert!(matches!(rig.assign().0, Assigned::Refused));
    assert_eq!(rig.protocol.check(rig.now), Err(Doom::Retired));

    let (mut busy, _told) = Rig::start();
    busy.take();
    assert!(!busy.protocol.retire());
}

#[test]
fn the_end_tells_what_was_held() {
    let (mut rig, _told) = Rig::start();
    assert!(matches!(rig.protocol.end(), Some((_, Held::Starting))));

    let (mut rig, _told) = Rig::start();
    let id = rig.take();
    rig.protocol.answer(&id);
    let (_, _told2) = rig.assign();
    assert!(matches!(rig.protocol.end(), Some((_, Held::Waiting))));

    let (mut rig, _handed) = Rig::idle();
    assert!(rig.protocol.end().is_none());
}
