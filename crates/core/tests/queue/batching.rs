//! Semantics section 4, for queues.

use crate::rig::{Rig, always, mapping, ok, raised, standard, throttled};
use millstream_core::event::{MAX_EVENT_BYTES, QueueEventShape};
use millstream_core::queue::{QueueConfig, SlotActivity};
use millstream_types::MappingSpec;
use std::time::Duration;

fn windowed(batch: u32, window: u32) -> MappingSpec {
    standard(|s| {
        s.batch_size = batch;
        s.batching_window_seconds = window;
    })
}

#[test]
fn without_a_window_goes_what_one_receive_brings() {
    let mut rig = Rig::new(standard(|_| {}), 30, always(ok()));
    rig.send(1).run_for(1_000);
    rig.send(2).run_for(1_000);
    rig.send(25).run_for(1_000);
    let sizes: Vec<usize> = rig.sent.iter().map(|s| s.messages.len()).collect();
    assert_eq!(sizes, [1, 2, 10, 10, 5]);
    assert_eq!(rig.times(), [0, 1_000, 2_000, 2_000, 2_000]);
}

#[test]
fn a_batch_is_at_most_its_size() {
    let mut rig = Rig::new(standard(|s| s.batch_size = 3), 30, always(ok()));
    rig.send(7).run_for(1_000);
    assert_eq!(rig.batches(), [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    assert!(
        rig.receives.iter().all(|(_, r)| r.max <= 3),
        "never more than there is room for"
    );
}

/// As observed of a stream (semantics 4.2): batch size 2, window 5 s, five records.
#[test]
fn batch_size_2_window_5_s_five_messages() {
    let mut rig = Rig::new(windowed(2, 5), 30, always(ok()));
    rig.send(5).run_for(20_000);
    let first = rig.sent.iter().find(|s| s.messages.len() == 1).unwrap();
    assert_eq!((rig.sent.len(), first.at), (3, 5_000));
}

#[test]
fn a_batch_says_how_long_it_was_filled() {
    let mut rig = Rig::new(windowed(2, 5), 30, always(ok()));
    rig.send(3).run_for(20_000);
    let mut waited: Vec<_> = rig.sent.iter().map(|s| (s.messages.len(), s.waited)).collect();
    waited.sort();
    assert_eq!(
        waited,
        [(1, Some(Duration::from_secs(5))), (2, Some(Duration::ZERO))]
    );
}

#[test]
fn several_receives_fill_a_batch_beyond_ten() {
    let mut rig = Rig::new(windowed(100, 5), 30, always(ok()));
    rig.send(100).run_for(100);
    assert_eq!(rig.sent.len(), 1, "full: it does not wait for the window");
    assert_eq!(rig.sent[0].messages.len(), 100);
    rig.send(37).run_for(4_000);
    assert_eq!(rig.sent.len(), 1);
    let snapshot = rig.snapshot();
    let filling = snapshot
        .slots
        .iter()
        .filter(|s| s.activity == SlotActivity::Filling);
    assert_eq!(filling.map(|s| s.messages).sum::<u32>(), 37);
    assert_eq!(snapshot.messages_in_flight, 37);
    rig.run_for(3_000);
    assert_eq!(rig.queue.deleted().len(), 137);
}

#[test]
fn ten_thousand_messages_are_one_batch() {
    let mut rig = Rig::new(windowed(10_000, 60), 300, always(ok()));
    rig.send(10_000).run_for(10);
    assert_eq!(rig.sent.len(), 1);
    assert_eq!(rig.sent[0].messages.len(), 10_000);
    assert_eq!(rig.queue.deleted().len(), 10_000);
}

/// The window begins as the previous invocation completes; one that passed with nothing begins with the next message.
#[test]
fn when_the_window_begins() {
    let mut rig = Rig::new(windowed(10, 10), 120, |_| Some((1_000, ok())));
    rig.run_for(50_000);
    rig.send(1).run_for(3_000);
    rig.send(1).run_for(7_000);
    assert_eq!(rig.times(), [60_000], "with the first message");
    assert_eq!(rig.sent[0].messages.len(), 2);
    rig.run_for(5_000);
    rig.send(1).run_for(10_000);
    assert_eq!(rig.times(), [60_000, 71_000], "completed at 61 s");
}

/// A slot waits for messages no longer than its window is open.
#[test]
fn receives_of_a_filling_batch_end_with_its_window() {
    let mut rig = Rig::new(windowed(10, 7), 120, always(ok()));
    rig.send(1).run_for(30_000);
    assert_eq!(rig.times(), [7_000]);
    let waits: Vec<u64> = rig
        .receives
        .iter()
        .take(2)
        .map(|(_, r)| r.wait.as_secs())
        .collect();
    assert_eq!(waits, [20, 7]);
    assert_eq!(rig.receives[1].1.max, 9);
}

#[test]
fn at_low_traffic_one_batch_fills_and_no_other_slot_takes_its_messages() {
    let mut rig = Rig::new(windowed(100, 10), 120, always(ok()));
    for _ in 0..9 {
        rig.send(1).run_for(1_000);
    }
    rig.run_for(5_000);
    assert_eq!(rig.sent.len(), 1);
    assert_eq!(rig.sent[0].messages.len(), 9);
}

#[test]
fn an_event_is_at_most_6_mb_and_what_does_not_fit_comes_next() {
    let mut config = QueueConfig::new(mapping(), 1, &standard(|_| {}), Duration::from_secs(30));
    config.limits.event_bytes = MAX_EVENT_BYTES;
    let shape = config.shape.clone();
    let mut rig = Rig::with(config, always(ok()));
    for _ in 0..10 {
        let now = rig.now.wall;
        rig.queue.send(None, &vec![b'"'; 500_000], now);
    }
    rig.run_for(100);
    assert_eq!(rig.batches(), [vec![1, 2, 3, 4, 5, 6], vec![7, 8, 9, 10]]);
    for sent in &rig.sent {
        let len = shape.encode(&sent.messages).len();
        assert!(len <= MAX_EVENT_BYTES, "{len}");
        let told = QueueEventShape::event_len(sent.messages.iter().map(|m| shape.message_len(m)));
        assert_eq!(len, told);
    }
    let counts: Vec<u32> = rig.sent[1]
        .messages
        .iter()
        .map(|m| m.system.receive_count)
        .collect();
    assert_eq!(counts, [1; 4], "kept, not given back");
    assert_eq!(rig.queue.deleted().len(), 10);
}

#[test]
fn the_limit_is_met_to_the_byte() {
    for (spare, expect) in [(0, vec![2]), (1, vec![1, 1])] {
        let mut config = QueueConfig::new(mapping(), 1, &standard(|_| {}), Duration::from_secs(30));
        let mut one = Rig::with(config.clone(), always(ok()));
        one.send(2).run_for(10);
        config.limits.event_bytes = config.shape.encode(&one.sent[0].messages).len() - spare;
        let mut rig = Rig::with(config, always(ok()));
        rig.send(2).run_for(10);
        let sizes: Vec<usize> = rig.sent.iter().map(|s| s.messages.len()).collect();
        assert_eq!(sizes, expect, "{spare} too few");
    }
}

#[test]
fn a_message_that_never_fits_fails_unsent_and_the_rest_goes_on() {
    let mut config = QueueConfig::new(mapping(), 1, &standard(|_| {}), Duration::from_secs(30));
    config.limits.event_bytes = 2_000;
    let mut rig = Rig::with(config, always(ok()));
    let now = rig.now.wall;
    rig.queue.set_max_receives(Some(2));
    rig.send(1);
    rig.queue.send(None, &[b'x'; 3_000], now);
    rig.send(1).run_for(70_000);
    assert_eq!(rig.batches(), [[1], [3]]);
    assert_eq!(rig.queue.dead_letters(), [2]);
    assert_eq!(rig.machine.counters().failures, 2);
    assert!(rig.changes().is_empty(), "left alone");
}

#[test]
fn memory_is_bounded_by_messages_and_bytes() {
    for bytes in [false, true] {
        let mut config = QueueConfig::new(mapping(), 1, &standard(|_| {}), Duration::from_secs(30));
        if bytes {
            config.limits.held_bytes = 12_000;
        } else {
            config.limits.held_messages = 23;
        }
        let mut rig = Rig::with(config, |_| None);
        rig.send(200).run_for(20_000);
        let snapshot = rig.snapshot();
        assert!((10..=30).contains(&snapshot.messages_in_flight), "{snapshot:?}");
        assert!(snapshot.concurrency >= 5 && snapshot.batches_in_flight < 5);
        while !rig.hanging.is_empty() {
            rig.release(0, ok()).run_for(10);
        }
        assert_eq!(rig.queue.deleted().len(), 200, "and it goes on");
    }
}

/// While the window fills, visibility is kept; what has failed then comes back as if nothing had been extended.
#[test]
fn the_window_may_be_longer_than_the_visibility_timeout() {
    let mut rig = Rig::new(windowed(10, 60), 20, always(raised()));
    rig.send(1).run_for(70_000);
    let extensions: Vec<_> = rig.changes();
    assert_eq!(rig.times()[0], 60_000);
    // A quarter before the end of each timeout; at the end it is due at once.
    assert_eq!(
        extensions[..4],
        [(15_000, 1, 20), (30_000, 1, 20), (45_000, 1, 20), (60_000, 1, 20)]
    );
    assert_eq!(extensions[4], (60_000, 1, 0));
    assert_eq!(
        rig.receives.iter().filter(|(at, _)| *at < 60_000).count(),
        4,
        "the first, and 20 s each"
    );
}

#[test]
fn an_attempt_is_always_of_the_same_request_while_it_is_throttled() {
    let mut n = 0;
    let mut rig = Rig::new(standard(|_| {}), 30, move |_| {
        n += 1;
        Some((0, if n < 4 { throttled() } else { ok() }))
    });
    rig.send(1).run_for(10_000);
    assert_eq!(rig.sent.len(), 4);
    assert!(rig.sent.iter().all(|s| s.request == rig.sent[0].request));
}
