//! How many calls of the queue there were in the last hour: what a queue that is paid by the request costs.

use millstream_types::Mono;

const MINUTES: u64 = 60;
const NANOS_PER_MINUTE: u64 = 60_000_000_000;

/// Counts per minute, for an hour.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    minutes: [u64; MINUTES as usize],
    /// The minute that is being counted.
    current: u64,
}

impl Requests {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            minutes: [0; MINUTES as usize],
            current: now.0 / NANOS_PER_MINUTE,
        }
    }

    pub(super) fn count(&mut self, now: Mono) {
        self.advance(now);
        self.minutes[(self.current % MINUTES) as usize] += 1;
    }

    /// Of the last 60 minutes, the current one included.
    pub(super) fn last_hour(&self, now: Mono) -> u64 {
        let mut copy = self.clone();
        copy.advance(now);
        copy.minutes.iter().sum()
    }

    fn advance(&mut self, now: Mono) {
        let minute = (now.0 / NANOS_PER_MINUTE).max(self.current);
        for passed in (self.current + 1..=minute).take(MINUTES as usize) {
            self.minutes[(passed % MINUTES) as usize] = 0;
        }
        self.current = minute;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_remembered_and_no_more() {
        let at = |minute: u64| Mono(minute * NANOS_PER_MINUTE + 7);
        let mut requests = Requests::new(at(100));
        requests.count(at(100));
        requests.count(at(130));
        requests.count(at(130));
        assert_eq!(requests.last_hour(at(130)), 3);
        assert_eq!(requests.last_hour(at(159)), 3);
        assert_eq!(requests.last_hour(at(160)), 2, "the first minute is over");
        assert_eq!(requests.last_hour(at(10_000)), 0);
        requests.count(at(10_000));
        assert_eq!(requests.last_hour(at(10_000)), 1);
    }
}
