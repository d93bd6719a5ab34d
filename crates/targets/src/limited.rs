//! An invoker that runs only so many invocations at once, and ends them when it is closed.

use crate::places::{Places, closed};
use async_trait::async_trait;
use millstream_ports::{Body, Invoker, PoolStatus};
use millstream_types::{Invocation, Outcome};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Limits an invoker that has no limit of its own.
pub(crate) struct Limited {
    invoker: Arc<dyn Invoker>,
    places: Places,
    closing: CancellationToken,
}

impl Limited {
    /// At most `concurrency` invocations of `invoker` at once.
    pub(crate) fn new(invoker: Arc<dyn Invoker>, concurrency: u32) -> Self {
        Self {
            invoker,
            places: Places::new(concurrency),
            closing: CancellationToken::new(),
        }
    }
}

#[async_trait]
impl Invoker for Limited {
    fn body(&self) -> Body {
        self.invoker.body()
    }

    /// May take a second more than the invoker does: for a place.
    async fn invoke(&self, invocation: Invocation) -> Outcome {
        let _place = match self.places.take().await {
            Ok(place) => place,
            Err(outcome) => return outcome,
        };
        tokio::select! {
            outcome = self.invoker.invoke(invocation) => outcome,
            () = self.closing.cancelled() => closed(),
        }
    }

    fn status(&self) -> PoolStatus {
        PoolStatus {
            in_flight: self.places.taken(),
            ..self.invoker.status()
        }
    }

    async fn close(&self) {
        self.places.close();
        self.closing.cancel();
        self.invoker.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::invocation;
    use bytes::Bytes;
    use tokio::sync::Semaphore;

    /// Returns when it is told to.
    struct Slow(Arc<Semaphore>);

    #[async_trait]
    impl Invoker for Slow {
        fn body(&self) -> Body {
            Body::Json
        }
        async fn invoke(&self, _: Invocation) -> Outcome {
            self.0.acquire().await.unwrap().forget();
            Outcome::Response(Bytes::new())
        }
        fn status(&self) -> PoolStatus {
            PoolStatus::default()
        }
        async fn close(&self) {}
    }

    #[tokio::test]
    async fn so_many_run_at_once_and_none_after_the_end() {
        let go = Arc::new(Semaphore::new(0));
        let limited = Arc::new(Limited::new(Arc::new(Slow(Arc::clone(&go))), 1));
        let invoke = || {
            let limited = Arc::clone(&limited);
            tokio::spawn(async move { limited.invoke(invocation(1)).await })
        };
        let first = invoke();
        while limited.status().in_flight == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(invoke().await.unwrap(), Outcome::Throttled { retry_after: None });
        go.add_permits(1);
        assert_eq!(first.await.unwrap(), Outcome::Response(Bytes::new()));
        assert_eq!(limited.status().in_flight, 0);

        let running = invoke();
        while limited.status().in_flight == 0 {
            tokio::task::yield_now().await;
        }
        limited.close().await;
        assert_eq!(running.await.unwrap(), closed());
        assert_eq!(limited.invoke(invocation(1)).await, closed());
    }
}
