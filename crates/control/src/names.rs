//! Resource names (AIP-122): `namespaces/{namespace}/{collection}/{id}`, and etags.

use crate::refusal::Refusal;
use millstream_types::{FunctionName, FunctionRef, Namespace, QueueName, SourceArn};
use std::fmt::Display;
use std::str::FromStr;

pub(crate) const MAPPINGS: &str = "mappings";
pub(crate) const FUNCTIONS: &str = "functions";
pub(crate) const STREAMS: &str = "streams";
pub(crate) const QUEUES: &str = "queues";
pub(crate) const DISCARDS: &str = "discards";

/// The full name of a resource.
pub(crate) fn full(namespace: &Namespace, collection: &str, id: impl Display) -> String {
    format!("namespaces/{namespace}/{collection}/{id}")
}

/// Reads `namespaces/{namespace}`.
pub(crate) fn parent(field: &str, text: &str) -> Result<Namespace, Refusal> {
    let form = || Refusal::new(field, text, "want namespaces/{namespace}");
    let id = text.strip_prefix("namespaces/").ok_or_else(form)?;
    if id.contains('/') {
        return Err(form());
    }
    Namespace::new(id).map_err(|e| Refusal::new(field, text, e.to_string()))
}

/// Reads `namespaces/{namespace}/{collection}/{id}`.
pub(crate) fn resource<T>(field: &str, text: &str, collection: &str) -> Result<(Namespace, T), Refusal>
where
    T: FromStr,
    T::Err: Display,
{
    let form = || {
        Refusal::new(
            field,
            text,
            format!("want namespaces/{{namespace}}/{collection}/{{id}}"),
        )
    };
    let invalid = |e: &dyn Display| Refusal::new(field, text, e.to_string());
    let parts: Vec<&str> = text.split('/').collect();
    let ["namespaces", namespace, found, id] = parts[..] else {
        return Err(form());
    };
    if found != collection {
        return Err(form());
    }
    Ok((
        Namespace::new(namespace).map_err(|e| invalid(&e))?,
        id.parse().map_err(|e| invalid(&e))?,
    ))
}

/// Reads an id that the caller chooses.
pub(crate) fn id<T>(field: &str, text: &str) -> Result<T, Refusal>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|e: T::Err| Refusal {
        field: field.to_owned(),
        message: e.to_string(),
    })
}

/// Reads what names a function for a mapping of `namespace`: a bare name, a full name, or what Lambda takes.
pub(crate) fn function(field: &str, namespace: &Namespace, text: &str) -> Result<FunctionRef, Refusal> {
    if text.is_empty() {
        return Err(Refusal::missing(field, "the name or ARN of a function"));
    }
    if text.contains('/') {
        let name: FunctionName = short_or_full(field, namespace, text, FUNCTIONS)?;
        return Ok(name.into());
    }
    let allowed = "the name of a registered function, of 1 to 64 letters, digits, hyphens and underscores, or what names a \
                   function of AWS Lambda: a name, an ARN or a part of one, with or without a version or an alias";
    FunctionRef::parse(text).ok_or_else(|| Refusal::new(field, text, allowed))
}

/// Reads what names a queue for another queue of `namespace`: a bare name, a full name, or an ARN.
pub(crate) fn queue(field: &str, namespace: &Namespace, text: &str) -> Result<QueueName, Refusal> {
    if text.is_empty() {
        return Err(Refusal::missing(field, "the name or ARN of a queue"));
    }
    if text.starts_with("arn:") {
        let name = text.rsplit(':').next().unwrap_or_default();
        let own = QueueName::new(name)
            .ok()
            .filter(|name| SourceArn::local_queue(name).as_str() == text);
        return own.ok_or_else(|| {
            let allowed = "the ARN of a queue of this system, arn:aws:sqs:us-east-1:000000000000:{name}";
            Refusal::new(field, text, allowed)
        });
    }
    short_or_full(field, namespace, text, QUEUES)
}

/// Reads a bare name, or a full one that is of the same namespace.
fn short_or_full<T>(field: &str, namespace: &Namespace, text: &str, collection: &str) -> Result<T, Refusal>
where
    T: FromStr,
    T::Err: Display,
{
    if !text.contains('/') {
        return id(field, text);
    }
    let (found, name) = resource(field, text, collection)?;
    if found == *namespace {
        Ok(name)
    } else {
        let one = collection.trim_end_matches('s');
        let allowed = format!("a {one} of the same namespace, {namespace}");
        Err(Refusal::new(field, text, allowed))
    }
}

/// The etag of a revision.
pub(crate) fn etag(revision: u64) -> String {
    if revision == 0 {
        String::new()
    } else {
        revision.to_string()
    }
}

/// Reads an etag; empty: none.
pub(crate) fn revision(field: &str, etag: &str) -> Result<Option<u64>, Refusal> {
    if etag.is_empty() {
        return Ok(None);
    }
    etag.parse()
        .map(Some)
        .map_err(|_| Refusal::new(field, etag, "an etag as returned by this API, or empty"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::MappingName;

    #[test]
    fn names_are_read_or_refused_by_field() {
        for (text, ok) in [
            ("namespaces/default/mappings/m", true),
            ("namespaces/default/functions/m", false),
            ("namespaces/default/mappings/", false),
            ("namespaces/default/mappings/m/x", false),
            ("namespaces/Default/mappings/m", false),
            ("m", false),
            ("", false),
        ] {
            let read = resource::<MappingName>("name", text, MAPPINGS);
            assert_eq!(read.is_ok(), ok, "{text}: {read:?}");
            if let Err(e) = read {
                assert_eq!(e.field, "name");
            }
        }
        for (text, ok) in [
            ("namespaces/a", true),
            ("namespaces/a/b", false),
            ("a", false),
            ("namespaces/", false),
        ] {
            assert_eq!(parent("parent", text).is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn a_function_is_named_in_many_ways() {
        let ns = Namespace::default();
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:f:1";
        for (text, expected) in [
            ("f", Some("f")),
            ("namespaces/default/functions/f", Some("f")),
            (arn, Some(arn)),
            ("f:live", Some("f:live")),
            ("123456789012:function:f", Some("123456789012:function:f")),
            ("namespaces/other/functions/f", None),
            ("arn:aws:sqs:us-east-1:123456789012:f", None),
            ("f g", None),
            ("", None),
        ] {
            let read = function("mapping.function", &ns, text);
            assert_eq!(
                read.as_ref().ok().map(FunctionRef::as_str),
                expected,
                "{text}: {read:?}"
            );
            if let Err(e) = read {
                assert_eq!(e.field, "mapping.function");
            }
        }
    }

    #[test]
    fn a_queue_is_named_in_three_ways() {
        let ns = Namespace::default();
        for (text, expected) in [
            ("q", Some("q")),
            ("q.fifo", Some("q.fifo")),
            ("namespaces/default/queues/q", Some("q")),
            ("arn:aws:sqs:us-east-1:000000000000:q.fifo", Some("q.fifo")),
            ("namespaces/other/queues/q", None),
            ("namespaces/default/streams/q", None),
            ("arn:aws:sqs:eu-west-1:000000000000:q", None),
            ("arn:aws:sqs:us-east-1:123456789012:q", None),
            ("q.x", None),
            ("", None),
        ] {
            let read = queue("f", &ns, text);
            assert_eq!(
                read.as_ref().ok().map(QueueName::as_str),
                expected,
                "{text}: {read:?}"
            );
            if let Err(e) = read {
                assert_eq!(e.field, "f");
            }
        }
    }

    #[test]
    fn etags() {
        assert_eq!(revision("etag", "").unwrap(), None);
        assert_eq!(revision("etag", &etag(7)).unwrap(), Some(7));
        assert_eq!(revision("etag", "\"7\"").unwrap_err().field, "etag");
    }
}
