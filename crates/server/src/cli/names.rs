//! Resource names: people write the last part, scripts may pass the whole of it on.

use super::error::CliError;

/// The kinds of resources, as in their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `namespaces/{namespace}/mappings/{id}`.
    Mapping,
    /// `namespaces/{namespace}/functions/{id}`.
    Function,
    /// `namespaces/{namespace}/streams/{id}`.
    Stream,
    /// `namespaces/{namespace}/discards/{id}`.
    Discard,
}

impl Kind {
    fn collection(self) -> &'static str {
        match self {
            Self::Mapping => "mappings",
            Self::Function => "functions",
            Self::Stream => "streams",
            Self::Discard => "discards",
        }
    }

    /// What people call one.
    pub(crate) fn word(self) -> &'static str {
        self.collection().trim_end_matches('s')
    }
}

/// `namespaces/{namespace}`.
pub(crate) fn parent(namespace: &str) -> String {
    format!("namespaces/{namespace}")
}

/// The resource name of `id`, which may be one already.
///
/// # Errors
/// If it is the name of a resource of another kind, or holds a slash otherwise.
pub(crate) fn resource(namespace: &str, kind: Kind, id: &str) -> Result<String, CliError> {
    if !id.contains('/') {
        return Ok(format!("namespaces/{namespace}/{}/{id}", kind.collection()));
    }
    let parts: Vec<&str> = id.split('/').collect();
    match parts[..] {
        ["namespaces", _, collection, _] if collection == kind.collection() => Ok(id.to_owned()),
        _ => Err(CliError::usage(
            format!("'{id}' is not the name of a {}", kind.word()),
            format!(
                "write its short name, or namespaces/NAMESPACE/{}/NAME",
                kind.collection()
            ),
        )),
    }
}

/// The last part of a resource name or ARN: what people call it.
pub(crate) fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The ARN of a stream: itself, or that of the built-in broker's stream of this name.
pub(crate) fn stream_arn(text: &str) -> String {
    if text.starts_with("arn:") {
        return text.to_owned();
    }
    format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", short(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_whole_names_are_taken_and_others_refused() {
        for (id, want) in [
            ("totals", Some("namespaces/default/mappings/totals")),
            (
                "namespaces/team/mappings/totals",
                Some("namespaces/team/mappings/totals"),
            ),
            ("namespaces/team/functions/totals", None),
            ("a/b", None),
        ] {
            assert_eq!(
                resource("default", Kind::Mapping, id).ok().as_deref(),
                want,
                "{id}"
            );
        }
        assert_eq!(short("namespaces/team/mappings/totals"), "totals");
        assert_eq!(short(&stream_arn("orders")), "orders");
        assert_eq!(
            stream_arn("arn:aws:kinesis:eu-west-1:123456789012:stream/a"),
            "arn:aws:kinesis:eu-west-1:123456789012:stream/a"
        );
    }
}
