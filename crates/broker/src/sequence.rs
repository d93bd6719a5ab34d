//! Sequence numbers and shard ids: how a place in the store is written for users.
//!
//! A sequence number has 56 decimal digits, as Kinesis' do: `49`, the shard's index in 12 digits, the
//! record's offset in 42. So they are unique in a stream, grow along a shard, and a child's all come after
//! its parents' (a child's index is higher).

use millstream_types::{Mark, Seq, ShardId};

const PREFIX: &[u8; 2] = b"49";
const SHARD_DIGITS: usize = 12;
const OFFSET_DIGITS: usize = 42;
const DIGITS: usize = PREFIX.len() + SHARD_DIGITS + OFFSET_DIGITS;
const SHARD_ID_PREFIX: &str = "shardId-";

/// The sequence number of the record at `offset` of a shard.
#[expect(clippy::expect_used, reason = "56 ASCII digits always form a sequence number")]
pub(crate) fn seq_of(shard: u32, offset: u64) -> Seq {
    let mut text = [b'0'; DIGITS];
    text[..PREFIX.len()].copy_from_slice(PREFIX);
    put_digits(
        &mut text[PREFIX.len()..PREFIX.len() + SHARD_DIGITS],
        u64::from(shard),
    );
    put_digits(&mut text[PREFIX.len() + SHARD_DIGITS..], offset);
    Seq::parse(&text).expect("digits")
}

/// The mark of the record at `offset` of a shard.
pub(crate) fn mark_of(shard: u32, offset: u64) -> Mark {
    Mark::of(seq_of(shard, offset))
}

fn put_digits(field: &mut [u8], n: u64) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(n).as_bytes();
    let start = field.len().saturating_sub(digits.len());
    field[start..].copy_from_slice(digits);
}

/// Shard index and offset of a sequence number, if this broker can have made it.
pub(crate) fn place_of(seq: Seq) -> Option<(u32, u64)> {
    if seq.len() != DIGITS {
        return None;
    }
    let mut text = Vec::with_capacity(DIGITS);
    seq.write_to(&mut text);
    let text = std::str::from_utf8(text.strip_prefix(PREFIX)?).ok()?;
    let (shard, offset) = text.split_at(SHARD_DIGITS);
    Some((shard.parse().ok()?, offset.parse().ok()?))
}

/// The id of the shard with this index.
#[expect(
    clippy::expect_used,
    reason = "a fixed word and digits always form a shard id"
)]
pub(crate) fn shard_id(index: u32) -> ShardId {
    ShardId::new(format!("{SHARD_ID_PREFIX}{index:012}")).expect("a shard id")
}

/// The index of a shard id, if it is written as this broker writes them.
pub(crate) fn shard_index(id: &ShardId) -> Option<u32> {
    let digits = id.as_str().strip_prefix(SHARD_ID_PREFIX)?;
    let plain = digits.len() == SHARD_DIGITS && digits.bytes().all(|c| c.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_written_as_documented() {
        for (shard, offset, text) in [
            (0, 0, "49000000000000000000000000000000000000000000000000000000"),
            (7, 42, "49000000000007000000000000000000000000000000000000000042"),
            (
                u32::MAX,
                u64::MAX,
                "49004294967295000000000000000000000018446744073709551615",
            ),
        ] {
            assert_eq!(seq_of(shard, offset).to_string(), text);
        }
        assert_eq!(shard_id(12).as_str(), "shardId-000000000012");
    }

    #[test]
    fn what_is_not_ours_has_no_place() {
        let shard_too_large = format!("49{}{}", "9".repeat(12), "0".repeat(42));
        let offset_too_large = format!("49{}{}", "0".repeat(12), "9".repeat(42));
        let other_prefix = format!("48{}", "0".repeat(54));
        for text in ["1", &shard_too_large, &offset_too_large, &other_prefix] {
            assert_eq!(place_of(text.parse().unwrap()), None, "{text}");
        }
        for text in [
            "shardId-1",
            "shard-000000000001",
            "shardId-0000000000001",
            "shardId-00000000000+1",
        ] {
            let id = ShardId::new(text.replace('+', "-")).unwrap();
            assert_eq!(shard_index(&id), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn places_survive_and_keep_their_order(a: (u32, u64), b: (u32, u64)) {
            prop_assert_eq!(place_of(seq_of(a.0, a.1)), Some(a));
            prop_assert_eq!(seq_of(a.0, a.1).cmp(&seq_of(b.0, b.1)), a.cmp(&b));
            prop_assert_eq!(shard_index(&shard_id(a.0)), Some(a.0));
        }

        #[test]
        fn the_next_offset_is_the_successor(shard: u32, offset in 0..u64::MAX) {
            prop_assert_eq!(seq_of(shard, offset).successor(), Some(seq_of(shard, offset + 1)));
        }
    }
}
