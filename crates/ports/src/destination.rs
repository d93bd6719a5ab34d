//! Where failure documents go.

use async_trait::async_trait;
use millstream_types::durable::OutboxEntry;
use millstream_types::{DestinationArn, Namespace};
use std::sync::Arc;

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Delivered; the caller removes the entry from the outbox.
    Delivered,
    /// Delivered and removed from the outbox in one commit: exactly once.
    Settled,
}

/// Why a delivery did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    /// Try again later.
    #[error("destination {destination} cannot take documents now: {why}")]
    Unavailable {
        /// Where to.
        destination: String,
        /// Why, for people.
        why: String,
    },
    /// It will not work until somebody changes something; tried again all the same, as nothing may be lost.
    #[error("destination {destination} does not exist or refuses documents: {why}")]
    Refused {
        /// Where to.
        destination: String,
        /// Why, for people.
        why: String,
    },
}

/// Takes failure documents.
#[async_trait]
pub trait Destination: Send + Sync + 'static {
    /// Whether documents are to carry the records too, and not only what is told of them (semantics, section 9).
    fn wants_payload(&self) -> bool {
        false
    }

    /// Delivers one document, identified by its discard's id so that a repetition can be told; with the payload where
    /// that is [wanted](Destination::wants_payload) and still there.
    ///
    /// # Errors
    /// Any [`DeliverError`].
    async fn deliver(&self, entry: &OutboxEntry) -> Result<Delivery, DeliverError>;
}

/// Finds the destination that an ARN names.
#[async_trait]
pub trait Destinations: Send + Sync + 'static {
    /// The destination `arn` of `namespace`. Called at creation and update of a mapping too, so that what
    /// cannot work is refused there.
    ///
    /// # Errors
    /// [`DeliverError::Refused`] if there is none.
    async fn destination(
        &self,
        namespace: &Namespace,
        arn: &DestinationArn,
    ) -> Result<Arc<dyn Destination>, DeliverError>;
}
