//! Which lane a partition key belongs to.
//!
//! AWS does not publish its hash (semantics 17, item 2); ours must never change under a version number,
//! because a shard's stored progress is kept per lane. Hence a hash written out here rather than a
//! library's, and golden values in the tests.

/// The version of the hash that new shard records use. Stored with them.
pub const LANE_HASH_VERSION: u8 = 1;

/// Whether this build can compute hash `version`. A stored record of another version must be refused.
#[must_use]
pub fn is_known(version: u8) -> bool {
    version == LANE_HASH_VERSION
}

/// The lane, from 0 to below `factor`, of a partition key; 0 if `factor` is 0 or 1.
///
/// One key always gives one lane for the same version and factor (semantics 6). `version` must be
/// [known](is_known); there is one so far, and any other is taken for it.
#[must_use]
pub fn lane_of(version: u8, factor: u8, partition_key: &[u8]) -> u8 {
    debug_assert!(is_known(version), "lane hash version {version} is not known");
    if factor <= 1 {
        return 0;
    }
    reduce(finalise(fnv1a(partition_key)), factor)
}

/// FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The finaliser of MurmurHash3: FNV alone leaves the high bits, which [`reduce`] uses, poorly mixed.
fn finalise(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

/// Maps 64 even bits to `0..factor` by multiply and shift.
fn reduce(h: u64, factor: u8) -> u8 {
    ((u128::from(h) * u128::from(factor)) >> 64) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// FNV-1a's published test vectors.
    #[test]
    fn the_inner_hash_is_fnv1a() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv1a(text.as_bytes()), hash, "{text}");
        }
    }

    /// Must never change: stored progress is kept per lane. A change needs a new version beside this one.
    #[test]
    fn golden_values_of_version_1() {
        let keys: [&[u8]; 8] = [
            b"",
            b"a",
            b"b",
            b"N14228",
            b"user-42",
            b"\x00\xff",
            "Zürich".as_bytes(),
            &[0x78; 256],
        ];
        let lanes = |factor| keys.map(|k| lane_of(1, factor, k));
        assert_eq!(lanes(2), [1, 1, 0, 0, 1, 1, 0, 0]);
        assert_eq!(lanes(4), [3, 2, 1, 1, 2, 2, 0, 1]);
        assert_eq!(lanes(10), [9, 5, 4, 4, 6, 6, 1, 2]);
    }

    #[test]
    fn one_lane_is_lane_0() {
        for factor in [0, 1] {
            assert_eq!(lane_of(1, factor, b"any"), 0);
        }
    }

    /// Keys as people make them: counters, padded counters, counters behind a prefix.
    #[test]
    fn similar_keys_spread_evenly() {
        let makers: [fn(u32) -> String; 3] = [
            |i| i.to_string(),
            |i| format!("{i:08}"),
            |i| format!("device-{i}"),
        ];
        for (n, make) in makers.iter().enumerate() {
            for factor in 2..=10u8 {
                let mut counts = vec![0u32; usize::from(factor)];
                for i in 0..20_000 {
                    counts[usize::from(lane_of(1, factor, make(i).as_bytes()))] += 1;
                }
                let even = 20_000 / u32::from(factor);
                let fair = |c: &u32| c.abs_diff(even) * 100 <= even * 8;
                assert!(counts.iter().all(fair), "maker {n}, factor {factor}: {counts:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_lane_is_below_the_factor(key: Vec<u8>, factor in 1u8..) {
            prop_assert!(lane_of(LANE_HASH_VERSION, factor, &key) < factor);
        }
    }
}
