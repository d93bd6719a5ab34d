//! The lease keeper: takes leases on shards under the node's session.

use crate::context::Context;
use crate::session::HeldLease;
use millstream_types::durable::ShardRecord;
use millstream_types::{Epoch, Lease, MappingId, ShardId};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A lease and what its shard had come to, or why there is none.
pub(crate) type Acquired = Result<(HeldLease, Option<ShardRecord>), String>;

/// What the keeper is told.
pub(crate) enum KeeperMsg {
    /// Take the shard.
    Acquire {
        mapping: MappingId,
        shard: ShardId,
        reply: oneshot::Sender<Acquired>,
    },
    /// A lease was taken.
    Taken(HeldLease),
    /// The shard's consumer ended.
    Release {
        mapping: MappingId,
        shard: ShardId,
        epoch: Epoch,
    },
}

/// Takes and remembers leases.
pub(crate) struct LeaseKeeper;

/// Its state: which shards this node holds, at which epoch.
pub(crate) struct KeeperState {
    context: Arc<Context>,
    held: BTreeMap<(MappingId, ShardId), Epoch>,
}

impl Actor for LeaseKeeper {
    type Msg = KeeperMsg;
    type State = KeeperState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        _: ActorRef<KeeperMsg>,
        context: Arc<Context>,
    ) -> Result<KeeperState, ActorProcessingErr> {
        Ok(KeeperState {
            context,
            held: BTreeMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<KeeperMsg>,
        message: KeeperMsg,
        state: &mut KeeperState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            KeeperMsg::Acquire {
                mapping,
                shard,
                reply,
            } => {
                let context = state.context.clone();
                tokio::spawn(async move {
                    let _ = reply.send(acquire(&context, &myself, mapping, &shard).await);
                });
            }
            KeeperMsg::Taken(held) => {
                let Lease {
                    mapping,
                    shard,
                    epoch,
                    ..
                } = held.lease;
                state.held.insert((mapping, shard), epoch);
            }
            KeeperMsg::Release {
                mapping,
                shard,
                epoch,
            } => {
                let key = (mapping, shard);
                if state.held.get(&key) == Some(&epoch) {
                    state.held.remove(&key);
                }
            }
        }
        Ok(())
    }
}

async fn acquire(
    context: &Context,
    keeper: &ActorRef<KeeperMsg>,
    mapping: MappingId,
    shard: &ShardId,
) -> Acquired {
    let incarnation = context.session.incarnation();
    let (lease, record) = context
        .ports
        .journal
        .acquire(mapping, shard, incarnation)
        .await
        .map_err(|e| e.to_string())?;
    let held = HeldLease {
        lease,
        session: context.session.clone(),
    };
    // A keeper that has ended means that the node stops; the lease is then of no use to anybody.
    let _ = keeper.cast(KeeperMsg::Taken(held.clone()));
    Ok((held, record))
}
