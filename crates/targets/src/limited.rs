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
