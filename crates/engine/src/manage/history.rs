//! What happened: attempts, and records that were given up.

use super::Manager;
use super::error::ManageError;
use millstream_ports::{CatalogError, LedgerPage, LedgerQuery};
use millstream_types::durable::{DeliveryState, Discard};
use millstream_types::ids::DiscardId;
use millstream_types::{MappingId, MappingName, Namespace};

/// How many discards are read at once: each may carry 6 MiB, and a listing keeps none of that.
pub const DISCARD_CHUNK: usize = 4;

impl Manager {
    /// One page of the attempts of a mapping; `after` is where the last page ended.
    ///
    /// # Errors
    /// [`ManageError::NotFound`], or the store's.
    pub async fn ledger(
        &self,
        namespace: &Namespace,
        name: &MappingName,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<LedgerPage, ManageError> {
        let mapping = self.ports.catalog.mapping(namespace, name).await?.id;
        Ok(self
            .ports
            .ledger
            .read(LedgerQuery {
                mapping,
                after,
                limit,
            })
            .await?)
    }

    /// The oldest `limit` discards of a mapping after `after`, without their payload, and whether there may be
    /// more; each with how the delivery of its document stands. Discards outlive their mapping: of one that is gone they are found by its id as name.
    ///
    /// # Errors
    /// [`ManageError::NotFound`], or the store's.
    pub async fn discards(
        &self,
        namespace: &Namespace,
        name: &MappingName,
        after: Option<DiscardId>,
        limit: usize,
    ) -> Result<(Vec<(Discard, Option<DeliveryState>)>, bool), ManageError> {
        let mapping = self.mapping_id(namespace, name).await?;
        let (mut found, mut after) = (Vec::new(), after);
        while found.len() < limit {
            let want = DISCARD_CHUNK.min(limit - found.len());
            let chunk = self.ports.discards.list(mapping, after, want).await?;
            let last = chunk.len() < want;
            after = chunk.last().map(|d| d.id).or(after);
            for discard in chunk.into_iter().filter(|d| d.namespace == *namespace) {
                let delivery = self.ports.discards.delivery(discard.id).await?;
                let payload = bytes::Bytes::new();
                found.push((Discard { payload, ..discard }, delivery));
            }
            if last {
                return Ok((found, false));
            }
        }
        Ok((found, true))
    }

    /// One discard with its payload, and how the delivery of its document stands.
    ///
    /// # Errors
    /// [`ManageError::NotFound`], or the store's.
    pub async fn discard(
        &self,
        namespace: &Namespace,
        id: DiscardId,
    ) -> Result<(Discard, Option<DeliveryState>), ManageError> {
        let found = self.ports.discards.get(namespace, id).await?;
        let found = found.ok_or_else(|| ManageError::NotFound {
            kind: "discard",
            name: id.to_string(),
        })?;
        Ok((found, self.ports.discards.delivery(id).await?))
    }

    async fn mapping_id(&self, namespace: &Namespace, name: &MappingName) -> Result<MappingId, ManageError> {
        match self.ports.catalog.mapping(namespace, name).await {
            Ok(mapping) => Ok(mapping.id),
            Err(e @ CatalogError::NotFound { .. }) => name.as_str().parse().map_err(|_| e.into()),
            Err(e) => Err(e.into()),
        }
    }
}
