//! Whom to trust, for `https`.

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::TlsConnector;

/// Reads the authorities that are trusted when the first function needs them.
#[derive(Default)]
pub(crate) struct Tls {
    ca_file: Option<PathBuf>,
    connector: Mutex<Option<TlsConnector>>,
}

impl Tls {
    /// Trusts the authorities of `ca_file` besides the system's.
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            connector: Mutex::default(),
        }
    }

    /// What makes a connection an encrypted one.
    ///
    /// # Errors
    /// If there is nobody to trust; the text says what to do.
    pub(super) fn connector(&self) -> Result<TlsConnector, String> {
        let mut made = self.connector.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = &*made {
            return Ok(connector.clone());
        }
        let connector = TlsConnector::from(Arc::new(self.config()?));
        Ok(made.insert(connector).clone())
    }

    fn config(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "an authority of the system cannot be read");
        }
        roots.add_parsable_certificates(system.certs);
        if let Some(path) = &self.ca_file {
            let read = rustls_native_certs::load_certs_from_paths(Some(path), None);
            let name = path.display();
            if let Some(error) = read.errors.first() {
                return Err(format!("the file of authorities {name} cannot be read: {error}"));
            }
            let (added, _) = roots.add_parsable_certificates(read.certs);
            if added == 0 {
                return Err(format!("the file of authorities {name} holds no PEM certificate"));
            }
        }
        if roots.is_empty() {
            return Err(
                "this system trusts no authority, so no https function can be called: install its package \
                        of CA certificates, or name a file of authorities in the server's configuration"
                    .to_owned(),
            );
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
