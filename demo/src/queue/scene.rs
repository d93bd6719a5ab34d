//! Makes the queues, their dead-letter queues, their functions and their mappings.

use super::QueueScene;
use crate::client::{Client, NAMESPACE};
use crate::error::DemoError;
use crate::scene::{Function, create_function, create_mapping};
use millstream_api::v1;

/// How long a received message stays hidden. After a crash what was in flight comes back only when this is over; it
/// may not be shorter than the function's timeout.
pub(crate) const VISIBILITY_SECONDS: i32 = 5;

/// How often a message is received before it goes to the dead-letter queue: a message that the crash interrupted has
/// another chance, and one to spare.
pub(crate) const RECEIVES: i32 = 3;

/// Batches of a queue in flight at once, and processes of its function: nothing is ever throttled.
const CONCURRENCY: i32 = 5;

/// Makes one queue and all that belongs to it.
pub(crate) async fn set(client: &Client, scene: &QueueScene, function: &Function) -> Result<(), DemoError> {
    create_queue(client, scene.dead_letters, None).await?;
    let policy = v1::RedrivePolicy {
        dead_letter_queue: scene.dead_letters.to_owned(),
        max_receive_count: RECEIVES,
    };
    let queue = create_queue(client, scene.queue, Some(policy)).await?;
    let timeout = prost_types::Duration {
        seconds: VISIBILITY_SECONDS.into(),
        nanos: 0,
    };
    create_function(client, function, CONCURRENCY, Some(timeout)).await?;
    create_mapping(client, scene.function, mapping(scene.function, queue.arn)).await
}

async fn create_queue(
    client: &Client,
    id: &str,
    redrive_policy: Option<v1::RedrivePolicy>,
) -> Result<v1::Queue, DemoError> {
    let request = v1::CreateQueueRequest {
        parent: NAMESPACE.to_owned(),
        queue_id: id.to_owned(),
        queue: Some(v1::Queue {
            visibility_timeout_seconds: Some(VISIBILITY_SECONDS),
            redrive_policy,
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = client.queues.clone().create_queue(request).await;
    Ok(answer.map_err(DemoError::call("CreateQueue"))?.into_inner())
}

/// Batches of up to 10. What a function lists comes again when it is visible again; the rest of the batch is done.
fn mapping(function: &str, source_arn: String) -> v1::Mapping {
    v1::Mapping {
        source_arn,
        function: function.to_owned(),
        function_response_types: vec![v1::FunctionResponseType::ReportBatchItemFailures.into()],
        scaling_config: Some(v1::ScalingConfig {
            maximum_concurrency: Some(CONCURRENCY),
        }),
        ..Default::default()
    }
}
