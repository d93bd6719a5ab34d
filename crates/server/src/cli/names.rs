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
    /// `namespaces/{namespace}/queues/{id}`.
    Queue,
    /// `namespaces/{namespace}/discards/{id}`.
    Discard,
}

impl Kind {
    fn collection(self) -> &'static str {
        match self {
            Self::Mapping => "mappings",
            Self::Function => "functions",
            Self::Stream => "streams",
            Self::Queue => "queues",
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
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.strip_prefix("arn:") {
        Some(arn) => arn.rsplit(':').next().unwrap_or(last),
        None => last,
    }
}

/// The ARN of a stream: itself, or that of the built-in broker's stream of this name.
pub(crate) fn stream_arn(text: &str) -> String {
    if text.starts_with("arn:") {
        return text.to_owned();
    }
    format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", short(text))
}

/// The ARN of a queue: itself, or that of the built-in broker's queue of this name.
pub(crate) fn queue_arn(text: &str) -> String {
    if text.starts_with("arn:") {
        return text.to_owned();
    }
    format!("arn:aws:sqs:us-east-1:000000000000:{}", short(text))
}

/// The ARN of where failures go: itself, that of `queue/NAME`, or that of a stream.
pub(crate) fn destination_arn(text: &str) -> String {
    let queue = text.starts_with("queue/") || text.contains("/queues/");
    if queue { queue_arn(text) } else { stream_arn(text) }
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
        assert_eq!(short(&queue_arn("jobs.fifo")), "jobs.fifo");
        assert_eq!(short("a:b"), "a:b", "for the server to refuse");
        assert_eq!(short(&stream_arn("orders")), "orders");
        assert_eq!(
            stream_arn("arn:aws:kinesis:eu-west-1:123456789012:stream/a"),
            "arn:aws:kinesis:eu-west-1:123456789012:stream/a"
        );
    }

    #[test]
    fn a_destination_is_a_stream_unless_it_says_otherwise() {
        let (stream, queue) = (stream_arn("a"), queue_arn("a"));
        for (text, want) in [
            ("a", &stream),
            ("stream/a", &stream),
            ("namespaces/default/streams/a", &stream),
            ("queue/a", &queue),
            ("namespaces/default/queues/a", &queue),
            (queue.as_str(), &queue),
            (stream.as_str(), &stream),
        ] {
            assert_eq!(&destination_arn(text), want, "{text}");
        }
    }
}
