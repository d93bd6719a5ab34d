//! Receives: long polls that are woken rather than poll.
//!
//! A change that may let a receive return wakes one that waits; one that leaves something behind wakes the next. So
//! a message wakes one receive, not all.

use super::Queue;
use super::limits::{check_max, check_visibility, check_wait};
use millstream_ports::{QueueError, ReceiveOptions};
use millstream_types::Message;
use std::time::Duration;

/// What a receive wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// Most messages.
    pub(crate) max: usize,
    /// Most bytes of bodies and attributes; the first message may have more.
    pub(crate) bytes: usize,
    /// How long they stay hidden; none: the queue's own.
    pub(crate) visibility: Option<Duration>,
}

impl Queue {
    /// Receives by hand.
    pub(crate) async fn receive(&self, options: ReceiveOptions) -> Result<Vec<Message>, QueueError> {
        let own_wait = Duration::from_secs(self.present()?.row.spec.receive_wait_seconds.into());
        let wait = options.wait.unwrap_or(own_wait);
        check_max(options.max)?;
        check_wait(wait)?;
        check_visibility(options.visibility.unwrap_or_default())?;
        let want = Want {
            max: options.max,
            bytes: options.max_bytes.unwrap_or(usize::MAX),
            visibility: options.visibility,
        };
        self.poll(want, wait).await
    }

    /// Receives what is wanted, waiting up to `wait` for the first message. Nothing is lost if the future is dropped
    /// while it waits; it does not wait any more when it has received.
    pub(crate) async fn poll(&self, want: Want, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let clock = &self.host.clock;
        let deadline = clock.now().mono.plus(wait);
        loop {
            let arrival = self.arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            let messages = self.take(want)?;
            if !messages.is_empty() || clock.now().mono >= deadline {
                return Ok(messages);
            }
            tokio::select! {
                () = arrival => {}
                () = clock.sleep_until(deadline) => {}
            }
        }
    }

    /// Wakes the next receive if this one left something, so that one arrival of many messages serves many receives.
    pub(super) fn pass_on(&self, any: bool) {
        if any {
            self.arrivals.notify_one();
        }
    }
}
