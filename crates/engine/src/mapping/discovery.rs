//! Finds a mapping's source and follows its set of shards, for as long as the mapping runs.

use super::supervisor::MappingMsg;
use crate::context::Context;
use crate::task::Owned;
use millstream_core::restart::{RestartPolicy, Restarts};
use millstream_ports::{QueueAttributes, QueueSource, SourceError, StreamSource};
use millstream_types::{Mapping, ShardId, ShardInfo};
use ractor::ActorRef;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How often the settings of a queue are asked for.
const ATTRIBUTES_EVERY: Duration = Duration::from_secs(60);

/// What was found out.
pub(crate) struct Discovered {
    pub(crate) source: Source,
    /// Of a stream.
    pub(crate) shards: Vec<ShardInfo>,
}

/// What a mapping reads.
#[derive(Clone)]
pub(crate) enum Source {
    /// A stream.
    Stream(Arc<dyn StreamSource>),
    /// A queue, with its settings as they were last.
    Queue(Arc<dyn QueueSource>, QueueAttributes),
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
    if mapping.spec.source.kind().is_queue() {
        return follow_queue(context, mapping, supervisor, restarts).await;
    }
    let source = context
        .ports
        .sources
        .stream(&mapping.namespace, &mapping.spec.source)
        .await?;
    loop {
        let shards = source.shards().await?;
        *restarts = Restarts::new(RestartPolicy::default(), context.now().mono);
        let found = Discovered {
            source: Source::Stream(source.clone()),
            shards,
        };
        if supervisor.cast(MappingMsg::Discovered(Ok(found))).is_err() {
            return Ok(());
        }
        source.shards_changed().await;
    }
}

/// The same for a queue, which has no shards: its settings may change.
async fn follow_queue(
    context: &Context,
    mapping: &Mapping,
    supervisor: &ActorRef<MappingMsg>,
    restarts: &mut Restarts,
) -> Result<(), SourceError> {
    loop {
        let queue = context
            .ports
            .sources
            .queue(&mapping.namespace, &mapping.spec.source)
            .await?;
        let attributes = queue.attributes().await?;
        *restarts = Restarts::new(RestartPolicy::default(), context.now().mono);
        let found = Discovered {
            source: Source::Queue(queue, attributes),
            shards: Vec::new(),
        };
        if supervisor.cast(MappingMsg::Discovered(Ok(found))).is_err() {
            return Ok(());
        }
        let again = context.now().mono.plus(ATTRIBUTES_EVERY);
        context.ports.clock.sleep_until(again).await;
    }
}

async fn pause(context: &Context, restarts: &mut Restarts) {
    let at = restarts.on_failure(context.now().mono, context.jitter());
    context.ports.clock.sleep_until(at).await;
}
