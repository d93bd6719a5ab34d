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
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
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
