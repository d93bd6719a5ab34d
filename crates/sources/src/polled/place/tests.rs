//! Positions, skips and losses, as tables.

use super::*;
use bytes::Bytes;

const HOUR: u64 = 3_600_000;
const NOW: Wall = Wall(100 * HOUR);
const TIP: Option<Duration> = Some(Duration::ZERO);

fn mark(n: u128) -> Mark {
    Mark::of(Seq::from_u128(n))
}

/// A record that arrived so many hours ago.
fn record(n: u128, hours_ago: u64) -> Record {
    Record {
        mark: mark(n),
        arrival: Wall(NOW.0 - hours_ago * HOUR),
        partition_key: Bytes::new(),
        data: Bytes::new(),
        trace: None,
    }
}

fn numbers(records: &[Record]) -> Vec<String> {
    records.iter().map(|r| r.mark.to_string()).collect()
}

#[test]
fn an_iterator_begins_at_the_last_record_so_that_a_loss_shows() {
    let at = |n| IteratorAt::Record(Seq::from_u128(n));
    for (start, begins, after_reading) in [
        (Position::Trim, IteratorAt::Oldest, at(9)),
        (Position::Timestamp(Wall(7)), IteratorAt::Time(Wall(7)), at(9)),
        (Position::At(mark(8)), at(8), at(9)),
        (Position::After(mark(8)), at(8), at(9)),
    ] {
        let mut place = Place::new(start, None);
        assert_eq!(place.iterator_at(), begins, "{start:?}");
        place.take(vec![record(9, 0)], NOW, None);
        assert_eq!(place.iterator_at(), after_reading, "{start:?}");
    }
}

#[test]
fn what_was_read_or_is_too_early_is_skipped() {
    let early = Position::Timestamp(Wall(NOW.0 - 2 * HOUR));
    for (start, expect) in [
        (Position::Trim, vec!["1", "2", "3", "4"]),
        (Position::At(mark(2)), vec!["2", "3", "4"]),
        (Position::After(mark(2)), vec!["3", "4"]),
        // The fourth arrived before the third, and both after the start.
        (early, vec!["2", "3", "4"]),
        (Position::After(mark(4)), vec![]),
    ] {
        let mut place = Place::new(start, None);
        place.iterator_at();
        let page = vec![record(1, 3), record(2, 2), record(3, 0), record(4, 1)];
        let (got, gap) = place.take(page, NOW, TIP);
        assert_eq!(
            (numbers(&got), gap),
            (expect.into_iter().map(str::to_owned).collect(), None),
            "{start:?}"
        );
    }
}

#[test]
fn a_start_by_time_holds_until_a_record_came() {
    let start = Position::Timestamp(Wall(NOW.0 - HOUR));
    let mut place = Place::new(start, None);
    assert!(place.take(vec![record(1, 2)], NOW, None).0.is_empty());
    assert_eq!(
        (place.last(), place.iterator_at()),
        (None, IteratorAt::Time(Wall(NOW.0 - HOUR)))
    );
    assert_eq!(
        numbers(
            &place
                .take(vec![record(2, 2), record(3, 1), record(4, 2)], NOW, None)
                .0
        ),
        ["3", "4"]
    );
    assert_eq!(numbers(&place.take(vec![record(5, 2)], NOW, None).0), ["5"]);
}

/// The evidence for a loss: what is asked for, the first record that is still there and its age in hours, how many
/// hours ago all was read, if that is known.
#[test]
fn a_loss_is_told_on_evidence_only() {
    let after = Position::After(mark(5));
    for (start, first, age, read, lost) in [
        // The record is still there, or an older one: nothing is missing.
        (after, 5, 90, None, false),
        (after, 4, 90, None, false),
        (Position::At(mark(5)), 5, 90, None, false),
        // It is gone, and the oldest record waited for long.
        (after, 6, 20, None, true),
        (after, 6, 1, None, true),
        (Position::At(mark(5)), 6, 20, None, true),
        // It is gone, but the oldest record has just come: nothing happened in this shard for long.
        (after, 6, 0, None, false),
        // It is known that all was read until a time from which everything is still kept.
        (after, 6, 20, Some(23), false),
        (after, 6, 0, Some(24), true),
        // Nothing was wanted that could be lost.
        (Position::Trim, 6, 20, None, false),
        (Position::Timestamp(Wall(0)), 6, 20, None, false),
    ] {
        let mut place = Place::new(start, read.map(|hours| Wall(NOW.0 - hours * HOUR)));
        place.iterator_at();
        let (records, gap) = place.take(vec![record(first, age)], NOW, None);
        let expect = lost.then_some(Gap {
            wanted: start,
            found: mark(first),
        });
        assert_eq!(gap, expect, "{start:?} {first} {age} {read:?}");
        assert!(gap.is_none() || numbers(&records) == [first.to_string()]);
    }
}

#[test]
fn an_idle_shard_is_never_taken_for_a_loss_later() {
    let mut place = Place::new(Position::After(mark(5)), None);
    place.iterator_at();
    assert!(!place.is_sure());
    // Nothing is there up to the tip, so that nothing was missed; the next record may come at any time.
    assert_eq!(place.take(vec![], NOW, TIP), (vec![], None));
    assert!(place.is_sure());
    let (got, gap) = place.take(vec![record(9, 2)], NOW, TIP);
    assert_eq!((numbers(&got), gap), (vec!["9".to_owned()], None));
}

#[test]
fn an_empty_read_on_the_way_decides_nothing() {
    let mut place = Place::new(Position::After(mark(5)), None);
    place.iterator_at();
    assert_eq!(
        place.take(vec![], NOW, Some(Duration::from_secs(9))),
        (vec![], None)
    );
    assert!(!place.is_sure());
    assert!(place.take(vec![record(9, 2)], NOW, TIP).1.is_some());
    assert!(place.is_sure());
}

#[test]
fn it_is_known_until_when_all_was_read() {
    let mut place = Place::new(Position::Trim, None);
    place.take(vec![record(1, 3)], NOW, None);
    assert_eq!(place.read_until(), Some(Wall(NOW.0 - 3 * HOUR)));
    place.take(vec![], NOW, Some(Duration::from_secs(1)));
    assert_eq!(place.read_until(), Some(Wall(NOW.0 - 1_000)));
    place.follow(mark(2), Some(NOW));
    assert_eq!((place.last(), place.read_until()), (Some(mark(2)), Some(NOW)));
}

#[test]
fn parts_of_an_aggregate_are_told_apart() {
    let part = |n, sub| Mark {
        seq: Seq::from_u128(n),
        sub,
    };
    let mut place = Place::new(Position::After(part(5, 1)), None);
    assert_eq!(place.iterator_at(), IteratorAt::Record(Seq::from_u128(5)));
    let page = (0..4)
        .map(|sub| Record {
            mark: part(5, sub),
            ..record(5, 0)
        })
        .collect();
    assert_eq!(numbers(&place.take(page, NOW, TIP).0), ["5.2", "5.3"]);
}
