//! What the server does not take on.

use crate::fakes::{World, new_mapping, reason};
use bytes::Bytes;
use millstream_api::v1;
use millstream_control::{ControlOptions, ServeError};
use tonic::Code;

#[tokio::test]
async fn too_large_a_message_is_refused() {
    let w = World::start().await;
    let mut large = new_mapping("m");
    large.mapping.as_mut().unwrap().source_arn = "x".repeat(4 * 1024 * 1024);
    let mut mappings = w.mappings().max_encoding_message_size(usize::MAX);
    assert_eq!(
        mappings.create_mapping(large).await.unwrap_err().code(),
        Code::OutOfRange
    );

    let put = |bytes: usize| v1::PutRecordsRequest {
        stream: "namespaces/default/streams/orders".into(),
        records: vec![v1::PutRecordsEntry {
            partition_key: "k".into(),
            data: Bytes::from(vec![0; bytes]),
            ..Default::default()
        }],
    };
    assert_eq!(
        w.streams()
            .put_records(put(13 * 1024 * 1024))
            .await
            .unwrap_err()
            .code(),
        Code::OutOfRange
    );
    w.streams().put_records(put(10 * 1024 * 1024)).await.unwrap();
}

#[tokio::test]
async fn one_watch_too_many_is_refused_until_another_ends() {
    let w = World::with(|o| o.limits.watches = 1).await;
    let request = || v1::WatchMappingsRequest {
        parent: "namespaces/default".into(),
    };
    let first = w.mappings().watch_mappings(request()).await.unwrap();
    let refused = w.mappings().watch_mappings(request()).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::ResourceExhausted, "OVERLOADED")
    );
    drop(first);
    // The server learns of the end of the first a moment later.
    while w.mappings().watch_mappings(request()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_loopback_is_served() {
    let w = World::start().await;
    let address = w.server.local_addr();
    assert!(address.ip().is_loopback() && address.port() != 0);
    let services = || millstream_control::ControlServices {
        manager: w.manager.clone(),
        streams: w.outside.clone(),
        queues: w.broker.clone(),
    };
    for outside in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7400"] {
        let options = ControlOptions::new(outside.parse().unwrap());
        let refused = millstream_control::serve(options, services(), Default::default())
            .await
            .unwrap_err();
        assert!(matches!(refused, ServeError::NotLoopback(_)), "{refused}");
    }
    let taken = millstream_control::serve(ControlOptions::new(address), services(), Default::default()).await;
    assert!(matches!(taken, Err(ServeError::Bind { .. })));
}
