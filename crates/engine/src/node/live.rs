//! The running engine as front doors see it.

use super::NodeMsg;
use crate::context::Context;
use crate::view::{Lagged, Live, MappingStatus, ShardInspection};
use async_trait::async_trait;
use futures::stream::BoxStream;
use millstream_ports::{Invoker, PoolStatus};
use millstream_types::{FunctionName, Mapping, MappingId, Namespace};
use ractor::ActorRef;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any one consumer is waited for.
const INSPECT_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct LiveNode {
    pub(super) context: Arc<Context>,
    pub(super) root: ActorRef<NodeMsg>,
}

#[async_trait]
impl Live for LiveNode {
    fn status(&self, mapping: MappingId) -> MappingStatus {
        self.context.board.status(mapping)
    }

    fn announce(&self, mapping: &Mapping) {
        self.context.gates.announce(mapping);
    }

    async fn shards(&self, mapping: MappingId) -> Vec<ShardInspection> {
        let answer = self
            .root
            .call(|reply| NodeMsg::Inspect(mapping, reply), Some(INSPECT_WITHIN))
            .await;
        match answer.map(|a| a.success_or(())) {
            Ok(Ok(shards)) => shards,
            _ => Vec::new(),
        }
    }

    fn status_changes(&self) -> BoxStream<'static, Result<(MappingId, MappingStatus), Lagged>> {
        self.context.board.changes()
    }

    async fn invoker(
        &self,
        namespace: &Namespace,
        function: &FunctionName,
    ) -> Result<Arc<dyn Invoker>, String> {
        self.context
            .pools
            .get(namespace, function)
            .map(|pool| pool.invoker)
    }

    fn pool(&self, namespace: &Namespace, function: &FunctionName) -> PoolStatus {
        self.context.pools.status(namespace, function)
    }
}
