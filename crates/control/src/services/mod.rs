//! The tonic services, one file each, with their message limits.

mod discard;
mod function;
mod ledger;
mod mapping;
mod queue;
mod stream;
mod watch;

use crate::ControlServices;
use millstream_api::{MAX_PAYLOAD_MESSAGE_BYTES, v1};
use tonic::service::Routes;

/// Largest message of services without payloads.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// All services of the API.
pub(crate) fn routes(services: ControlServices) -> Routes {
    let ControlServices {
        manager,
        streams,
        queues,
    } = services;
    let mappings = v1::mapping_service_server::MappingServiceServer::new(mapping::Mappings(manager.clone()))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let functions =
        v1::function_service_server::FunctionServiceServer::new(function::Functions(manager.clone()))
            .max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES);
    let streams = v1::stream_service_server::StreamServiceServer::new(stream::BrokerStreams(streams))
        .max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES);
    let queues = v1::queue_service_server::QueueServiceServer::new(queue::BrokerQueues(queues))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES);
    let ledger = v1::ledger_service_server::LedgerServiceServer::new(ledger::Ledger(manager.clone()))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let discards = v1::discard_service_server::DiscardServiceServer::new(discard::Discards(manager))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES);
    Routes::new(mappings)
        .add_service(functions)
        .add_service(streams)
        .add_service(queues)
        .add_service(ledger)
        .add_service(discards)
}
