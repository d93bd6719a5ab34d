//! Records that the Kinesis Producer Library packed into one (semantics, section 5): four magic bytes, a message of
//! protocol buffers, and the MD5 of that message.
//!
//! Read by hand: the message has three fields, and a payload stays a slice of the record it came in.

use bytes::Bytes;
use md5::{Digest, Md5};
use millstream_types::{Mark, Record};
use std::ops::Range;

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_LEN: usize = 16;

/// The records that `record` is made of, all with its number and told apart by their index; `record` itself if it is
/// none of the library's, is damaged, or holds a record whose explicit hash key is outside the shard's `range`.
pub(super) fn unpack(record: Record, range: (u128, u128)) -> Vec<Record> {
    let Some(parts) = message(&record.data).and_then(|message| parts(&record.data, message, range)) else {
        return vec![record];
    };
    let inner = parts.into_iter().enumerate().map(|(i, (key, data))| Record {
        mark: Mark {
            seq: record.mark.seq,
            sub: u32::try_from(i).unwrap_or(u32::MAX),
        },
        arrival: record.arrival,
        partition_key: record.data.slice(key),
        data: record.data.slice(data),
        trace: None,
    });
    inner.collect()
}

/// Where the message lies, if this is an aggregate and is whole.
fn message(data: &[u8]) -> Option<Range<usize>> {
    let rest = data.strip_prefix(&MAGIC)?;
    let len = rest.len().checked_sub(DIGEST_LEN)?;
    let (message, digest) = rest.split_at(len);
    (Md5::digest(message).as_slice() == digest).then(|| MAGIC.len()..MAGIC.len() + len)
}

/// Where key and payload of each record lie. None if the message is not of the library, or is empty.
fn parts(
    data: &Bytes,
    message: Range<usize>,
    range: (u128, u128),
) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let (mut keys, mut hashes, mut records) = (Vec::new(), Vec::new(), Vec::new());
    let mut fields = Fields::of(data, message);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Bytes(at)) => keys.push(at),
            (2, Value::Bytes(at)) => hashes.push(at),
            (3, Value::Bytes(at)) => records.push(at),
            _ => {}
        }
    }
    let within = |at: &Range<usize>| {
        let text = data
            .get(at.clone())
            .and_then(|text| std::str::from_utf8(text).ok());
        let hash = text.and_then(|text| text.parse::<u128>().ok());
        hash.is_some_and(|hash| (range.0..=range.1).contains(&hash))
    };
    let one = |at: Range<usize>| {
        let (mut key, mut hash, mut payload) = (None, None, None);
        let mut fields = Fields::of(data, at);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Number(n)) => key = Some(n),
                (2, Value::Number(n)) => hash = Some(n),
                (3, Value::Bytes(at)) => payload = Some(at),
                _ => {}
            }
        }
        if let Some(hash) = hash {
            hashes.get(usize::try_from(hash).ok()?).filter(|at| within(at))?;
        }
        let key = keys.get(usize::try_from(key?).ok()?)?.clone();
        std::str::from_utf8(data.get(key.clone())?).ok()?;
        Some((key, payload?))
    };
    let parts: Option<Vec<_>> = records.into_iter().map(one).collect();
    parts.filter(|parts| !parts.is_empty())
}

/// The value of a field: only kinds that the message has.
enum Value {
    Number(u64),
    Bytes(Range<usize>),
}

/// The fields of a message that lies within `data`.
struct Fields<'a> {
    data: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    fn of(data: &'a [u8], message: Range<usize>) -> Self {
        Self {
            data,
            at: message.start,
            end: message.end.min(data.len()),
        }
    }

    /// The next field, `Some(None)` at the end, none if the message is broken.
    fn next(&mut self) -> Option<Option<(u64, Value)>> {
        if self.at >= self.end {
            return Some(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => Value::Bytes(self.take(8)?),
            2 => {
                let len = self.number()?;
                Value::Bytes(self.take(usize::try_from(len).ok()?)?)
            }
            5 => Value::Bytes(self.take(4)?),
            _ => return None,
        };
        // Fixed numbers are of fields that the library may add some day; they are never looked at.
        let number = if matches!(tag & 7, 1 | 5) { 0 } else { tag >> 3 };
        Some(Some((number, value)))
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.data.get(self.at).filter(|_| self.at < self.end)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.end)?;
        let taken = self.at..end;
        self.at = end;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{Seq, Wall};
    use proptest::prelude::*;

    const ALL: (u128, u128) = (0, u128::MAX);

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    /// The library's form of records `(key, explicit hash key, payload)`.
    fn packed(records: &[(&str, Option<&str>, &[u8])]) -> Bytes {
        let mut message = Vec::new();
        for (key, _, _) in records {
            message.extend(field(1, key.as_bytes()));
        }
        let hashes: Vec<&str> = records.iter().filter_map(|r| r.1).collect();
        for hash in &hashes {
            message.extend(field(2, hash.as_bytes()));
        }
        for (i, (_, hash, payload)) in records.iter().enumerate() {
            let mut record = vec![1 << 3, u8::try_from(i).unwrap()];
            if let Some(hash) = hash {
                let at = hashes.iter().position(|h| h == hash).unwrap();
                record.extend([2 << 3, u8::try_from(at).unwrap()]);
            }
            record.extend(field(3, payload));
            message.extend(field(3, &record));
        }
        let digest = Md5::digest(&message);
        [&MAGIC[..], &message, digest.as_slice()].concat().into()
    }

    fn record(data: Bytes) -> Record {
        Record {
            mark: Mark::of(Seq::from_u128(7)),
            arrival: Wall(3),
            partition_key: Bytes::from_static(b"a"),
            data,
            trace: None,
        }
    }

    #[test]
    fn an_aggregate_is_taken_apart_in_order() {
        let data = packed(&[
            ("k1", None, b"one"),
            ("k2", Some("5"), b""),
            ("k1", None, b"three"),
        ]);
        let got = unpack(record(data), ALL);
        let parts: Vec<_> = got
            .iter()
            .map(|r| (r.mark.to_string(), &r.partition_key[..], &r.data[..], r.arrival))
            .collect();
        assert_eq!(
            parts,
            [
                ("7".to_owned(), &b"k1"[..], &b"one"[..], Wall(3)),
                ("7.1".to_owned(), b"k2", b"", Wall(3)),
                ("7.2".to_owned(), b"k1", b"three", Wall(3)),
            ]
        );
    }

    /// Three records as AWS's own aggregator for Python (aws_kinesis_agg 1.2.3) packs them.
    const OF_AWS: &str = concat!(
        "f3899ac20a05616c7068610a046265746112273137303134313138333436303436393233313733313638373330",
        "333731353838343130353732381a1108001a0d6669727374207061796c6f61641a09080110001a030001ff1a09",
        "08001a0574686972645976fc2eec2cc4fda6bf9c945d4b87ed",
    );

    #[test]
    fn what_awss_aggregator_packs_is_taken_apart() {
        let bytes = (0..OF_AWS.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&OF_AWS[i..i + 2], 16).unwrap());
        let got = unpack(record(bytes.collect()), ALL);
        let parts: Vec<_> = got.iter().map(|r| (&r.partition_key[..], &r.data[..])).collect();
        let expected: [(&[u8], &[u8]); 3] = [
            (b"alpha", b"first payload"),
            (b"beta", b"\x00\x01\xff"),
            (b"alpha", b"third"),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn what_is_no_whole_aggregate_of_this_shard_stays_one_record() {
        let good = packed(&[("k", Some("5"), b"x")]);
        let mut damaged = good.to_vec();
        damaged[6] ^= 1;
        for (data, range) in [
            (Bytes::from_static(b"plain"), ALL),
            (Bytes::from_static(&MAGIC), ALL),
            (good.slice(..good.len() - 1), ALL),
            (damaged.into(), ALL),
            (packed(&[]), ALL),
            (good.clone(), (6, 9)),
            (packed(&[("k", Some("no number"), b"x")]), ALL),
        ] {
            assert_eq!(unpack(record(data.clone()), range), [record(data)], "{range:?}");
        }
        assert_eq!(unpack(record(good), (5, 5))[0].data, "x");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_lose_a_record(message: Vec<u8>, cut in 0usize..40) {
            let digest = Md5::digest(&message);
            let data = Bytes::from([&MAGIC[..], &message, digest.as_slice()].concat());
            let data = data.slice(..data.len().saturating_sub(cut % 3));
            prop_assert!(!unpack(record(data), ALL).is_empty());
        }
    }
}
