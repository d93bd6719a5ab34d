//! Functions as HTTP servers: each event is the body of a POST, a 2xx answer's body is what the function returns.
//!
//! What an exchange ends as follows one rule: **it counts as an attempt if the server was given the whole request
//! and no answer says that it did not run it.**
//!
//! | what happened | outcome |
//! |---|---|
//! | 2xx | the body is the response, at most 6,291,556 bytes |
//! | 429, 503 | throttled, for as long as `Retry-After` says (at most a minute) |
//! | 3xx | function error: a redirect is never followed |
//! | any other status | function error with the status and the beginning of the body |
//! | no address, refused, no TLS, closed before it had the whole request | unreachable |
//! | closed after it had the whole request, before or in its answer | function error: the code may have run |
//! | the same on a connection that was used before, without a byte of an answer | sent again on a new one, once |
//! | no complete answer in time | timeout; the connection is closed, which is all a client can do to stop a server |
//!
//! The one time it is sent again is for servers that close idle connections: that close and our request may pass
//! each other on the way. The request is the same then, idempotency key and attempt included.
//!
//! The addresses of a name are looked up and checked for every new connection, and it is the checked address that
//! is connected to ([`reach`]). No proxy is ever used, and no redirect followed, so nothing leads around that.
//! Connections are kept while they are in use ([`idle`]), but not for ever, so that a name that moves is noticed.

mod answer;
mod broken;
mod connect;
mod idle;
mod invoker;
mod link;
mod metered;
mod reach;
mod tls;

pub(crate) use invoker::HttpInvoker;
pub use reach::HttpReach;
pub(crate) use tls::Tls;

use std::path::PathBuf;
use std::time::Duration;

/// How http functions are reached. The defaults suit everybody but tests and closed networks.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Which addresses may be connected to.
    pub reach: HttpReach,
    /// A file of PEM certificates of authorities that are trusted besides the system's, for `https`.
    pub ca_file: Option<PathBuf>,
    /// Longest time from looking up a name to a connection that can be used.
    pub connect_wait: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            reach: HttpReach::default(),
            ca_file: None,
            connect_wait: Duration::from_secs(5),
        }
    }
}
