//! What readers find at the tip.

use super::*;
use bytes::Bytes;
use millstream_types::Seq;

fn mark(n: u128) -> Mark {
    Mark::of(Seq::from_u128(n))
}

fn fetched(numbers: std::ops::Range<u128>, bytes: usize, next: Option<&str>) -> Fetched {
    let record = |n| Record {
        mark: mark(n),
        arrival: Wall(u64::try_from(n).unwrap()),
        partition_key: Bytes::new(),
        data: Bytes::from(vec![0; bytes]),
        trace: None,
    };
    Fetched {
        records: numbers.map(record).collect(),
        next: next.map(str::to_owned),
        behind: Some(Duration::ZERO),
        date: Wall(1_000),
        ..Fetched::default()
    }
}

fn tip_at(n: u128) -> Tip {
    Tip::new(mark(n), "i1".to_owned(), TipState::default())
}

fn found(look: &Look) -> Option<Vec<String>> {
    match look {
        Look::Records(records, _) => Some(records.iter().map(|r| r.mark.to_string()).collect()),
        _ => None,
    }
}

#[test]
fn one_reads_and_the_others_get_what_it_got() {
    let mut tip = tip_at(5);
    assert_eq!(tip.look(mark(5), 0), Look::Read("i1".to_owned()));
    tip.add(&fetched(6..9, 1, Some("i2")), true);
    for (at, expect) in [(5, vec!["6", "7", "8"]), (6, vec!["7", "8"]), (7, vec!["8"])] {
        let expect: Vec<String> = expect.into_iter().map(str::to_owned).collect();
        assert_eq!(found(&tip.look(mark(at), 0)), Some(expect), "{at}");
    }
    assert_eq!(tip.look(mark(4), 0), Look::Ahead);
    assert_eq!(tip.look(mark(9), 0), Look::Behind);
    // The one that made the call is next to call; another one learns that there was nothing more.
    assert_eq!(tip.look(mark(8), 1), Look::Read("i2".to_owned()));
    assert_eq!(tip.look(mark(8), 0), Look::Nothing(tip.state()));
    assert_eq!(tip.state().read_until, Some(Wall(1_000)));
}

#[test]
fn an_empty_read_moves_the_iterator_on() {
    let mut tip = tip_at(5);
    tip.add(&fetched(0..0, 1, Some("i2")), true);
    assert_eq!(tip.look(mark(5), 1), Look::Read("i2".to_owned()));
}

#[test]
fn the_end_is_the_end_for_all() {
    let mut tip = tip_at(5);
    tip.add(&fetched(6..7, 1, None), true);
    assert_eq!(found(&tip.look(mark(5), 0)), Some(vec!["6".to_owned()]));
    assert_eq!(tip.look(mark(6), 0), Look::End);
}

#[test]
fn what_is_kept_is_bounded_and_who_is_further_behind_reads_alone() {
    let mut tip = tip_at(0);
    tip.add(&fetched(1..6, MOST_BYTES / 4, Some("i2")), true);
    assert_eq!(tip.look(mark(0), 0), Look::Ahead);
    assert_eq!(found(&tip.look(mark(1), 0)).map(|r| r.len()), Some(4));
    tip.add(&fetched(6..7, MOST_BYTES * 2, Some("i3")), true);
    assert_eq!(tip.look(mark(5), 0), Look::Ahead);
    assert_eq!(tip.look(mark(6), 2), Look::Read("i3".to_owned()));
}

#[test]
fn nothing_is_kept_for_nobody() {
    let mut tip = tip_at(0);
    tip.add(&fetched(1..4, 1, Some("i2")), false);
    assert_eq!((tip.records.len(), tip.bytes), (0, 0));
    assert_eq!(tip.look(mark(2), 0), Look::Ahead);
    assert_eq!(tip.look(mark(3), 1), Look::Read("i2".to_owned()));
}
