//! The stored form of a put: all its records for one shard as one value ("record batch").
//!
//! One RocksDB value per put and shard instead of one per record is what makes reading fast: the iterator
//! moves once per put, and a reader copies a run of records with one `memcpy` and slices them. The form is
//! frozen; a change of it takes a new version byte, and old versions stay readable.
//!
//! ```text
//! offset  size          field
//! 0       1             version, 1
//! 1       1             flags, 0; an unknown flag makes the batch unreadable rather than misread
//! 2       varint        count, at least 1
//!         varint        base: the offset of the first record; the others follow without a gap
//!         varint        arrival of all records, milliseconds since the Unix epoch
//!         4 × count     per record, u32 little-endian: where its body ends, counted from the first body
//!         …             the bodies, one after the other
//!
//! body    1             parts: bit 0 explicit hash key, bit 1 traceparent, bit 2 tracestate
//!         varint, n     partition key, UTF-8
//!         16            explicit hash key, big-endian, if bit 0
//!         varint, n     traceparent, UTF-8, if bit 1
//!         varint, n     tracestate, UTF-8, if bit 2
//!         rest          data
//! ```
//!
//! A varint is LEB128: seven bits a byte, least significant first, at most ten bytes. There is no checksum:
//! RocksDB keeps one per block. Decoding checks every length and never panics.

use crate::sequence::seq_of;
use bytes::Bytes;
use millstream_ports::{HashKey, PutEntry};
use millstream_types::{Mark, Record, TraceContext, Wall};
use std::ops::Range;
use std::sync::Arc;

const VERSION: u8 = 1;
const HAS_HASH_KEY: u8 = 1;
const HAS_TRACE_PARENT: u8 = 2;
const HAS_TRACE_STATE: u8 = 4;
const END_BYTES: usize = 4;

/// In which way a stored batch cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadBatch {
    #[error("the record batch ends early")]
    Short,
    #[error("record batch version {0} is not known to this build")]
    Version(u8),
    #[error("record batch flags {0:#04x} are not known to this build")]
    Flags(u8),
    #[error("a number in the record batch is out of range")]
    Number,
    #[error("the record batch's table of ends is not in order")]
    Table,
    #[error("a text in the record batch is not UTF-8")]
    Text,
}

/// Collects the records of one put for one shard. Their offset and arrival are known only at the end, when
/// the shard's lock is held, so the bodies are made before and the head is put in front then.
#[derive(Default)]
pub(crate) struct BatchBuilder {
    ends: Vec<u8>,
    bodies: Vec<u8>,
    count: u32,
}

impl BatchBuilder {
    pub(crate) fn push(&mut self, entry: &PutEntry) {
        let trace = entry.trace.as_ref();
        let state = trace.and_then(|t| t.tracestate.as_ref());
        let explicit = match entry.hash_key {
            HashKey::Explicit(key) => Some(key),
            HashKey::OfPartitionKey => None,
        };
        let flag = |present: bool, bit: u8| if present { bit } else { 0 };
        self.bodies.push(
            flag(explicit.is_some(), HAS_HASH_KEY)
                | flag(trace.is_some(), HAS_TRACE_PARENT)
                | flag(state.is_some(), HAS_TRACE_STATE),
        );
        put_text(&mut self.bodies, entry.partition_key.as_bytes());
        if let Some(key) = explicit {
            self.bodies.extend_from_slice(&key.to_be_bytes());
        }
        if let Some(trace) = trace {
            put_text(&mut self.bodies, trace.traceparent.as_bytes());
        }
        if let Some(state) = state {
            put_text(&mut self.bodies, state.as_bytes());
        }
        self.bodies.extend_from_slice(&entry.data);
        // A request is limited to 10 MiB, far below what 32 bits can say.
        self.ends
            .extend_from_slice(&(self.bodies.len() as u32).to_le_bytes());
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn finish(&self, base: u64, arrival: Wall) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + 5 + 10 + 10 + self.ends.len() + self.bodies.len());
        out.extend_from_slice(&[VERSION, 0]);
        put_varint(&mut out, u64::from(self.count));
        put_varint(&mut out, base);
        put_varint(&mut out, arrival.0);
        out.extend_from_slice(&self.ends);
        out.extend_from_slice(&self.bodies);
        out
    }
}

/// A stored batch, borrowed from the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) base: u64,
    pub(crate) count: u32,
    pub(crate) arrival: Wall,
    ends: &'a [u8],
    bodies: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Checks the head and where the bodies are; the bodies themselves are looked at when they are taken.
    pub(crate) fn parse(value: &'a [u8]) -> Result<Self, BadBatch> {
        let mut rest = value;
        match take(&mut rest, 1)? {
            [VERSION] => {}
            other => return Err(BadBatch::Version(other[0])),
        }
        match take(&mut rest, 1)? {
            [0] => {}
            other => return Err(BadBatch::Flags(other[0])),
        }
        let count = u32::try_from(take_varint(&mut rest)?).map_err(|_| BadBatch::Number)?;
        let base = take_varint(&mut rest)?;
        let arrival = Wall(take_varint(&mut rest)?);
        if count == 0 || base.checked_add(u64::from(count)).is_none() {
            return Err(BadBatch::Number);
        }
        let table = (count as usize).checked_mul(END_BYTES).ok_or(BadBatch::Number)?;
        let ends = take(&mut rest, table)?;
        let batch = Self {
            base,
            count,
            arrival,
            ends,
            bodies: rest,
        };
        if batch.end_of_body(count - 1)? == rest.len() {
            Ok(batch)
        } else {
            Err(BadBatch::Short)
        }
    }

    /// The offset after the last record.
    pub(crate) fn end(&self) -> u64 {
        self.base + u64::from(self.count)
    }

    fn end_of_body(&self, index: u32) -> Result<usize, BadBatch> {
        let at = index as usize * END_BYTES;
        let bytes = self.ends.get(at..at + END_BYTES).ok_or(BadBatch::Table)?;
        Ok(bytes.iter().rev().fold(0usize, |n, b| (n << 8) | usize::from(*b)))
    }

    fn start_of_body(&self, index: u32) -> Result<usize, BadBatch> {
        if index == 0 {
            Ok(0)
        } else {
            self.end_of_body(index - 1)
        }
    }

    /// How many records from `from` on fit into `records` and `bytes`. Bytes are those of the stored bodies,
    /// a few more than keys and payloads have.
    pub(crate) fn fitting(&self, from: u32, records: usize, bytes: usize) -> Result<u32, BadBatch> {
        let start = self.start_of_body(from)?;
        let most = u32::try_from(records)
            .unwrap_or(u32::MAX)
            .min(self.count.saturating_sub(from));
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let end = self.end_of_body(from + middle - 1)?;
            if end.checked_sub(start).ok_or(BadBatch::Table)? <= bytes {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Ok(low)
    }

    /// Stored bytes of `count` records from `from` on.
    pub(crate) fn bytes_of(&self, from: u32, count: u32) -> Result<usize, BadBatch> {
        let (start, end) = (self.start_of_body(from)?, self.start_of_body(from + count)?);
        end.checked_sub(start).ok_or(BadBatch::Table)
    }

    /// Appends `count` records from `from` on to `out`. They are copied once and share one buffer, so that a
    /// record that is held for long keeps no more alive than what was read with it from its batch.
    pub(crate) fn take(
        &self,
        shard: u32,
        from: u32,
        count: u32,
        out: &mut Vec<Record>,
    ) -> Result<(), BadBatch> {
        let Some(last) = (from + count)
            .checked_sub(1)
            .filter(|last| count > 0 && *last < self.count)
        else {
            return Ok(());
        };
        let (start, end) = (self.start_of_body(from)?, self.end_of_body(last)?);
        let bodies = Bytes::copy_from_slice(self.bodies.get(start..end).ok_or(BadBatch::Table)?);
        let mut seq = seq_of(shard, self.base + u64::from(from));
        let mut at = 0;
        for index in from..=last {
            let to = self
                .end_of_body(index)?
                .checked_sub(start)
                .ok_or(BadBatch::Table)?;
            let body = Body::parse(bodies.get(at..to).ok_or(BadBatch::Table)?)?;
            let slice = |r: Range<usize>| bodies.slice(at + r.start..at + r.end);
            out.push(Record {
                mark: Mark::of(seq),
                arrival: self.arrival,
                partition_key: slice(body.key),
                data: slice(body.data),
                trace: body.trace,
            });
            seq = seq.successor().ok_or(BadBatch::Number)?;
            at = to;
        }
        Ok(())
    }
}

/// Where the parts of one body are.
struct Body {
    key: Range<usize>,
    data: Range<usize>,
    trace: Option<TraceContext>,
}

impl Body {
    fn parse(body: &[u8]) -> Result<Self, BadBatch> {
        let mut rest = body;
        let parts = take(&mut rest, 1)?[0];
        if parts & !(HAS_HASH_KEY | HAS_TRACE_PARENT | HAS_TRACE_STATE) != 0 {
            return Err(BadBatch::Flags(parts));
        }
        let key = take_text(&mut rest)?.len();
        let key_end = body.len() - rest.len();
        if parts & HAS_HASH_KEY != 0 {
            take(&mut rest, 16)?;
        }
        let mut text = |bit: u8| -> Result<Option<Arc<str>>, BadBatch> {
            if parts & bit == 0 {
                return Ok(None);
            }
            let bytes = take_text(&mut rest)?;
            std::str::from_utf8(bytes)
                .map(|t| Some(t.into()))
                .map_err(|_| BadBatch::Text)
        };
        let (parent, tracestate) = (text(HAS_TRACE_PARENT)?, text(HAS_TRACE_STATE)?);
        let trace = parent.map(|traceparent| TraceContext {
            traceparent,
            tracestate,
        });
        Ok(Self {
            key: key_end - key..key_end,
            data: body.len() - rest.len()..body.len(),
            trace,
        })
    }
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Result<&'a [u8], BadBatch> {
    let (head, tail) = rest.split_at_checked(n).ok_or(BadBatch::Short)?;
    *rest = tail;
    Ok(head)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BadBatch> {
    let n = usize::try_from(take_varint(rest)?).map_err(|_| BadBatch::Number)?;
    take(rest, n)
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text);
}

fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, BadBatch> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err(BadBatch::Number);
        }
        n |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(n);
        }
    }
    Err(BadBatch::Number)
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
