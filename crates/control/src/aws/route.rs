//! Which operation a request asks for.

use super::Result;
use super::error::{AwsError, Exception};
use hyper::Method;
use hyper::http::request::Parts;

const MAPPINGS: &str = "event-source-mappings";
const SERVED: &str = "this server has /2015-03-31/event-source-mappings (POST, GET) and …/{UUID} (GET, PUT, DELETE), \
                      /2017-03-31/tags/{ARN} (GET, POST, DELETE), /2015-03-31/functions (GET), …/{FunctionName} (GET), \
                      …/{FunctionName}/configuration (GET) and …/{FunctionName}/invocations (POST), and STS' \
                      GetCallerIdentity at / (POST)";

/// What is asked for; names are as in the path, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    CreateMapping,
    ListMappings,
    GetMapping(String),
    UpdateMapping(String),
    DeleteMapping(String),
    ListTags(String),
    TagResource(String),
    UntagResource(String),
    ListFunctions,
    GetFunction(String),
    GetFunctionConfiguration(String),
    Invoke(String),
    /// STS; which of its actions is in the body.
    Sts,
}

impl Operation {
    /// Reads method and path.
    pub(super) fn of(parts: &Parts) -> Result<Self> {
        let path = parts.uri.path();
        let unknown = || {
            let path: String = path.chars().take(256).collect();
            let message = format!("{} {path} is not served: {SERVED}", parts.method);
            AwsError::new(Exception::UnknownOperation, message)
        };
        if path == "/" {
            return if parts.method == Method::POST {
                Ok(Self::Sts)
            } else {
                Err(unknown())
            };
        }
        let raw = path.strip_prefix('/').unwrap_or(path);
        let raw = raw.strip_suffix('/').unwrap_or(raw);
        let decoded: Option<Vec<String>> = raw
            .split('/')
            .map(|part| String::from_utf8(decode(part)?).ok())
            .collect();
        let decoded = decoded.ok_or_else(unknown)?;
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let name = |name: &str| name.to_owned();
        let method = parts.method.as_str();
        Ok(match (method, &segments[..]) {
            ("POST", ["2015-03-31", MAPPINGS]) => Self::CreateMapping,
            ("GET", ["2015-03-31", MAPPINGS]) => Self::ListMappings,
            ("GET", ["2015-03-31", MAPPINGS, id]) => Self::GetMapping(name(id)),
            ("PUT", ["2015-03-31", MAPPINGS, id]) => Self::UpdateMapping(name(id)),
            ("DELETE", ["2015-03-31", MAPPINGS, id]) => Self::DeleteMapping(name(id)),
            ("GET", ["2017-03-31", "tags", arn]) => Self::ListTags(name(arn)),
            ("POST", ["2017-03-31", "tags", arn]) => Self::TagResource(name(arn)),
            ("DELETE", ["2017-03-31", "tags", arn]) => Self::UntagResource(name(arn)),
            ("GET", ["2015-03-31", "functions"]) => Self::ListFunctions,
            ("GET", ["2015-03-31", "functions", f]) => Self::GetFunction(name(f)),
            ("GET", ["2015-03-31", "functions", f, "configuration"]) => {
                Self::GetFunctionConfiguration(name(f))
            }
            ("POST", ["2015-03-31", "functions", f, "invocations"]) => Self::Invoke(name(f)),
            _ => return Err(unknown()),
        })
    }

    /// The service that a request is signed for.
    pub(super) fn service(&self) -> &'static str {
        match self {
            Self::Sts => "sts",
            _ => "lambda",
        }
    }
}

/// Undoes percent-encoding; none if it is none.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&c, after)) = rest.split_first() {
        if c != b'%' {
            bytes.push(c);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_first_chunk::<2>()?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    Some(bytes)
}

/// The parameters of a query, each taken as often as it is there; what is left over is not known and refused.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Those of a request.
    pub(super) fn of(parts: &Parts) -> Result<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = |part: &str| String::from_utf8(decode(part)?).ok();
            Some((text(name)?, text(value)?))
        });
        let pairs: Option<Vec<_>> = pairs.collect();
        let malformed = || AwsError::new(Exception::Serialization, "the query is not percent-encoded UTF-8");
        pairs.map(Self).ok_or_else(malformed)
    }

    /// The value of a parameter; the first if there are several.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let mut all = self.take_all(name);
        (!all.is_empty()).then(|| all.swap_remove(0))
    }

    /// All values of a parameter, in order.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<String> {
        self.0
            .extract_if(.., |(found, _)| found == name)
            .map(|(_, value)| value)
            .collect()
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<()> {
        let Some((name, _)) = self.0.first() else {
            return Ok(());
        };
        let name: String = name.chars().take(128).collect();
        Err(AwsError::invalid(format!(
            "Unknown parameter {name}: this operation has no such parameter, and none is ignored here"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn parts(method: &str, uri: &str) -> Parts {
        Request::builder()
            .method(method)
            .uri(uri)
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[test]
    fn paths_are_operations() {
        use Operation as O;
        let arn = "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:u";
        let encoded =
            "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Aevent-source-mapping%3Au";
        for (method, path, expected) in [
            (
                "POST",
                "/2015-03-31/event-source-mappings",
                Some(O::CreateMapping),
            ),
            (
                "POST",
                "/2015-03-31/event-source-mappings/",
                Some(O::CreateMapping),
            ),
            (
                "GET",
                "/2015-03-31/event-source-mappings/?MaxItems=1",
                Some(O::ListMappings),
            ),
            (
                "GET",
                "/2015-03-31/event-source-mappings/u",
                Some(O::GetMapping("u".into())),
            ),
            (
                "PUT",
                "/2015-03-31/event-source-mappings/u/",
                Some(O::UpdateMapping("u".into())),
            ),
            (
                "DELETE",
                "/2015-03-31/event-source-mappings/u",
                Some(O::DeleteMapping("u".into())),
            ),
            ("PATCH", "/2015-03-31/event-source-mappings/u", None),
            ("GET", "/2015-03-31/event-source-mappings//", None),
            ("GET", encoded, Some(O::ListTags(arn.into()))),
            ("DELETE", encoded, Some(O::UntagResource(arn.into()))),
            ("GET", "/2015-03-31/functions/", Some(O::ListFunctions)),
            (
                "GET",
                "/2015-03-31/functions/f%3A1",
                Some(O::GetFunction("f:1".into())),
            ),
            (
                "POST",
                "/2015-03-31/functions/f/invocations",
                Some(O::Invoke("f".into())),
            ),
            ("POST", "/2015-03-31/functions", None),
            ("GET", "/2015-03-31/functions/%ff", None),
            ("GET", "/2015-03-31/functions/%zz", None),
            ("POST", "/", Some(O::Sts)),
            ("GET", "/", None),
            ("GET", "/2020-06-30/functions/f/code-signing-config", None),
        ] {
            let found = Operation::of(&parts(method, path));
            match (found, expected) {
                // The last slash may be left out, not a name.
                (Ok(O::GetMapping(id)), None) if id.is_empty() => {}
                (Ok(found), Some(expected)) => assert_eq!(found, expected, "{path}"),
                (Err(e), None) => {
                    assert_eq!(e.exception, Exception::UnknownOperation);
                    assert!(e.message.contains("event-source-mappings"), "{}", e.message);
                }
                other => panic!("{method} {path}: {other:?}"),
            }
        }
    }

    #[test]
    fn parameters_are_taken_or_refused() {
        let mut query = Query::of(&parts("GET", "/?tagKeys=a&tagKeys=b%20c&Marker=x%3D&e")).unwrap();
        assert_eq!(query.take_all("tagKeys"), ["a", "b c"]);
        assert_eq!(query.take("Marker").as_deref(), Some("x="));
        assert_eq!(query.take("Marker"), None);
        assert!(
            query
                .finish()
                .unwrap_err()
                .message
                .starts_with("Unknown parameter e:")
        );
        assert!(Query::of(&parts("GET", "/?a=%g0")).is_err());
    }
}
