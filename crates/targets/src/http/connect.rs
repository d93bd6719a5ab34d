//! Makes connections to one function's server.

use super::link::Link;
use super::reach::HttpReach;
use rustls::pki_types::ServerName;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Where one function's server is, and how to get there.
pub(super) struct Endpoint {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(super) reach: HttpReach,
    /// Longest time for all of it.
    pub(super) wait: Duration,
}

impl Endpoint {
    /// A new connection.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(super) async fn connect(&self) -> Result<Link, String> {
        match timeout(self.wait, self.try_connect()).await {
            Ok(made) => made,
            Err(_elapsed) => Err(self.failed(format_args!("no connection within {:?}", self.wait))),
        }
    }

    async fn try_connect(&self) -> Result<Link, String> {
        let stream = self.reach_server().await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch Nagle's algorithm off");
        }
        let link = match &self.tls {
            None => Link::new(stream).await,
            Some((connector, name)) => {
                let encrypted = connector.connect(name.clone(), stream).await;
                Link::new(encrypted.map_err(|error| self.failed(format_args!("TLS: {error}")))?).await
            }
        };
        link.map_err(|error| self.failed(error))
    }

    /// Tries the addresses in their order; each gets its share of the time that is left.
    async fn reach_server(&self) -> Result<TcpStream, String> {
        let until = Instant::now() + self.wait;
        let addresses = self.addresses().await?;
        let mut why = String::new();
        for (i, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
            let share = until.saturating_duration_since(Instant::now()) / left;
            why = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => format!("{address}: {error}"),
                Err(_elapsed) => format!("{address}: no answer within {share:?}"),
            };
        }
        Err(self.failed(why))
    }

    /// The addresses that may be connected to, at least one.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let found = lookup_host((self.host.as_str(), self.port)).await;
        let found =
            found.map_err(|error| self.failed(format_args!("its name cannot be looked up: {error}")))?;
        let (mut allowed, mut refused) = (Vec::new(), None);
        for address in found {
            match self.reach.check(address.ip()) {
                Ok(()) if allowed.len() < MAX_ADDRESSES => allowed.push(address),
                Ok(()) => {}
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        if allowed.is_empty() {
            let why = refused.unwrap_or_else(|| "its name has no address".to_owned());
            return Err(self.failed(why));
        }
        Ok(allowed)
    }

    fn failed(&self, why: impl fmt::Display) -> String {
        format!("cannot connect to {}:{}: {why}", self.host, self.port)
    }
}
