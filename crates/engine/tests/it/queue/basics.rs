//! One message from send to delete.

use super::stage::{Stage, secs};
use millstream_core::mapping_state::MappingState;
use millstream_engine::Shutdown;
use millstream_testkit::{Asked, Reply};

#[tokio::test(start_paused = true)]
async fn what_succeeds_is_deleted_and_an_idle_queue_has_one_long_poll() {
    let stage = Stage::new("jobs", false, |_| Reply::ok());
    let mapping = stage.map(|_| {});
    stage.send(25);
    let node = stage.node().await;
    assert_eq!(node.state(&mapping), MappingState::Active);
    assert_eq!(stage.queue.state().deleted().len(), 25);
    node.run_for(secs(3_600)).await;
    assert_eq!(stage.queue.polls(), 1);
    let receives = stage
        .queue
        .asked()
        .into_iter()
        .filter(|(_, a)| matches!(a, Asked::Receive { .. }));
    let an_hour = receives.count();
    assert!((178..=190).contains(&an_hour), "{an_hour}");
    stage.send(1);
    node.settle().await;
    assert_eq!(
        stage.times().last(),
        Some(&3_600_000),
        "a long poll wakes at once"
    );
    let status = node.status(&mapping);
    assert_eq!((status.counters.records_done, status.counters.attempts), (26, 4));
    assert_eq!(
        stage.judge_all().peak(),
        1,
        "each was done before the next was received"
    );
    assert_eq!(node.stop().await, Shutdown::Drained);
    assert_eq!(stage.queue.polls(), 0);
}
