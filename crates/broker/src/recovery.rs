//! Recovery in the background: a stream whose last write is not certain becomes certain as soon as the database
//! works again, whether or not anybody puts to it. Until then records that reached the disk are not readable.

use crate::broker::Inner;
use millstream_store::Health;
use std::sync::{Arc, Weak};
use tokio::sync::{Notify, watch};

/// How often recovery is tried after a doubt; then the next put or the next round of retention does it.
const TRIES: usize = 5;

/// Recovers doubtful streams until the broker is gone.
pub(crate) async fn run(broker: Weak<Inner>, doubts: Arc<Notify>, mut health: watch::Receiver<Health>) {
    loop {
        doubts.notified().await;
        for _ in 0..TRIES {
            let Some(broker) = broker.upgrade() else { return };
            if broker.recover().await {
                break;
            }
            drop(broker);
            if health
                .wait_for(|health| *health == Health::Healthy)
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

impl Inner {
    /// Whether all streams and queues are certain now.
    async fn recover(&self) -> bool {
        let mut certain = true;
        for queue in self.queues.all() {
            match queue.settle() {
                Ok(settled) => certain &= settled,
                Err(e) => {
                    certain = false;
                    tracing::debug!(queue = %queue.name, error = %e, "a queue is still in doubt");
                }
            }
        }
        for stream in self.all_streams() {
            if let Err(e) = stream.recover().await {
                certain = false;
                tracing::debug!(stream = %stream.name, error = %e, "a stream is still in doubt");
            }
        }
        certain
    }
}
