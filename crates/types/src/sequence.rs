//! Where a record stands in its shard.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Most decimal digits of a sequence number (the `SequenceNumber` patterns of the AWS models).
pub const MAX_DIGITS: usize = 128;
const BYTES: usize = MAX_DIGITS / 2;

/// A sequence number: up to 128 decimal digits, compared as a number; Kinesis' 56 digits do not fit a `u128`.
///
/// Kept as packed decimals, right-aligned, so that comparing is one `memcmp`. Leading zeros are part of the
/// text (DynamoDB writes them) and are kept; of two texts of one value the shorter sorts first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seq {
    packed: [u8; BYTES],
    digits: u8,
}

/// Why a text is not a sequence number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sequence number '{0}' is not valid: 1 to 128 decimal digits")]
pub struct InvalidSeq(pub String);

impl Seq {
    /// The number `n`, without leading zeros.
    #[must_use]
    pub fn from_u128(n: u128) -> Self {
        let mut text = [0u8; 39];
        let (mut at, mut rest) = (text.len(), n);
        loop {
            at -= 1;
            text[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        Self::pack(&text[at..])
    }

    /// Parses decimal ASCII.
    ///
    /// # Errors
    /// If the text is empty, longer than 128 characters, or holds anything but digits.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidSeq> {
        if text.is_empty() || text.len() > MAX_DIGITS || !text.iter().all(u8::is_ascii_digit) {
            return Err(InvalidSeq(String::from_utf8_lossy(text).into_owned()));
        }
        Ok(Self::pack(text))
    }

    fn pack(text: &[u8]) -> Self {
        let mut packed = [0u8; BYTES];
        for (i, digit) in text.iter().rev().enumerate() {
            packed[BYTES - 1 - i / 2] |= (digit - b'0') << (4 * (i % 2));
        }
        Self {
            packed,
            digits: text.len() as u8,
        }
    }

    /// The number after this one, with as many digits, or one more where it takes one; none past 128 digits.
    /// Far cheaper than writing and parsing digits, for whoever numbers a run of records.
    #[must_use]
    pub fn successor(mut self) -> Option<Self> {
        for (i, byte) in self.packed.iter_mut().rev().enumerate() {
            if *byte & 0x0f < 9 {
                *byte += 0x01;
                self.digits = self.digits.max(2 * i as u8 + 1);
                return Some(self);
            }
            *byte &= 0xf0;
            if *byte < 0x90 {
                *byte += 0x10;
                self.digits = self.digits.max(2 * i as u8 + 2);
                return Some(self);
            }
            *byte = 0;
        }
        None
    }

    /// How many characters [`Seq::write_to`] writes.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.digits)
    }

    /// Never true: a sequence number has at least one digit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Appends the digits to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        // All digits, then a cut: digit by digit it took a third of the instructions of writing an event.
        let mut text = [0u8; MAX_DIGITS];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.packed) {
            pair[0] = b'0' + (byte >> 4);
            pair[1] = b'0' + (byte & 0x0f);
        }
        out.extend_from_slice(&text[MAX_DIGITS - self.len()..]);
    }
}

impl Ord for Seq {
    fn cmp(&self, other: &Self) -> Ordering {
        self.packed
            .cmp(&other.packed)
            .then(self.digits.cmp(&other.digits))
    }
}

impl PartialOrd for Seq {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(self.len());
        self.write_to(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Seq {
    type Err = InvalidSeq;
    fn from_str(s: &str) -> Result<Self, InvalidSeq> {
        Self::parse(s.as_bytes())
    }
}

impl Serialize for Seq {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Seq {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Self::parse(text.as_bytes()).map_err(D::Error::custom)
    }
}

/// The place of one record: its sequence number, and its place within an aggregate (0 for all others).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// The source's sequence number.
    pub seq: Seq,
    /// The index within a de-aggregated record.
    pub sub: u32,
}

impl Mark {
    /// The place of a record that is not part of an aggregate.
    #[must_use]
    pub fn of(seq: Seq) -> Self {
        Self { seq, sub: 0 }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sub == 0 {
            self.seq.fmt(f)
        } else {
            write!(f, "{}.{}", self.seq, self.sub)
        }
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// From where a shard is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// The oldest record that is still kept.
    Trim,
    /// This record and all after it.
    At(Mark),
    /// The records after this one.
    After(Mark),
    /// The first record that arrived at this time or later.
    Timestamp(crate::Wall),
    /// Behind the last record of a closed shard: nothing is left to read.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_survives(text in "[0-9]{1,128}") {
            let seq: Seq = text.parse().unwrap();
            prop_assert_eq!(seq.to_string(), text.clone());
            let json = serde_json::to_string(&seq).unwrap();
            prop_assert_eq!(serde_json::from_str::<Seq>(&json).unwrap(), seq);
            let bytes = postcard::to_allocvec(&seq).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Seq>(&bytes).unwrap(), seq);
        }

        #[test]
        fn order_is_that_of_numbers(a: u128, b: u128) {
            prop_assert_eq!(Seq::from_u128(a).cmp(&Seq::from_u128(b)), a.cmp(&b));
            prop_assert_eq!(Seq::from_u128(a).to_string(), a.to_string());
        }

        #[test]
        fn the_successor_is_one_more(n in 0..u128::MAX, zeros in 0usize..40) {
            prop_assert_eq!(Seq::from_u128(n).successor(), Some(Seq::from_u128(n + 1)));
            let padded: Seq = format!("{}{n}", "0".repeat(zeros)).parse().unwrap();
            let next = padded.successor().unwrap();
            prop_assert!(next > padded && next.len() >= padded.len());
        }

        #[test]
        fn leading_zeros_do_not_change_the_order(a: u64, b: u64, zeros in 0usize..40) {
            prop_assume!(a != b);
            let padded: Seq = format!("{}{a}", "0".repeat(zeros)).parse().unwrap();
            prop_assert_eq!(padded.cmp(&Seq::from_u128(b.into())), a.cmp(&b));
        }
    }

    #[test]
    fn a_successor_grows_by_a_digit_only_where_it_must() {
        for (text, want) in [
            ("0", "1"),
            ("9", "10"),
            ("09", "10"),
            ("99", "100"),
            ("0099", "0100"),
            ("1999", "2000"),
        ] {
            assert_eq!(
                text.parse::<Seq>().unwrap().successor().unwrap().to_string(),
                want
            );
        }
        assert_eq!("9".repeat(MAX_DIGITS).parse::<Seq>().unwrap().successor(), None);
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in ["", "12a", "-1", " 1", &"1".repeat(129)] {
            assert!(text.parse::<Seq>().is_err(), "{text}");
        }
    }
}
