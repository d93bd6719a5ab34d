//! Failure documents go to queues, topics and buckets of a server that nobody here wrote, and are read with AWS's own
//! clients.

use crate::ministack::{ACCOUNT, Ministack};
use bytes::Bytes;
use millstream_ports::{DeliverError, Delivery, Destination, Destinations};
use millstream_sources::{AwsDestinations, Connector};
use millstream_types::durable::OutboxEntry;
use millstream_types::ids::DiscardId;
use millstream_types::{DestinationArn, MappingId, Namespace};
use std::sync::Arc;

const DOCUMENT: &str = r#"{"version":"1.0","timestamp":"2026-02-03T04:05:06.789Z","text":"ü \"quoted\""}"#;

fn entry(destination: &str) -> OutboxEntry {
    OutboxEntry {
        discard: DiscardId::from_random(1),
        namespace: Namespace::default(),
        mapping: MappingId::from_random(2),
        destination: destination.parse().unwrap(),
        partition_key: "shardId-000000000003".to_owned(),
        document: Bytes::from_static(DOCUMENT.as_bytes()),
    }
}

struct Rig {
    _server: Ministack,
    connector: Arc<Connector>,
    all: AwsDestinations,
    sqs: aws_sdk_sqs::Client,
}

impl Rig {
    fn start() -> Self {
        let server = Ministack::start();
        let connector = server.everything();
        Self {
            all: AwsDestinations::new(Arc::clone(&connector)),
            sqs: aws_sdk_sqs::Client::new(&connector.config_of(&queue_arn("any"), None).unwrap()),
            connector,
            _server: server,
        }
    }

    async fn find(&self, arn: &str) -> Result<Arc<dyn Destination>, DeliverError> {
        let arn: DestinationArn = arn.parse().unwrap();
        assert!(self.all.serves(&arn), "{arn}");
        self.all.destination(&Namespace::default(), &arn).await
    }

    async fn deliver(&self, arn: &str) -> Result<Delivery, DeliverError> {
        self.find(arn).await?.deliver(&entry(arn)).await
    }

    async fn create_queue(&self, name: &str) -> String {
        let made = self.sqs.create_queue().queue_name(name).send().await.unwrap();
        made.queue_url.unwrap()
    }

    /// The bodies of what is in a queue.
    async fn bodies(&self, url: &str) -> Vec<String> {
        let asked = self
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10);
        let got = asked.wait_time_seconds(5).send().await.unwrap();
        let messages = got.messages.unwrap_or_default();
        messages.into_iter().map(|m| m.body.unwrap_or_default()).collect()
    }
}

fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{name}")
}

fn is_refusal(found: Result<Delivery, DeliverError>, part: &str) {
    match found {
        Err(e @ DeliverError::Refused { .. }) => assert!(e.to_string().contains(part), "{e}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_queue_takes_documents_is_gone_and_is_found_again() {
    let rig = Rig::start();
    let arn = queue_arn("failed");
    is_refusal(rig.deliver(&arn).await, "GetQueueUrl: ");
    let url = rig.create_queue("failed").await;
    assert!(!rig.find(&arn).await.unwrap().wants_payload());
    assert_eq!(rig.deliver(&arn).await, Ok(Delivery::Delivered));
    assert_eq!(rig.bodies(&url).await, [DOCUMENT]);

    rig.sqs.delete_queue().queue_url(&url).send().await.unwrap();
    is_refusal(rig.deliver(&arn).await, "SendMessage: ");
    is_refusal(rig.deliver(&arn).await, "GetQueueUrl: ");
    let url = rig.create_queue("failed").await;
    assert_eq!(rig.deliver(&arn).await, Ok(Delivery::Delivered));
    assert_eq!(rig.bodies(&url).await, [DOCUMENT]);
}

#[tokio::test]
async fn a_topic_takes_documents_for_its_subscribers() {
    let rig = Rig::start();
    let arn = format!("arn:aws:sns:us-east-1:{ACCOUNT}:failed");
    is_refusal(rig.deliver(&arn).await, "NotFound");
    let sns = aws_sdk_sns::Client::new(&rig.connector.config_of(&arn, None).unwrap());
    let url = rig.create_queue("heard").await;
    sns.create_topic().name("failed").send().await.unwrap();
    let subscription = sns
        .subscribe()
        .topic_arn(&arn)
        .protocol("sqs")
        .endpoint(queue_arn("heard"));
    let subscription = subscription.attributes("RawMessageDelivery", "true");
    subscription.send().await.unwrap();
    assert!(!rig.find(&arn).await.unwrap().wants_payload());
    assert_eq!(rig.deliver(&arn).await, Ok(Delivery::Delivered));
    assert_eq!(rig.bodies(&url).await, [DOCUMENT]);
}

#[tokio::test]
async fn a_bucket_has_a_document_once_however_often_it_comes() {
    let rig = Rig::start();
    let arn = "arn:aws:s3:::failed-orders";
    is_refusal(rig.deliver(arn).await, "there is no such bucket");
    let config = rig.connector.config_of(arn, None).unwrap();
    let config = aws_sdk_s3::config::Builder::from(&config)
        .force_path_style(true)
        .build();
    let s3 = aws_sdk_s3::Client::from_conf(config);
    s3.create_bucket().bucket("failed-orders").send().await.unwrap();
    assert!(rig.find(arn).await.unwrap().wants_payload());
    for _ in 0..2 {
        assert_eq!(rig.deliver(arn).await, Ok(Delivery::Delivered));
    }
    let listed = s3.list_objects_v2().bucket("failed-orders").send().await.unwrap();
    let keys: Vec<&str> = listed.contents().iter().filter_map(|o| o.key()).collect();
    let (mapping, discard) = (MappingId::from_random(2), DiscardId::from_random(1));
    let key = format!("aws/lambda/{mapping}/shardId-000000000003/2026/02/03/2026-02-03T04.05.06-{discard}");
    assert_eq!(keys, [key.as_str()]);
    let object = s3
        .get_object()
        .bucket("failed-orders")
        .key(&key)
        .send()
        .await
        .unwrap();
    assert_eq!(object.content_type(), Some("application/octet-stream"));
    let body = object.body.collect().await.unwrap().into_bytes();
    assert_eq!(body, DOCUMENT);
}
