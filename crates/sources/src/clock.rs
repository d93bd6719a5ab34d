//! The machine's clock, by which streams are polled unless somebody brings another.

use futures::future::BoxFuture;
use millstream_ports::Clock;
use millstream_types::{Mono, Now, Wall};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Its monotonic time counts from when it was made.
#[derive(Debug)]
pub(crate) struct MachineClock {
    began: Instant,
}

impl MachineClock {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
        }
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            wall: Wall(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
            mono: Mono(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    fn sleep_until(&self, at: Mono) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(at.since(self.now().mono)))
    }
}
