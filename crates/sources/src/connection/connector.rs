//! From a connection to what a client of the SDK is configured with.

use super::credentials::Provider;
use super::settings::{Connection, Connections, is_region};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use millstream_ports::SourceError;
use millstream_types::SourceArn;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer may take to begin: longer than the longest poll, which is 20 seconds.
pub const READ_TIMEOUT: Duration = Duration::from_secs(25);
/// How long one operation may take, its retries included. Clients have shorter ones of their own where they can.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);
/// How often an operation is tried, the first time included. Beyond that the engine tries again by rules of its own.
pub const MAX_ATTEMPTS: u32 = 3;
/// How long between two of these tries at most.
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// Most configurations that are kept: one for each pair of a connection and a region.
const MAX_KEPT: usize = 256;

/// Makes configurations of clients, one for each connection and region, and keeps them: what is made of the same one
/// shares connections and credentials.
#[derive(Debug)]
pub struct Connector {
    connections: Connections,
    http: SharedHttpClient,
    https: SharedHttpClient,
    made: Mutex<BTreeMap<(usize, String), SdkConfig>>,
}

impl Connector {
    /// A connector of these connections. Asks nobody anything.
    #[must_use]
    pub fn new(connections: Connections) -> Self {
        let ring = tls::Provider::Rustls(CryptoMode::Ring);
        Self {
            connections,
            http: aws_smithy_http_client::Builder::new().build_http(),
            // Certificates are loaded with the first client that uses it.
            https: aws_smithy_http_client::Builder::new()
                .tls_provider(ring)
                .build_https(),
            made: Mutex::default(),
        }
    }

    /// Its connections.
    #[must_use]
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Whether a connection serves `arn`.
    #[must_use]
    pub fn serves(&self, arn: &SourceArn) -> bool {
        self.connections.find(arn.as_str()).is_some()
    }

    /// The configuration for what `arn` names: region, endpoint, credentials, retries and time-outs are set. Clients of
    /// any service can be made of it.
    ///
    /// # Errors
    /// [`SourceError::NotServed`] if no connection serves it; [`SourceError::Refused`] if its region cannot be one.
    pub fn config(&self, arn: &SourceArn) -> Result<SdkConfig, SourceError> {
        self.config_of(arn.as_str(), Some(arn.region()))
    }

    /// The same for what is no source: a function, a topic, a bucket. `region` is that of the ARN, if it has one.
    ///
    /// # Errors
    /// As [`Connector::config`]; [`SourceError::Refused`] too if neither connection nor ARN has a region.
    pub fn config_of(&self, arn: &str, region: Option<&str>) -> Result<SdkConfig, SourceError> {
        let not_served = || SourceError::NotServed(arn.to_owned());
        let (index, connection) = self.connections.find(arn).ok_or_else(not_served)?;
        let no_region = || {
            SourceError::Refused(format!(
                "neither {arn} nor its connection names a region: set `region` of the connection {}",
                connection.pattern()
            ))
        };
        let region = connection.region.as_deref().or(region).ok_or_else(no_region)?;
        if !is_region(region) {
            return Err(SourceError::Refused(format!(
                "'{region}' in {arn} is no region of AWS"
            )));
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (index, region.to_owned());
        if let Some(config) = made.get(&key) {
            return Ok(config.clone());
        }
        if made.len() >= MAX_KEPT {
            // What is in use is kept by whoever uses it.
            made.pop_first();
        }
        let config = self.make(connection, region);
        made.insert(key, config.clone());
        Ok(config)
    }

    fn make(&self, connection: &Connection, region: &str) -> SdkConfig {
        let region = Region::new(region.to_owned());
        let plain = connection.endpoint.as_ref().is_some_and(|e| !e.is_https());
        let http = if plain { &self.http } else { &self.https };
        let (retries, timeouts) = (retries(), timeouts());
        // Credentials may come from a service that is reached by TLS however this one is.
        let around = ProviderConfig::without_region()
            .with_http_client(self.https.clone())
            .with_retry_config(retries.clone())
            .with_timeout_config(timeouts.clone());
        let credentials = Provider::new(connection.credentials.clone(), around, region.clone());
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region)
            .http_client(http.clone())
            .retry_config(retries)
            .timeout_config(timeouts)
            .identity_cache(aws_config::identity::IdentityCache::lazy().build())
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        config.set_app_name(AppName::new("millstream").ok());
        config.set_endpoint_url(connection.endpoint.as_ref().map(|e| e.url().to_owned()));
        config.build()
    }
}

fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(MAX_ATTEMPTS)
        .with_max_backoff(MAX_BACKOFF)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

#[cfg(test)]
mod tests {
    use super::super::settings::ConnectionSettings;
    use super::*;

    fn connector() -> Connector {
        let list = [
            ConnectionSettings {
                pattern: "arn:aws:sqs:*:123456789012:*".into(),
                region: Some("us-west-2".into()),
                endpoint_url: Some("http://127.0.0.1:4566".into()),
                credentials: Some("env:ORDERS".into()),
            },
            ConnectionSettings {
                pattern: "arn:aws:kinesis:*".into(),
                ..ConnectionSettings::default()
            },
        ];
        Connector::new(Connections::read(&list).unwrap())
    }

    fn config(arn: &str) -> Result<SdkConfig, SourceError> {
        connector().config(&arn.parse().unwrap())
    }

    #[test]
    fn region_and_endpoint_are_those_of_the_connection_or_of_the_arn() {
        let found = config("arn:aws:sqs:eu-west-1:123456789012:orders").unwrap();
        assert_eq!(found.region().map(Region::as_ref), Some("us-west-2"));
        assert_eq!(found.endpoint_url(), Some("http://127.0.0.1:4566"));
        let found = config("arn:aws:kinesis:eu-west-1:123456789012:stream/s").unwrap();
        assert_eq!(found.region().map(Region::as_ref), Some("eu-west-1"));
        assert_eq!(found.endpoint_url(), None);
        let timeouts = found.timeout_config().unwrap();
        assert!(timeouts.read_timeout().unwrap() > Duration::from_secs(20));
        assert_eq!(found.retry_config().unwrap().max_attempts(), MAX_ATTEMPTS);
    }

    #[test]
    fn what_no_connection_serves_is_told_with_what_to_do() {
        let e = config("arn:aws:sqs:eu-west-1:999999999999:orders").unwrap_err();
        assert!(matches!(e, SourceError::NotServed(_)));
        assert!(e.to_string().contains("`connections`"), "{e}");
        let e = config("arn:aws:kinesis:evil.example/:123456789012:stream/s").unwrap_err();
        assert!(matches!(e, SourceError::Refused(_)), "{e}");
    }

    #[test]
    fn one_configuration_for_each_connection_and_region() {
        let connector = connector();
        for n in 0..MAX_KEPT + 10 {
            let arn = format!("arn:aws:kinesis:r-{n}:123456789012:stream/s")
                .parse()
                .unwrap();
            connector.config(&arn).unwrap();
            connector.config(&arn).unwrap();
        }
        assert_eq!(connector.made.lock().unwrap().len(), MAX_KEPT);
    }
}
