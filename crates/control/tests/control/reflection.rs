//! Reflection and health, as generic clients use them.

use crate::fakes::World;
use std::collections::BTreeSet;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const SERVICES: [&str; 6] = [
    "millstream.v1.DiscardService",
    "millstream.v1.FunctionService",
    "millstream.v1.LedgerService",
    "millstream.v1.MappingService",
    "millstream.v1.QueueService",
    "millstream.v1.StreamService",
];

macro_rules! list_services {
    ($pb:path, $channel:expr) => {{
        use $pb as pb;
        let request = pb::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(pb::server_reflection_request::MessageRequest::ListServices(
                String::new(),
            )),
        };
        let mut client = pb::server_reflection_client::ServerReflectionClient::new($channel);
        let once = futures::stream::iter([request]);
        let mut answers = client.server_reflection_info(once).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response;
        let Some(pb::server_reflection_response::MessageResponse::ListServicesResponse(list)) = answer else {
            panic!("{answer:?}")
        };
        list.service.into_iter().map(|s| s.name).collect::<BTreeSet<_>>()
    }};
}

#[tokio::test]
async fn both_versions_of_reflection_list_every_service() {
    let w = World::start().await;
    for names in [
        list_services!(tonic_reflection::pb::v1, w.channel.clone()),
        list_services!(tonic_reflection::pb::v1alpha, w.channel.clone()),
    ] {
        for service in SERVICES {
            assert!(names.contains(service), "{service} is not in {names:?}");
        }
    }
}

#[tokio::test]
async fn health_is_told_per_service_and_turns_at_shutdown() {
    let w = World::start().await;
    let mut client = HealthClient::new(w.channel.clone());
    for service in SERVICES.into_iter().chain([""]) {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let status = client.check(request).await.unwrap().into_inner().status;
        assert_eq!(status, ServingStatus::Serving as i32, "{service}");
    }
    let request = HealthCheckRequest {
        service: "nobody".into(),
    };
    assert_eq!(
        client.check(request).await.unwrap_err().code(),
        tonic::Code::NotFound
    );
}
