//! Finds a mapping's source and follows its set of shards, for as long as the mapping runs.

use super::supervisor::MappingMsg;
use crate::context::Context;
use crate::task::Owned;
use millstream_core::restart::{RestartPolicy, Restarts};
use millstream_ports::{SourceError, StreamSource};
use millstream_types::{Mapping, ShardId, ShardInfo};
use ractor::ActorRef;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What was found out.
pub(crate) struct Discovered {
    pub(crate) source: Arc<dyn StreamSource>,
    pub(crate) shards: Vec<ShardInfo>,
}

/// What an earlier process left.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Shards whose records are all finished.
    pub(crate) finished: BTreeSet<ShardId>,
    /// Whether there was any progress at all.
    pub(crate) any: bool,
}

/// Reads what is stored of the mapping, then follows its source.
pub(super) fn start(context: Arc<Context>, mapping: &Mapping, supervisor: ActorRef<MappingMsg>) -> Owned {
    let mapping = mapping.clone();
    Owned::spawn(async move {
        let mut restarts = Restarts::new(RestartPolicy::default(), context.now().mono);
        loop {
            match context.ports.journal.shards(mapping.id).await {
                Ok(records) => {
                    let finished = records
                        .iter()
                        .filter(|(_, r)| r.finished)
                        .map(|(s, _)| s.clone())
                        .collect();
                    let stored = Stored {
                        finished,
                        any: !records.is_empty(),
                    };
                    let _ = supervisor.cast(MappingMsg::Stored(Ok(stored)));
                    break;
                }
                Err(error) => {
                    let _ = supervisor.cast(MappingMsg::Stored(Err(error.to_string())));
                    pause(&context, &mut restarts).await;
                }
            }
        }
        loop {
            let error = match follow(&context, &mapping, &supervisor, &mut restarts).await {
                Ok(()) => return,
                Err(error) => error,
            };
            if supervisor
                .cast(MappingMsg::Discovered(Err(error.to_string())))
                .is_err()
            {
                return;
            }
            pause(&context, &mut restarts).await;
        }
    })
}

/// Ends without an error only if the supervisor is gone.
async fn follow(
    context: &Context,
    mapping: &Mapping,
    supervisor: &ActorRef<MappingMsg>,
    restarts: &mut Restarts,
) -> Result<(), SourceError> {
    let source = context
        .ports
        .sources
        .stream(&mapping.namespace, &mapping.spec.source)
        .await?;
    loop {
        let shards = source.shards().await?;
        *restarts = Restarts::new(RestartPolicy::default(), context.now().mono);
        let found = Discovered {
            source: source.clone(),
            shards,
        };
        if supervisor.cast(MappingMsg::Discovered(Ok(found))).is_err() {
            return Ok(());
        }
        source.shards_changed().await;
    }
}

async fn pause(context: &Context, restarts: &mut Restarts) {
    let at = restarts.on_failure(context.now().mono, context.jitter());
    context.ports.clock.sleep_until(at).await;
}
