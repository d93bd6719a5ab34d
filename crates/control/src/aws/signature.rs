//! AWS's Signature Version 4, as a server checks it.
//!
//! Written here over `hmac` and `sha2`, as the libraries for it sign but do not verify: what is wanted of a server, that
//! is reading the header, the bounds of time, the scope, and a comparison that takes no notice of where two signatures
//! begin to differ, is all that would be left to do with one.

use super::Result;
use super::door::only;
use super::error::{AwsError, Exception};
use super::keys::AccessKeys;
use super::route::decode;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use millstream_types::Wall;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far the clocks of client and server may be apart.
const SKEW_SECONDS: u64 = 5 * 60;
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS \
                        Secret Access Key and signing method. Consult the service documentation for details.";

/// The parts of an `Authorization` header.
struct Authorization<'a> {
    key: &'a str,
    /// Day, region, service and `aws4_request`, as they stand there.
    scope: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    signed: Vec<&'a str>,
    signature: [u8; 32],
}

/// Checks that a request is signed for `service` by one of `keys`, if there are any.
pub(super) fn check(parts: &Parts, body: &[u8], service: &str, keys: &AccessKeys, now: Wall) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    if !parts.headers.contains_key(AUTHORIZATION) {
        let exception = Exception::MissingAuthenticationToken;
        return Err(AwsError::new(exception, "Missing Authentication Token"));
    }
    let incomplete = |what: &str| AwsError::new(Exception::IncompleteSignature, what);
    let header = only(&parts.headers, &AUTHORIZATION)
        .ok_or_else(|| incomplete("There must be one header Authorization, in ASCII"))?;
    let authorization = Authorization::read(header)?;
    let date = only(&parts.headers, &DATE)
        .ok_or_else(|| incomplete("The header X-Amz-Date is missing, or there more than once"))?;
    authorization.check_scope(date, service)?;
    check_time(date, now)?;
    let secret = keys.secret(authorization.key).ok_or_else(|| {
        let message = "The security token included in the request is invalid.";
        AwsError::new(Exception::UnrecognizedClient, message)
    })?;
    let mismatch = || AwsError::new(Exception::InvalidSignature, MISMATCH);
    let canonical = canonical_request(parts, body, &authorization.signed).ok_or_else(mismatch)?;
    let to_sign = format!(
        "{ALGORITHM}\n{date}\n{}\n{}",
        authorization.scope,
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let signed_by = authorization.signing_key(secret).ok_or_else(mismatch)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&signed_by).map_err(|_| mismatch())?;
    mac.update(to_sign.as_bytes());
    mac.verify_slice(&authorization.signature).map_err(|_| mismatch())
}

impl<'a> Authorization<'a> {
    fn read(header: &'a str) -> Result<Self> {
        let incomplete = |what: &str| AwsError::new(Exception::IncompleteSignature, what);
        let rest = header
            .strip_prefix(ALGORITHM)
            .filter(|rest| rest.starts_with(' '))
            .ok_or_else(|| incomplete("Authorization header requires the algorithm AWS4-HMAC-SHA256."))?;
        let part = |name: &str| {
            let mut parts = rest.split(',').filter_map(|part| part.trim().split_once('='));
            let found = parts.find(|(found, _)| *found == name).map(|(_, value)| value);
            found
                .filter(|value| !value.is_empty())
                .ok_or_else(|| incomplete(&format!("Authorization header requires '{name}' parameter.")))
        };
        let (credential, signed, signature) =
            (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
        let malformed =
            || incomplete("Credential must be of the form KEY/YYYYMMDD/REGION/SERVICE/aws4_request");
        let (key, scope) = credential.split_once('/').ok_or_else(malformed)?;
        let scope_parts: Vec<&str> = scope.split('/').collect();
        let [day, region, service, "aws4_request"] = scope_parts[..] else {
            return Err(malformed());
        };
        Ok(Self {
            key,
            scope,
            day,
            region,
            service,
            signed: signed.split(';').collect(),
            signature: unhex(signature)
                .ok_or_else(|| incomplete("Signature must be 64 hexadecimal digits"))?,
        })
    }

    fn check_scope(&self, date: &str, service: &str) -> Result<()> {
        let wrong = |message: String| Err(AwsError::new(Exception::InvalidSignature, message));
        if self.service != service {
            return wrong(format!(
                "Credential should be scoped to correct service: '{service}'."
            ));
        }
        if !date.starts_with(self.day) || self.day.len() != 8 {
            return wrong(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"
                    .into(),
            );
        }
        if !self.signed.contains(&"host") || !self.signed.contains(&"x-amz-date") {
            return wrong("'Host' and 'X-Amz-Date' must be signed headers".into());
        }
        Ok(())
    }

    fn signing_key(&self, secret: &str) -> Option<[u8; 32]> {
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [self.day, self.region, self.service, "aws4_request"] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
            mac.update(part.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        key.try_into().ok()
    }
}

fn check_time(date: &str, now: Wall) -> Result<()> {
    let wrong = |message: String| Err(AwsError::new(Exception::InvalidSignature, message));
    let Some(signed) = seconds(date) else {
        return wrong(format!(
            "Date must be in ISO-8601 'basic format'. Got '{}'.",
            shortened(date)
        ));
    };
    let now = now.0 / 1_000;
    if signed + SKEW_SECONDS < now {
        let (oldest, now) = (basic(now - SKEW_SECONDS), basic(now));
        return wrong(format!(
            "Signature expired: {date} is now earlier than {oldest} ({now} - 5 min.)"
        ));
    }
    if signed > now + SKEW_SECONDS {
        let (newest, now) = (basic(now + SKEW_SECONDS), basic(now));
        return wrong(format!(
            "Signature not yet current: {date} is still later than {newest} ({now} + 5 min.)"
        ));
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// What was signed; none if it cannot have been.
fn canonical_request(parts: &Parts, body: &[u8], signed: &[&str]) -> Option<String> {
    let mut text = format!(
        "{}\n{}\n{}\n",
        parts.method,
        encode(parts.uri.path().as_bytes(), b"/"),
        canonical_query(parts.uri.query().unwrap_or_default())
    );
    if !signed.is_sorted() {
        return None;
    }
    for name in signed {
        let _ = writeln!(text, "{name}:{}", canonical_header(&parts.headers, name)?);
    }
    let hash = hex(&Sha256::digest(body));
    // If it is told, it must be so: what is signed is the body that came.
    if parts.headers.contains_key(CONTENT_SHA256) && only(&parts.headers, &CONTENT_SHA256)? != hash {
        return None;
    }
    let _ = write!(text, "\n{}\n{hash}", signed.join(";"));
    Some(text)
}

fn canonical_header(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = Vec::new();
    for value in headers.get_all(name) {
        let words: Vec<&str> = value.to_str().ok()?.split_whitespace().collect();
        values.push(words.join(" "));
    }
    (!values.is_empty()).then(|| values.join(","))
}

fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let again = |part: &str| encode(&decode(part).unwrap_or_else(|| part.as_bytes().to_vec()), b"");
            (again(name), again(value))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// Percent-encodes all but what never needs it, and `kept`.
fn encode(bytes: &[u8], kept: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &c in bytes {
        if c.is_ascii_alphanumeric() || b"-._~".contains(&c) || kept.contains(&c) {
            text.push(c.into());
        } else {
            let _ = write!(text, "%{c:02X}");
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for c in bytes {
        let _ = write!(text, "{c:02x}");
    }
    text
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Seconds since 1970 of `YYYYMMDDTHHMMSSZ`.
fn seconds(date: &str) -> Option<u64> {
    let bytes = date.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = date.get(from..to)?;
        digits
            .bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| digits.parse::<u64>().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if year < 1970
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    // Days of the civil calendar, counted from March so that a leap day is a year's last.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// `YYYYMMDDTHHMMSSZ` of seconds since 1970.
pub(super) fn basic(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * of_year + 2) / 153;
    let day = of_year - (153 * m + 2) / 5 + 1;
    let month = if m < 10 { m + 3 } else { m - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest % 3_600 / 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests;
