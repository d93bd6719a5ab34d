//! How a consumer gets its lease without waiting for it.

use super::consumer::{ConsumerArgs, ShardMsg};
use crate::keeper::KeeperMsg;
use ractor::ActorRef;
use tokio::sync::oneshot;

/// Asks for the lease; the answer comes as a message.
pub(super) fn request_lease(args: &ConsumerArgs, myself: ActorRef<ShardMsg>) {
    let (reply, answer) = oneshot::channel();
    let request = KeeperMsg::Acquire {
        mapping: args.mapping.id,
        shard: args.shard.clone(),
        reply,
    };
    let sent = args.keeper.cast(request).is_ok();
    tokio::spawn(async move {
        let gone = || Err("the lease keeper is gone".to_owned());
        let acquired = if sent {
            answer.await.unwrap_or_else(|_| gone())
        } else {
            gone()
        };
        let _ = myself.cast(ShardMsg::Acquired(acquired));
    });
}
