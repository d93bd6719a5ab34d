//! The arithmetic of quotas, on a clock that a test moves.

use super::*;
use millstream_testkit::ManualClock;
use millstream_types::Wall;
use proptest::prelude::*;

const QUOTA: Quota = Quota {
    calls: 5,
    per: Duration::from_secs(1),
    bytes_per_second: 2_000_000,
};

fn ms(n: u64) -> Mono {
    Mono(n * 1_000_000)
}

fn turns(pace: &mut Pace, now: u64, n: usize) -> Vec<u64> {
    (0..n).map(|_| pace.turn(ms(now)).0 / 1_000_000).collect()
}

#[test]
fn five_calls_go_at_once_and_the_rest_a_second_later() {
    let mut pace = Pace::new(QUOTA);
    assert_eq!(turns(&mut pace, 0, 7), [0, 0, 0, 0, 0, 1000, 1000]);
    assert_eq!(turns(&mut pace, 1500, 4), [1500, 1500, 1500, 2000]);
}

#[test]
fn bytes_are_paid_for_by_time_beyond_one_second_of_burst() {
    for (read, next) in [(0, 0), (2_000_000, 0), (3_000_000, 500), (10_000_000, 4_000)] {
        let mut pace = Pace::new(QUOTA);
        pace.answered(ms(0), read);
        assert_eq!(turns(&mut pace, 0, 1), [next], "{read}");
    }
    let mut unbounded = Pace::new(Quota {
        bytes_per_second: 0,
        ..QUOTA
    });
    unbounded.answered(ms(0), usize::MAX);
    assert_eq!(turns(&mut unbounded, 0, 1), [0]);
}

#[test]
fn throttles_double_the_wait_until_a_call_goes_through() {
    let mut pace = Pace::new(QUOTA);
    for (at, next) in [
        (0, 500),
        (500, 1_500),
        (1_500, 3_500),
        (3_500, 7_500),
        (7_500, 15_500),
        (15_500, 23_500),
    ] {
        pace.throttled(ms(at));
        assert_eq!(turns(&mut pace, at, 1), [next]);
    }
    pace.answered(ms(24_000), 0);
    pace.throttled(ms(24_000));
    assert_eq!(turns(&mut pace, 24_000, 1), [24_500]);
}

#[test]
fn an_idle_shard_is_asked_less_and_less_often() {
    let mut idle = Idle::new(Duration::from_millis(200), Duration::from_secs(1));
    let mut waits = Vec::new();
    for found in [true, false, false, false, false, false, false, true] {
        idle.read(found);
        waits.push(idle.wait().as_millis());
    }
    assert_eq!(waits, [200, 200, 300, 450, 675, 1_000, 1_000, 200]);
}

#[tokio::test]
async fn a_turn_is_waited_for_by_the_clock_and_each_quota_is_its_own() {
    let clock = ManualClock::at(Wall(0));
    let pace = ShardPace::new(Quotas {
        reads: QUOTA,
        iterators: QUOTA,
    });
    for _ in 0..5 {
        pace.turn_to_read(&clock).await;
    }
    let mut sixth = std::pin::pin!(pace.turn_to_read(&clock));
    assert!(futures::poll!(sixth.as_mut()).is_pending());
    pace.turn_to_iterate(&clock).await;
    clock.advance(QUOTA.per);
    sixth.await;
}

proptest! {
    /// Whatever readers do, no second sees more calls than the quota, and turns are in the order they were asked.
    #[test]
    fn the_quota_holds_in_every_second(steps in proptest::collection::vec((0u64..700, 1usize..4, any::<bool>()), 1..60)) {
        let mut pace = Pace::new(QUOTA);
        let (mut now, mut all) = (0, Vec::new());
        for (pass, asks, throttled) in steps {
            now += pass;
            if throttled { pace.throttled(ms(now)); }
            all.extend(turns(&mut pace, now, asks));
        }
        prop_assert!(all.is_sorted());
        for six in all.windows(6) {
            prop_assert!(six[5] - six[0] >= 1_000, "{six:?}");
        }
    }
}
