//! Compiles `proto/` without a `protoc` binary: protox parses, tonic-prost-build generates.

use prost::Message as _;
use std::path::PathBuf;

const FILES: [&str; 6] = [
    "millstream/v1/applied.proto",
    "millstream/v1/function.proto",
    "millstream/v1/ledger.proto",
    "millstream/v1/mapping.proto",
    "millstream/v1/queue.proto",
    "millstream/v1/stream.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(FILES, [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("millstream_descriptor.bin"), descriptors.encode_to_vec())?;
    // Payloads are passed on without a copy.
    tonic_prost_build::configure()
        .bytes(".millstream.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
