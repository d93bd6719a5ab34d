//! Who may come in at all: programs of this machine that mean this server, not pages in a browser.
//!
//! A page can make a browser send requests to loopback, and by a name that it resolves anew (DNS rebinding) even read the
//! answers. Such requests give themselves away: by an `Origin`, by `Sec-Fetch-Site`, by a `Host` that is not this
//! machine, or by a content type that a page may send without asking.

use super::Result;
use super::error::{AwsError, Exception};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method, http::uri::Authority};
use std::net::IpAddr;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What the bodies of requests may be called. None of it is what a page may send without asking.
const CONTENT_TYPES: [&str; 5] = [
    "application/json",
    "application/x-amz-json-1.0",
    "application/x-amz-json-1.1",
    "application/octet-stream",
    "binary/octet-stream",
];
const FORM: &str = "application/x-www-form-urlencoded";

/// Lets a request in, or not. `hosts` are names of this server besides those of loopback.
pub(super) fn check(parts: &Parts, hosts: &[String]) -> Result<()> {
    let denied = |message: String| Err(AwsError::new(Exception::AccessDenied, message));
    if parts.headers.contains_key(ORIGIN) {
        return denied("requests of browsers are not served: this one has the header Origin".to_owned());
    }
    let fetched = parts.headers.get(FETCH_SITE).is_some_and(|site| site != "none");
    if fetched {
        return denied(
            "requests of browsers are not served: this one has the header Sec-Fetch-Site".to_owned(),
        );
    }
    match host(parts) {
        Some(host) if is_ours(&host, hosts) => {}
        Some(host) => {
            let host: String = host.chars().take(128).collect();
            return denied(format!(
                "the host '{host}' is not this server: use 127.0.0.1, [::1] or localhost, or allow the name by the \
                 server's setting aws_hosts"
            ));
        }
        None => return denied("a request must say in one header Host which server it means".to_owned()),
    }
    content_type(parts)
}

/// The host that is meant, without its port.
fn host(parts: &Parts) -> Option<String> {
    let authority = match parts.uri.authority() {
        Some(authority) => authority.clone(),
        None => only(&parts.headers, &HOST)?.parse::<Authority>().ok()?,
    };
    Some(authority.host().to_ascii_lowercase())
}

/// The value of a header that is there once.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}

fn is_ours(host: &str, hosts: &[String]) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    let name = host.strip_suffix('.').unwrap_or(host);
    bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || name == "localhost"
        || name.ends_with(".localhost")
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
}

fn content_type(parts: &Parts) -> Result<()> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE) {
        return Ok(());
    }
    let Some(kind) = parts.headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let kind = kind.to_str().unwrap_or_default();
    let essence = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    // STS speaks forms; without an Origin and with a known host they are of no page.
    let allowed = CONTENT_TYPES.contains(&essence.as_str()) || (essence == FORM && parts.uri.path() == "/");
    if allowed {
        return Ok(());
    }
    let kind: String = kind.chars().take(128).collect();
    let message = format!("the content type '{kind}' is not taken: want application/json");
    Err(AwsError::new(Exception::UnsupportedMediaType, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn let_in(method: &str, uri: &str, headers: &[(&str, &str)]) -> Option<Exception> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let hosts = ["millstream".to_owned()];
        check(&parts, &hosts).err().map(|e| e.exception)
    }

    #[test]
    fn programs_of_this_machine_come_in_and_pages_do_not() {
        let denied = Some(Exception::AccessDenied);
        for (host, expected) in [
            ("127.0.0.1:7401", None),
            ("127.9.9.9", None),
            ("[::1]:7401", None),
            ("localhost:7401", None),
            ("LOCALHOST", None),
            ("sts.localhost:7401", None),
            ("millstream:7401", None),
            ("evil.example:7401", denied),
            ("localhost.evil.example", denied),
            ("127.0.0.1.evil.example", denied),
            ("10.0.0.1", denied),
            ("", denied),
        ] {
            assert_eq!(let_in("GET", "/", &[("host", host)]), expected, "{host}");
        }
        let ours = ("host", "127.0.0.1");
        assert_eq!(let_in("GET", "http://evil.example/", &[ours]), denied);
        assert_eq!(let_in("GET", "/", &[]), denied);
        assert_eq!(let_in("GET", "/", &[ours, ("host", "localhost")]), denied);
        for origin in ["http://127.0.0.1:7401", "null", "https://evil.example"] {
            assert_eq!(
                let_in("POST", "/", &[ours, ("origin", origin)]),
                denied,
                "{origin}"
            );
        }
        assert_eq!(
            let_in("GET", "/", &[ours, ("sec-fetch-site", "cross-site")]),
            denied
        );
        assert_eq!(let_in("GET", "/", &[ours, ("sec-fetch-site", "none")]), None);
    }

    #[test]
    fn bodies_are_not_what_a_page_may_send_without_asking() {
        let refused = Some(Exception::UnsupportedMediaType);
        for (kind, path, expected) in [
            ("application/json", "/x", None),
            ("Application/JSON; charset=utf-8", "/x", None),
            ("application/octet-stream", "/x", None),
            ("text/plain", "/x", refused),
            ("multipart/form-data; boundary=x", "/x", refused),
            (FORM, "/x", refused),
            (FORM, "/", None),
            ("", "/x", refused),
        ] {
            let headers = [("host", "127.0.0.1"), ("content-type", kind)];
            assert_eq!(let_in("POST", path, &headers), expected, "{kind} {path}");
            assert_eq!(let_in("GET", path, &headers), None, "{kind} {path}");
        }
    }
}
