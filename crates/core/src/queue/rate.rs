//! How fast provisioned pollers poll (semantics, section 12): each at most 10 times and 1 MB a second.
//!
//! Two clocks that run ahead of time: each receive that is ordered moves the first one on by its share of a second, what
//! it brings moves the second one. Nothing is ordered while the first is further ahead than one receive of every poller,
//! or the second is ahead at all; what was on its way already is paid for afterwards.

use millstream_types::Mono;
use std::time::Duration;

/// Receives of one poller in a second.
const POLLS_A_SECOND: u64 = 10;
/// Bytes of one poller in a second.
const BYTES_A_SECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// The pace of all pollers of one mapping.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    polls: Mono,
    bytes: Mono,
}

impl Rate {
    /// When the next receive may be ordered; none if at once. There are `pollers`, at least 1.
    pub(super) fn wait(&self, pollers: u64, now: Mono) -> Option<Mono> {
        // One receive of each may be ahead, and the one asked for is the last of them.
        let ahead = (pollers - 1) * (SECOND / (POLLS_A_SECOND * pollers));
        let polls = Mono(self.polls.0.saturating_sub(ahead));
        let at = polls.max(self.bytes);
        (at > now).then_some(at)
    }

    /// A receive was ordered.
    pub(super) fn on_order(&mut self, pollers: u64, now: Mono) {
        let each = Duration::from_nanos(SECOND / (POLLS_A_SECOND * pollers));
        self.polls = self.polls.max(now).plus(each);
    }

    /// So many bytes came.
    pub(super) fn on_bytes(&mut self, bytes: usize, pollers: u64, now: Mono) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let takes = bytes.saturating_mul(SECOND / BYTES_A_SECOND) / pollers;
        self.bytes = self.bytes.max(now).plus(Duration::from_nanos(takes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    /// Receives in each of `seconds`, ordered as soon as they may be, each bringing `bytes`.
    fn greedy(pollers: u64, bytes: usize, seconds: u64) -> Vec<u32> {
        let mut rate = Rate::default();
        let mut counts = vec![0; usize::try_from(seconds).unwrap()];
        let mut now = at(0);
        loop {
            if let Some(next) = rate.wait(pollers, now) {
                now = next;
            }
            let Some(count) = counts.get_mut(usize::try_from(now.0 / SECOND).unwrap()) else {
                return counts;
            };
            *count += 1;
            rate.on_order(pollers, now);
            rate.on_bytes(bytes, pollers, now);
        }
    }

    #[test]
    fn ten_receives_a_second_each() {
        for (pollers, expect) in [(1, [10, 10, 10]), (2, [21, 20, 20]), (10, [109, 100, 100])] {
            assert_eq!(greedy(pollers, 0, 3), expect, "{pollers}");
        }
    }

    #[test]
    fn a_megabyte_a_second_each() {
        for (pollers, bytes, expect) in [
            (1, 1_000_000, [1, 1, 1]),
            (1, 500_000, [2, 2, 2]),
            (2, 500_000, [4, 4, 4]),
            (4, 10_000, [43, 40, 40]),
        ] {
            assert_eq!(greedy(pollers, bytes, 3), expect, "{pollers} {bytes}");
        }
    }

    #[test]
    fn a_large_receive_is_paid_for_afterwards() {
        let mut rate = Rate::default();
        rate.on_bytes(10_000_000, 2, at(0));
        assert_eq!(rate.wait(2, at(0)), Some(at(5_000)));
        assert_eq!(rate.wait(2, at(5_000)), None);
    }
}
