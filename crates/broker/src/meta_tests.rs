//! Splits and merges as pure changes of a stream's description.

use super::*;
use proptest::prelude::*;

fn stream(shards: u32) -> StreamMeta {
    StreamMeta::new(
        7,
        StreamSpec {
            shards,
            retention_hours: 24,
            applied: Default::default(),
        },
        Wall(1),
    )
}

fn closing(end: u64, arrival: u64) -> Closing {
    Closing {
        at: Wall(arrival + 1),
        end,
        arrival: Wall(arrival),
    }
}

#[test]
fn a_split_closes_the_parent_and_opens_two_halves() {
    let before = stream(1);
    let at = before.split_point(0, None).unwrap();
    let after = before.split(0, at, closing(12, 50)).unwrap();
    let parent = after.shard(0).unwrap();
    assert_eq!(
        parent.closed,
        Some(Closed {
            at: Wall(51),
            end: 12
        })
    );
    let children: Vec<_> = after.open_shards().collect();
    assert_eq!(
        children.iter().map(|c| c.range).collect::<Vec<_>>(),
        even_ranges(2)
    );
    for child in children {
        assert_eq!((child.parent, child.adjacent_parent), (Some(0), None));
        assert_eq!(
            child.floor,
            Floor {
                offset: 0,
                arrival: Wall(50)
            }
        );
    }
    assert_eq!((after.row.revision, after.row.next_shard), (2, 3));
}

#[test]
fn a_merge_takes_neighbours_in_either_order() {
    for (a, b) in [(0, 1), (1, 0)] {
        let after = stream(3).merge((a, closing(5, 10)), (b, closing(6, 20))).unwrap();
        let child = after.shard(3).unwrap();
        assert_eq!(child.range, (even_ranges(3)[0].0, even_ranges(3)[1].1));
        assert_eq!((child.parent, child.adjacent_parent), (Some(a), Some(b)));
        assert_eq!(child.floor.arrival, Wall(20));
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_its_reason() {
    let split = stream(3)
        .split(1, middle(even_ranges(3)[1]), closing(0, 0))
        .unwrap();
    for (result, part) in [
        (split.clone().split(1, 9, closing(0, 0)), "is closed"),
        (stream(2).split(0, 0, closing(0, 0)), "allowed is 1 to"),
        (
            stream(2).split(0, u128::MAX, closing(0, 0)),
            "does not divide shard shardId-000000000000",
        ),
        (
            stream(3).merge((0, closing(0, 0)), (2, closing(0, 0))),
            "not neighbours",
        ),
        (
            stream(3).merge((0, closing(0, 0)), (0, closing(0, 0))),
            "not neighbours",
        ),
        (split.merge((0, closing(0, 0)), (1, closing(0, 0))), "is closed"),
    ] {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_range_of_one_key_cannot_be_split() {
    let mut one = stream(1);
    one.shards[0].range = (5, 5);
    assert!(one.split_point(0, None).is_err());
}

#[test]
fn the_stored_form_is_readable_and_frozen() {
    let meta = stream(1);
    let row = serde_json::to_string(&meta.row).unwrap();
    assert_eq!(
        row,
        "{\"id\":7,\"spec\":{\"shards\":1,\"retention_hours\":24},\"created\":1,\"revision\":1,\"next_shard\":1}"
    );
    let shard = serde_json::to_string(&meta.shards[0]).unwrap();
    assert_eq!(
        shard,
        "{\"index\":0,\"range\":[\"0\",\"340282366920938463463374607431768211455\"],\"parent\":null,\
         \"adjacent_parent\":null,\"closed\":null,\"floor\":{\"offset\":0,\"arrival\":0},\"trimmed\":0}"
    );
}

proptest! {
    /// However a stream is resharded, its open shards cover every hash key exactly once.
    #[test]
    fn open_shards_always_cover_everything_once(
        shards in 1u32..5,
        steps in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u128>()), 0..40),
    ) {
        let mut meta = stream(shards);
        for (split, which, at) in steps {
            let mut open: Vec<_> = meta.open_shards().cloned().collect();
            open.sort_by_key(|s| s.range.0);
            let i = which.index(open.len());
            let next = if split {
                meta.clone().split(open[i].index, at, closing(0, 0))
            } else {
                let other = open[(i + 1) % open.len()].index;
                meta.clone().merge((open[i].index, closing(0, 0)), (other, closing(0, 0)))
            };
            meta = next.unwrap_or(meta);
            let mut ranges: Vec<_> = meta.open_shards().map(|s| s.range).collect();
            ranges.sort_unstable();
            prop_assert_eq!(ranges[0].0, 0);
            prop_assert_eq!(ranges[ranges.len() - 1].1, u128::MAX);
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].1 + 1, pair[1].0);
            }
            for shard in &meta.shards {
                let json = serde_json::to_vec(shard).unwrap();
                prop_assert_eq!(&serde_json::from_slice::<ShardMeta>(&json).unwrap(), shard);
            }
        }
    }
}
