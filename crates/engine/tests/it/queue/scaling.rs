//! The scaler through the engine: semantics section 10, minute by minute.

use super::stage::{Playing, Stage, secs};
use millstream_testkit::Reply;
use millstream_types::{Mapping, MappingSpec};

/// Batches in flight at the end of each minute, of a function that never returns, with a deep queue.
async fn in_flight(minutes: usize, change: impl FnOnce(&mut MappingSpec)) -> (Vec<usize>, usize) {
    let stage = Stage::new("jobs", false, |_| Reply::Never);
    stage.queue.change(|q| q.set_visibility(secs(43_200)));
    stage.send(1_300);
    let mapping = stage.map(|s| {
        s.batch_size = 1;
        change(s);
    });
    let node = stage.node().await;
    let mut seen = Vec::new();
    for minute in 0..minutes {
        // Just before the minute is over.
        node.run_for(secs(60) - std::time::Duration::from_millis(if minute == 0 { 1 } else { 0 }))
            .await;
        seen.push(stage.function.running().0);
        assert_eq!(shown(&node, &mapping).await, seen.last().copied());
    }
    stage.judge();
    (seen, stage.function.running().1)
}

async fn shown(node: &Playing, mapping: &Mapping) -> Option<usize> {
    let inside = node.inspect(mapping).await?;
    Some(inside.snapshot.batches_in_flight as usize)
}

#[tokio::test(start_paused = true)]
async fn the_ramp_minute_by_minute() {
    let (seen, peak) = in_flight(7, |_| {}).await;
    assert_eq!(seen, [5, 305, 605, 905, 1_205, 1_250, 1_250]);
    assert_eq!(peak, 1_250);
}

#[tokio::test(start_paused = true)]
async fn maximum_concurrency_is_the_peak_exactly() {
    for (maximum, expect) in [(2, [2, 2, 2]), (7, [5, 7, 7]), (400, [5, 305, 400])] {
        let (seen, peak) = in_flight(3, |s| s.maximum_concurrency = Some(maximum)).await;
        assert_eq!((seen, peak), (expect.to_vec(), maximum as usize));
    }
}
