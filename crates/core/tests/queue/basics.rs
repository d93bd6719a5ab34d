//! One batch from receive to delete.

use crate::rig::{Rig, always, ok, raised, standard};

#[test]
fn what_succeeds_is_deleted() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    rig.send(3).run_for(100);
    assert_eq!(rig.batches(), [vec![1, 2, 3]]);
    assert_eq!(rig.deletes(), [1, 2, 3]);
    assert!(rig.queue.is_empty() && rig.changes().is_empty());
}

#[test]
fn what_fails_is_left_alone_and_comes_back_when_its_visibility_ends() {
    let mut first = true;
    let mut rig = Rig::new(standard(|_| {}), 30, move |_| {
        Some((
            100,
            if std::mem::take(&mut first) {
                raised()
            } else {
                ok()
            },
        ))
    });
    rig.send(2).run_for(40_000);
    assert_eq!(
        (rig.batches(), rig.times()),
        (vec![vec![1, 2], vec![1, 2]], vec![0, 30_000])
    );
    assert_ne!(rig.sent[0].request, rig.sent[1].request);
    assert_eq!(rig.sent[1].messages[0].system.receive_count, 2);
    assert!(rig.changes().is_empty(), "visibility is not touched");
    assert_eq!(rig.deletes(), [1, 2]);
}
