//! Where a connection leads, if not to AWS.

use http::Uri;
use std::net::IpAddr;

/// Longest address, in bytes.
const MAX_LEN: usize = 1_024;
/// What an endpoint is, for people.
pub(super) const ALLOWED: &str =
    "http://HOST[:PORT] or https://HOST[:PORT], with a path if need be, without user, query and fragment";

/// The address of a server, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    url: String,
    is_https: bool,
    is_local: bool,
}

impl Endpoint {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LEN || text.contains(['#', '?', '@']) {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let is_https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        Some(Self {
            url: text.trim_end_matches('/').to_owned(),
            is_https,
            is_local: is_loopback(host),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether it is on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.is_local
    }
}

/// A name is local only if it is by convention: what others resolve to is not asked.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_and_told_apart() {
        for (text, is_https, is_local) in [
            ("http://127.0.0.1:4566", false, true),
            ("http://127.9.9.9", false, true),
            ("http://[::1]:4566/", false, true),
            ("http://[::ffff:127.0.0.1]:4566/", false, true),
            ("http://localhost:4566", false, true),
            ("https://sqs.localhost/path", true, true),
            ("https://sqs.eu-west-1.amazonaws.com", true, false),
            ("http://10.0.0.7:4566", false, false),
            ("http://localhost.example.com", false, false),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(
                (endpoint.is_https(), endpoint.is_local()),
                (is_https, is_local),
                "{text}"
            );
        }
        assert_eq!(
            Endpoint::parse("http://localhost:1/").unwrap().url(),
            "http://localhost:1"
        );
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused() {
        for text in [
            "",
            "localhost:4566",
            "ftp://localhost",
            "http://",
            "/path",
            "http://user:secret@localhost",
            "http://localhost?a=b",
            "http://localhost#a",
            "http://local host",
        ] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }
}
