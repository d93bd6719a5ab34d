//! The gRPC API as Rust code, generated from `proto/` at build time: messages, clients and servers.
//!
//! Kept apart from `control` so that clients (the CLI, tests) need nothing of the engine.

/// Package `millstream.v1`. The `.proto` files in `proto/millstream/v1` document every field.
pub mod v1 {
    #![allow(clippy::all, clippy::pedantic, missing_docs, rustdoc::all)]
    tonic::include_proto!("millstream.v1");
}

/// The descriptors of every file of the API and of what it imports, encoded as a
/// `google.protobuf.FileDescriptorSet`; what server reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/millstream_descriptor.bin"));

/// Largest message that carries payloads, in bytes: a put of 10 MiB and its frame. Clients of `StreamService`,
/// `FunctionService` and `DiscardService` set it as their limit too; all other messages have tonic's 4 MiB.
pub const MAX_PAYLOAD_MESSAGE_BYTES: usize = 12 * 1024 * 1024;
