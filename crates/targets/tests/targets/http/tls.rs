//! Servers over TLS, with an authority made for the test.

use super::server::{Server, serve};
use super::{HttpOptions, event, invoker, returned, try_invoker, unreachable};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::io::Write;
use std::sync::Arc;
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

/// A server with a certificate for `name`, and the file of its authority.
async fn encrypted(name: &str) -> (Server, NamedTempFile) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &ca).unwrap();

    let mut file = NamedTempFile::new().unwrap();
    file.write_all(ca.pem().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let echo = |request: &hyper::Request<Bytes>| Response::new(Full::new(request.body().clone()));
                serve(TokioIo::new(stream), Arc::new(echo)).await;
            }
        }
    })
    .await;
    (server, file)
}

fn trusting(file: &NamedTempFile) -> HttpOptions {
    HttpOptions {
        ca_file: Some(file.path().to_owned()),
        ..HttpOptions::default()
    }
}

#[tokio::test]
async fn a_server_with_a_trusted_certificate_is_called() {
    for name in ["localhost", "127.0.0.1"] {
        let (server, authority) = encrypted(name).await;
        let url = format!("https://{name}:{}/", server.addr.port());
        let invoker = try_invoker(&url, trusting(&authority)).unwrap();
        for _ in 0..3 {
            assert_eq!(invoker.invoke(event("{}")).await, returned("{}"));
        }
        assert_eq!(server.accepted(), 1);
        let long = invoker.invoke(super::event_of(5_000_000)).await;
        assert!(matches!(long, millstream_types::Outcome::Response(body) if body.len() == 5_000_000));
    }
}

#[tokio::test]
async fn a_certificate_of_nobody_known_or_for_another_name_is_refused() {
    let (server, authority) = encrypted("localhost").await;
    let (_, other) = encrypted("localhost").await;
    let port = server.addr.port();
    for (url, options, part) in [
        (
            format!("https://localhost:{port}/"),
            trusting(&other),
            "invalid peer certificate",
        ),
        (
            format!("https://127.0.0.1:{port}/"),
            trusting(&authority),
            "not valid for",
        ),
    ] {
        let reason = unreachable(try_invoker(&url, options).unwrap().invoke(event("{}")).await);
        assert!(reason.contains("TLS") && reason.contains(part), "{reason}");
    }
}

#[tokio::test]
async fn both_sides_must_speak_tls() {
    let (server, authority) = encrypted("localhost").await;
    let plain = Server::hyper(|_| Response::new(Full::default())).await;
    let url = format!("https://localhost:{}/", plain.addr.port());
    let reason = unreachable(
        try_invoker(&url, trusting(&authority))
            .unwrap()
            .invoke(event("{}"))
            .await,
    );
    assert!(reason.contains("TLS"), "{reason}");
    // An alert of TLS is no HTTP, and the server may close without one.
    let outcome = invoker(&server.url("/")).invoke(event("{}")).await;
    assert!(
        matches!(outcome, millstream_types::Outcome::FunctionError(_)),
        "{outcome:?}"
    );
}

#[test]
fn a_file_of_authorities_that_is_none_is_refused_with_its_name() {
    let empty = NamedTempFile::new().unwrap();
    let missing = HttpOptions {
        ca_file: Some("/no/such/file.pem".into()),
        ..HttpOptions::default()
    };
    for (options, name) in [
        (trusting(&empty), empty.path().to_str().unwrap()),
        (missing, "/no/such/file.pem"),
    ] {
        let refusal = try_invoker("https://localhost/", options.clone()).err().unwrap();
        assert!(refusal.contains(name), "{refusal}");
        assert!(
            try_invoker("http://localhost/", options).is_ok(),
            "who needs no TLS needs no authority"
        );
    }
}
