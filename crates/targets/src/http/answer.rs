//! What an answer means for the attempt.

use hyper::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use hyper::{Response, StatusCode};
use millstream_types::Outcome;
use millstream_types::invocation::{FunctionError, FunctionErrorKind};
use std::time::{Duration, SystemTime};

/// Longest wait that is taken from a `Retry-After`; a server that asks for more is asked again after this much.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The body is the response.
    Returned,
    /// The function did not run.
    Throttled {
        /// For how long it asks not to be called.
        retry_after: Option<Duration>,
    },
    /// The function failed, or whatever stands before it.
    Failed {
        /// The error's type, for the ledger.
        error_type: String,
        /// What can be told without the body.
        message: String,
    },
}

/// Reads the head of an answer.
pub(super) fn head<B>(answer: &Response<B>, now: SystemTime) -> Head {
    let status = answer.status();
    match status {
        _ if status.is_success() => Head::Returned,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Head::Throttled {
            retry_after: retry_after(answer.headers(), now),
        },
        _ if status.is_redirection() => Head::Failed {
            error_type: error_type(status),
            message: redirected(status, answer.headers()),
        },
        _ => Head::Failed {
            error_type: error_type(status),
            message: status.to_string(),
        },
    }
}

fn error_type(status: StatusCode) -> String {
    format!("Http.{}", status.as_u16())
}

fn redirected(status: StatusCode, headers: &HeaderMap) -> String {
    let to = headers
        .get(LOCATION)
        .map(|to| String::from_utf8_lossy(to.as_bytes()));
    let to = to.map_or_else(String::new, |to| format!(" to {to}"));
    format!("{status}{to}: a redirect is never followed; give the function the URL that answers by itself")
}

/// The failure of a function whose body begins with `excerpt`.
pub(super) fn failed(error_type: &str, message: &str, excerpt: &[u8]) -> Outcome {
    let excerpt = String::from_utf8_lossy(excerpt);
    let excerpt = excerpt.trim();
    let colon = if excerpt.is_empty() { "" } else { ": " };
    Outcome::FunctionError(FunctionError::new(
        FunctionErrorKind::Raised,
        error_type,
        &format!("{message}{colon}{excerpt}"),
    ))
}

/// For how long a server asks not to be called: seconds, or a time by its own clock if it tells it, else by ours.
/// None if it does not say, or says something else, or the time is over: then it is ours to choose.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        // More digits than fit are a very long time.
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let now = date
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .unwrap_or(now);
        let until = httpdate::parse_http_date(text).ok()?;
        until.duration_since(now).unwrap_or_default()
    };
    (!asked.is_zero()).then(|| asked.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06 08:49:00 UTC.
    const NOW: u64 = 784_111_740;

    fn read(status: u16, headers: &[(&str, &str)]) -> Head {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        head(&answer.body(()).unwrap(), now)
    }

    #[test]
    fn every_status_has_its_meaning() {
        for status in [200, 201, 202, 204, 206, 299] {
            assert_eq!(read(status, &[]), Head::Returned, "{status}");
        }
        for status in [429, 503] {
            assert_eq!(
                read(status, &[]),
                Head::Throttled { retry_after: None },
                "{status}"
            );
        }
        for status in [
            101, 300, 301, 302, 304, 307, 308, 400, 401, 404, 408, 413, 418, 499, 500, 501, 502, 504, 999,
        ] {
            let Head::Failed { error_type, message } =
                read(status, &[("location", "http://169.254.169.254/")])
            else {
                panic!("{status}");
            };
            assert_eq!(error_type, format!("Http.{status}"));
            assert!(message.starts_with(&status.to_string()), "{message}");
            assert_eq!(
                message.contains("to http://169.254.169.254/: a redirect is never followed"),
                (300..400).contains(&status),
                "{message}"
            );
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let at_37 = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (headers, expected) in [
            (&[("retry-after", "7")][..], Some(7)),
            (&[("retry-after", " 7 ")], Some(7)),
            (&[("retry-after", "60")], Some(60)),
            (&[("retry-after", "61")], Some(60)),
            (&[("retry-after", "99999999999999999999999")], Some(60)),
            (&[("retry-after", at_37)], Some(37)),
            (&[("retry-after", "Sunday, 06-Nov-94 08:49:37 GMT")], Some(37)),
            (&[("retry-after", "Sun Nov  6 08:49:37 1994")], Some(37)),
            // The server's clock is an hour behind ours: it still means 37 seconds.
            (
                &[
                    ("retry-after", "Sun, 06 Nov 1994 07:49:37 GMT"),
                    ("date", "Sun, 06 Nov 1994 07:49:00 GMT"),
                ],
                Some(37),
            ),
            (&[("retry-after", at_37), ("date", "no date")], Some(37)),
            (&[("retry-after", "Mon, 07 Nov 1994 08:49:37 GMT")], Some(60)),
            (&[("retry-after", "Sat, 05 Nov 1994 08:49:37 GMT")], None),
            (&[("retry-after", "0")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1.5")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "")], None),
            (&[], None),
        ] {
            let retry_after = expected.map(Duration::from_secs);
            assert_eq!(read(503, headers), Head::Throttled { retry_after }, "{headers:?}");
        }
    }

    #[test]
    fn a_failure_tells_how_its_body_begins() {
        for (excerpt, expected) in [
            (&b"  boom\n"[..], "500: boom"),
            (b"", "500"),
            (b"\xff", "500: \u{fffd}"),
        ] {
            let Outcome::FunctionError(error) = failed("Http.500", "500", excerpt) else {
                panic!()
            };
            assert_eq!(error.message, expected);
        }
    }
}
