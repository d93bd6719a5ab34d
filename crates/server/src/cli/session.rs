//! One connection to the server, with what all commands share: namespace, deadline, output.

use super::error::{CliError, exit};
use super::names::{self, Kind};
use super::output::{Format, Screen};
use crate::units;
use clap::Args;
use millstream_api::MAX_PAYLOAD_MESSAGE_BYTES;
use millstream_api::v1;
use std::time::Duration;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use tonic_health::pb::health_client::HealthClient;
use v1::discard_service_client::DiscardServiceClient;
use v1::function_service_client::FunctionServiceClient;
use v1::ledger_service_client::LedgerServiceClient;
use v1::mapping_service_client::MappingServiceClient;
use v1::queue_service_client::QueueServiceClient;
use v1::stream_service_client::StreamServiceClient;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const HEADING: &str = "Server and output";

/// Options of every command that talks to a server.
#[derive(Args, Clone, Debug)]
pub(crate) struct SessionArgs {
    /// The server's gRPC address.
    #[arg(long, global = true, env = "MILLSTREAM_SERVER", default_value = "127.0.0.1:7400", value_name = "HOST:PORT", help_heading = HEADING)]
    server: String,
    /// The namespace of all names that do not say theirs.
    #[arg(short, long, global = true, env = "MILLSTREAM_NAMESPACE", default_value = "default", help_heading = HEADING)]
    namespace: String,
    /// How long one request may take [default: 10s; `function invoke`: as long as a function may].
    #[arg(long, global = true, env = "MILLSTREAM_REQUEST_TIMEOUT", value_parser = units::duration, value_name = "DURATION", help_heading = HEADING)]
    request_timeout: Option<Duration>,
    /// The form of the output.
    #[arg(short, long, global = true, value_enum, default_value = "table", help_heading = HEADING)]
    output: Format,
    /// Print no remarks, and no sentence where success says enough.
    #[arg(short, long, global = true, help_heading = HEADING)]
    quiet: bool,
}

impl SessionArgs {
    /// Those of a command without options, to the server at `address`.
    pub(crate) fn at(address: &str) -> Self {
        Self {
            server: address.to_owned(),
            namespace: "default".to_owned(),
            request_timeout: None,
            output: Format::Table,
            quiet: false,
        }
    }

    /// The namespace of names that do not say theirs.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// What a command works with.
pub(crate) struct Session {
    /// Where output goes.
    pub(crate) screen: Screen,
    channel: Channel,
    namespace: String,
    timeout: Option<Duration>,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// If the address makes no sense or nobody answers there.
    pub(crate) async fn open(args: &SessionArgs) -> Result<Self, CliError> {
        let address = args.server.strip_prefix("http://").unwrap_or(&args.server);
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|e| {
            CliError::usage(
                format!("'{address}' is not an address: {e}"),
                "write HOST:PORT, e.g. 127.0.0.1:7400",
            )
        })?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        let channel = endpoint.connect().await.map_err(|e| CliError::Other {
            code: exit::UNAVAILABLE,
            reason: "UNAVAILABLE",
            message: format!("no server answers at {address} ({})", root_cause(&e)),
            next: "start one with `millstream server`, or name another with --server or MILLSTREAM_SERVER"
                .to_owned(),
        })?;
        Ok(Self {
            screen: Screen::new(args.output, args.quiet),
            channel,
            namespace: args.namespace.clone(),
            timeout: args.request_timeout,
        })
    }

    /// The namespace of names that do not say theirs.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `namespaces/{namespace}`.
    pub(crate) fn parent(&self) -> String {
        names::parent(&self.namespace)
    }

    /// The resource name of `id`.
    ///
    /// # Errors
    /// As [`names::resource`].
    pub(crate) fn name(&self, kind: Kind, id: &str) -> Result<String, CliError> {
        names::resource(&self.namespace, kind, id)
    }

    /// A request with the usual deadline.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        self.request_within(message, Duration::from_secs(10))
    }

    /// A request with this deadline unless another was asked for.
    pub(crate) fn request_within<T>(&self, message: T, default: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout.unwrap_or(default));
        request
    }

    /// Asks for health, as probes do.
    pub(crate) fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel.clone())
    }

    /// Calls mappings.
    pub(crate) fn mappings(&self) -> MappingServiceClient<Channel> {
        MappingServiceClient::new(self.channel.clone())
    }

    /// Calls functions.
    pub(crate) fn functions(&self) -> FunctionServiceClient<Channel> {
        FunctionServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
    }

    /// Calls streams.
    pub(crate) fn streams(&self) -> StreamServiceClient<Channel> {
        StreamServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
    }

    /// Calls queues.
    pub(crate) fn queues(&self) -> QueueServiceClient<Channel> {
        QueueServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
    }

    /// Calls the ledger.
    pub(crate) fn ledger(&self) -> LedgerServiceClient<Channel> {
        LedgerServiceClient::new(self.channel.clone())
    }

    /// Calls discards.
    pub(crate) fn discards(&self) -> DiscardServiceClient<Channel> {
        DiscardServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_PAYLOAD_MESSAGE_BYTES)
    }
}

fn root_cause(e: &dyn std::error::Error) -> String {
    let mut cause = e;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
