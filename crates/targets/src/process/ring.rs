//! Output of processes, bounded: a ring of the last bytes, and lines cut to a length.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Keeps the last bytes written to it.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: VecDeque<u8>,
    capacity: usize,
}

impl Ring {
    /// Keeps `capacity` bytes; takes memory only as they come.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            capacity,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let skip = bytes.len().saturating_sub(self.capacity);
        let kept = bytes.get(skip..).unwrap_or_default();
        let excess = (self.bytes.len() + kept.len()).saturating_sub(self.capacity);
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
    }

    /// The last `max` bytes at most, as text.
    pub(super) fn tail(&self, max: usize) -> String {
        let skip = self.bytes.len().saturating_sub(max);
        let bytes: Vec<u8> = self.bytes.iter().skip(skip).copied().collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}

/// Cuts bytes into lines; what is beyond the longest line is dropped up to the next line end.
#[derive(Debug)]
pub(super) struct Lines {
    line: Vec<u8>,
    longest: usize,
    cut: bool,
}

impl Lines {
    pub(super) fn new(longest: usize) -> Self {
        Self {
            line: Vec::new(),
            longest,
            cut: false,
        }
    }

    /// Takes bytes and gives each line that is complete to `emit`, with whether it was cut.
    pub(super) fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(&str, bool)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|c| *c == b'\n') {
            let (line, after) = rest.split_at(end);
            self.append(line);
            self.flush(&mut emit);
            rest = after.get(1..).unwrap_or_default();
        }
        self.append(rest);
    }

    /// Gives what is left, if anything, as a line.
    pub(super) fn finish(&mut self, mut emit: impl FnMut(&str, bool)) {
        if !self.line.is_empty() {
            self.flush(&mut emit);
        }
    }

    fn append(&mut self, part: &[u8]) {
        let room = self.longest - self.line.len();
        self.cut |= part.len() > room;
        self.line.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    fn flush(&mut self, emit: &mut impl FnMut(&str, bool)) {
        let text = String::from_utf8_lossy(&self.line);
        emit(text.trim_end_matches('\r'), self.cut);
        self.line.clear();
        self.cut = false;
    }
}

/// Lets through a rate with a burst.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: u32,
    burst: u32,
    tokens: f64,
    last: Instant,
}

impl Rate {
    pub(super) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self {
            per_second,
            burst,
            tokens: f64::from(burst),
            last: now,
        }
    }

    /// Whether one more may pass at `now`.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let gone: Duration = now.saturating_duration_since(self.last);
        self.last = now;
        self.tokens =
            (self.tokens + gone.as_secs_f64() * f64::from(self.per_second)).min(f64::from(self.burst));
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_keeps_the_end() {
        let mut ring = Ring::new(4);
        for (push, expected) in [("ab", "ab"), ("cde", "bcde"), ("0123456", "3456"), ("", "3456")] {
            ring.push(push.as_bytes());
            assert_eq!(ring.tail(10), expected);
        }
        assert_eq!(ring.tail(2), "56");
    }

    #[test]
    fn lines_are_cut_to_length_however_they_arrive() {
        for chunk in 1..12 {
            let mut lines = Lines::new(4);
            let mut seen = Vec::new();
            for part in b"ab\n\n123456789\r\nabcd\r\nxy".chunks(chunk) {
                lines.push(part, |line, cut| seen.push((line.to_owned(), cut)));
            }
            lines.finish(|line, cut| seen.push((line.to_owned(), cut)));
            let seen: Vec<(&str, bool)> = seen.iter().map(|(l, c)| (l.as_str(), *c)).collect();
            let expected = [
                ("ab", false),
                ("", false),
                ("1234", true),
                ("abcd", true),
                ("xy", false),
            ];
            assert_eq!(seen, expected, "in chunks of {chunk}");
        }
    }

    #[test]
    fn a_rate_has_a_burst_and_refills() {
        let start = Instant::now();
        let mut rate = Rate::new(10, 2, start);
        let passed = |rate: &mut Rate, at: Duration| (0..5).filter(|_| rate.take(start + at)).count();
        assert_eq!(passed(&mut rate, Duration::ZERO), 2);
        assert_eq!(passed(&mut rate, Duration::from_millis(100)), 1);
        assert_eq!(passed(&mut rate, Duration::from_secs(60)), 2);
    }
}
