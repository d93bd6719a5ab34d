//! Hash keys: how a record finds its shard, as Kinesis does it.
//!
//! A shard takes a range of 128-bit hash keys. A record's hash key is the MD5 of its partition key, read as a
//! big-endian number, unless the producer names one. MD5 is used because producers compute it too; nothing
//! here depends on it being hard to reverse.

use md5::{Digest, Md5};

/// The first and last hash key of a shard, inclusive.
pub(crate) type HashRange = (u128, u128);

/// The hash key of a partition key.
pub(crate) fn of_partition_key(key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(key.as_bytes()).into())
}

/// Divides all hash keys evenly among `count` shards; the last one takes what does not divide.
pub(crate) fn even_ranges(count: u32) -> Vec<HashRange> {
    let count = u128::from(count.max(1));
    // 2^128 / count without a 129-bit number; for one shard it wraps to 0 and is not used.
    let whole = (u128::MAX / count).wrapping_add(u128::from(u128::MAX % count == count - 1));
    (0..count)
        .map(|i| {
            let first = whole.wrapping_mul(i);
            let last = if i + 1 == count {
                u128::MAX
            } else {
                whole.wrapping_mul(i + 1) - 1
            };
            (first, last)
        })
        .collect()
}

/// The hash key at which a range is cut in halves: the first key of the upper half.
pub(crate) fn middle((first, last): HashRange) -> u128 {
    first + (last - first) / 2 + u128::from(last > first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// MD5 values as RFC 1321 (appendix A.5) and `md5sum` print them.
    #[test]
    fn a_hash_key_is_the_big_endian_md5() {
        for (key, hex) in [
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
        ] {
            assert_eq!(
                of_partition_key(key),
                u128::from_str_radix(hex, 16).unwrap(),
                "{key}"
            );
        }
    }

    /// What Kinesis answers for streams of one, two, three and four shards.
    #[test]
    fn ranges_are_those_of_kinesis() {
        let max = u128::MAX;
        let half = 1u128 << 127;
        let third = 113_427_455_640_312_821_154_458_202_477_256_070_485u128;
        let quarter = 1u128 << 126;
        for (count, want) in [
            (1, vec![(0, max)]),
            (2, vec![(0, half - 1), (half, max)]),
            (3, vec![(0, third - 1), (third, 2 * third - 1), (2 * third, max)]),
            (
                4,
                vec![
                    (0, quarter - 1),
                    (quarter, half - 1),
                    (half, 3 * quarter - 1),
                    (3 * quarter, max),
                ],
            ),
        ] {
            assert_eq!(even_ranges(count), want, "{count}");
        }
    }

    #[test]
    fn the_middle_halves_a_range() {
        for (range, want) in [
            ((0, u128::MAX), 1 << 127),
            ((0, 1), 1),
            ((4, 7), 6),
            ((4, 8), 7),
            ((5, 5), 5),
        ] {
            assert_eq!(middle(range), want, "{range:?}");
        }
    }

    proptest! {
        #[test]
        fn ranges_cover_everything_once(count in 1u32..=256) {
            let ranges = even_ranges(count);
            prop_assert_eq!(ranges.len(), count as usize);
            prop_assert_eq!(ranges[0].0, 0);
            prop_assert_eq!(ranges[ranges.len() - 1].1, u128::MAX);
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].1 + 1, pair[1].0);
            }
        }
    }
}
