//! What can be declared: four kinds, and every setting of each.
//!
//! A setting is named by its path in the API, so that manifests, update masks and the API's errors use the same words.

use super::form::{Form, Word};
use super::tree::Tree;
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of the documents.
pub(crate) const API_VERSION: &str = "millstream/v1";

/// Settings by path, canonical.
pub(crate) type Settings = BTreeMap<&'static str, Value>;

/// The kinds, in the order in which they are applied: what mappings need comes before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Stream,
    Function,
    Queue,
    Mapping,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Its path in the API's message.
    pub(crate) path: &'static str,
    /// What values it takes.
    pub(crate) form: Form,
    /// The path by which an update names it: its own, or that of what it is part of.
    pub(crate) mask: &'static str,
    /// Whether it is set at creation only.
    pub(crate) fixed: bool,
}

impl Field {
    const fn new(path: &'static str, form: Form) -> Self {
        Self {
            path,
            form,
            mask: path,
            fixed: false,
        }
    }

    const fn fixed(self) -> Self {
        Self { fixed: true, ..self }
    }

    const fn part_of(self, mask: &'static str) -> Self {
        Self { mask, ..self }
    }
}

const fn word(plain: &'static str, api: &'static str, aws: &'static str) -> Word {
    Word { plain, api, aws }
}

const STARTS: &[Word] = &[
    word("TRIM_HORIZON", "STARTING_POSITION_TRIM_HORIZON", ""),
    word("LATEST", "STARTING_POSITION_LATEST", ""),
    word("AT_TIMESTAMP", "STARTING_POSITION_AT_TIMESTAMP", ""),
];
const RESPONSES: &[Word] = &[word(
    "REPORT_BATCH_ITEM_FAILURES",
    "FUNCTION_RESPONSE_TYPE_REPORT_BATCH_ITEM_FAILURES",
    "ReportBatchItemFailures",
)];
const UNMATCHED: &[Word] = &[
    word("DROP", "ON_UNMATCHED_DROP", ""),
    word("KEEP", "ON_UNMATCHED_KEEP", ""),
    word("QUARANTINE", "ON_UNMATCHED_QUARANTINE", ""),
];
const METRICS: &[Word] = &[word("EVENT_COUNT", "METRICS_GROUP_EVENT_COUNT", "EventCount")];
const SCOPES: &[Word] = &[
    word("QUEUE", "DEDUPLICATION_SCOPE_QUEUE", "queue"),
    word(
        "MESSAGE_GROUP",
        "DEDUPLICATION_SCOPE_MESSAGE_GROUP",
        "messageGroup",
    ),
];

const STREAM: &[Field] = &[
    Field::new("shard_count", Form::Number(1, 256, None)).fixed(),
    Field::new("retention_hours", Form::Number(1, 8_760, None)),
];

const FUNCTION: &[Field] = &[
    Field::new("process.command", Form::Texts),
    Field::new("process.working_dir", Form::Dir),
    Field::new("process.env", Form::TextMap),
    Field::new("process.env_pass", Form::Texts),
    Field::new("process.init_timeout", Form::Duration(100, 300_000)),
    Field::new("process.memory_mb", Form::Number(128, 10_240, None)),
    Field::new("http.url", Form::Url),
    Field::new("lambda.function", Form::Text),
    Field::new("in_process", Form::Nothing),
    Field::new("timeout", Form::Duration(1, 900_000)),
    Field::new("concurrency", Form::Number(1, 1_000, None)),
    Field::new("tags", Form::TextMap),
];

const QUEUE: &[Field] = &[
    Field::new("visibility_timeout_seconds", Form::Number(0, 43_200, None)),
    Field::new("message_retention_seconds", Form::Number(60, 1_209_600, None)),
    Field::new("delay_seconds", Form::Number(0, 900, None)),
    Field::new("receive_wait_time_seconds", Form::Number(0, 20, None)),
    Field::new("maximum_message_bytes", Form::Number(1_024, 1_048_576, None)),
    Field::new("redrive_policy.dead_letter_queue", Form::Name(Kind::Queue)).part_of("redrive_policy"),
    Field::new("redrive_policy.max_receive_count", Form::Number(1, 1_000, None)).part_of("redrive_policy"),
    Field::new("content_based_deduplication", Form::Bool),
    Field::new("deduplication_scope", Form::OneOf(SCOPES)),
];

const MAPPING: &[Field] = &[
    Field::new("source_arn", Form::Arn).fixed(),
    Field::new("function", Form::Callee),
    Field::new("starting_position", Form::OneOf(STARTS)).fixed(),
    Field::new("starting_position_timestamp", Form::Time).fixed(),
    Field::new("batch_size", Form::Number(1, 10_000, None)),
    Field::new("maximum_batching_window_seconds", Form::Number(0, 300, None)),
    Field::new("parallelization_factor", Form::Number(1, 10, None)),
    Field::new("bisect_batch_on_function_error", Form::Bool),
    Field::new("maximum_retry_attempts", Form::Number(0, 10_000, Some(-1))),
    Field::new("maximum_record_age_seconds", Form::Number(60, 604_800, Some(-1))),
    Field::new("function_response_types", Form::SomeOf(RESPONSES)),
    Field::new("destination_config.on_failure.destination", Form::Arn),
    Field::new("scaling_config.maximum_concurrency", Form::Number(2, 1_000, None)),
    Field::new("tumbling_window_in_seconds", Form::Number(0, 900, None)),
    Field::new("filter_criteria.filters", Form::Patterns),
    Field::new("filter_criteria.extended", Form::Bool),
    Field::new("filter_criteria.on_unmatched", Form::OneOf(UNMATCHED)),
    Field::new(
        "provisioned_poller_config.minimum_pollers",
        Form::Number(2, 200, None),
    )
    .part_of("provisioned_poller_config"),
    Field::new(
        "provisioned_poller_config.maximum_pollers",
        Form::Number(2, 2_000, None),
    )
    .part_of("provisioned_poller_config"),
    Field::new("metrics_config.metrics", Form::SomeOf(METRICS)).part_of("metrics_config"),
    Field::new("tags", Form::TextMap),
    Field::new("paused", Form::Bool),
];

/// What can be written in place of a mapping's `source_arn`.
pub(crate) const SOURCE_NAMES: [(&str, Kind); 2] = [("stream", Kind::Stream), ("queue", Kind::Queue)];

impl Kind {
    /// All of them, in the order in which they are applied.
    pub(crate) const ALL: [Self; 4] = [Self::Stream, Self::Function, Self::Queue, Self::Mapping];

    /// As a document has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stream => "Stream",
            Self::Function => "Function",
            Self::Queue => "Queue",
            Self::Mapping => "Mapping",
        }
    }

    /// As sentences and short names have it.
    pub(crate) fn word(self) -> &'static str {
        self.collection().trim_end_matches('s')
    }

    /// As resource names have it.
    pub(crate) fn collection(self) -> &'static str {
        match self {
            Self::Stream => "streams",
            Self::Function => "functions",
            Self::Queue => "queues",
            Self::Mapping => "mappings",
        }
    }

    /// The kind that people mean by `text`: in any case, one or many, or by the initial of the command line's nouns.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|kind| {
            let initial = kind.word().get(..1).unwrap_or_default();
            text == kind.word() || text == kind.collection() || text == initial
        })
    }

    /// The ARN of one, of the built-in broker or this system. Mappings have none; theirs is never asked for.
    pub(crate) fn arn(self, name: &str) -> String {
        match self {
            Self::Stream => format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}"),
            Self::Function => format!("arn:aws:lambda:us-east-1:000000000000:function:{name}"),
            Self::Queue => format!("arn:aws:sqs:us-east-1:000000000000:{name}"),
            Self::Mapping => format!("arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{name}"),
        }
    }

    /// Its settings, in the order in which they are shown.
    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::Stream => STREAM,
            Self::Function => FUNCTION,
            Self::Queue => QUEUE,
            Self::Mapping => MAPPING,
        }
    }

    /// The setting at `path`.
    pub(crate) fn field(self, path: &str) -> Option<&'static Field> {
        self.fields().iter().find(|f| f.path == path)
    }
}

/// Settings as the `spec` of a document.
pub(crate) fn spec(kind: Kind, settings: &Settings) -> Tree {
    let mut spec = Tree::Map(Vec::new());
    for field in kind.fields() {
        if let Some(value) = settings.get(field.path) {
            spec.set(field.path, Tree::from(value));
        }
    }
    spec
}

/// A whole document: how an object is written so that it can be applied again.
pub(crate) fn document(
    kind: Kind,
    namespace: &str,
    name: &str,
    settings: &Settings,
    status: Option<Tree>,
) -> Tree {
    let mut tree = Tree::Map(Vec::new());
    tree.set("apiVersion", Tree::text(API_VERSION));
    tree.set("kind", Tree::text(kind.name()));
    tree.set("metadata.name", Tree::text(name));
    tree.set("metadata.namespace", Tree::text(namespace));
    tree.set("spec", spec(kind, settings));
    if let Some(status) = status {
        tree.set("status", status);
    }
    tree
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => n
                .as_i64()
                .map_or_else(|| Self::Float(n.as_f64().unwrap_or_default()), Self::Number),
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(map) => Self::Map(
                map.iter()
                    .map(|(k, v)| super::tree::Entry::new(k, Self::from(v)))
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_reflect::{DescriptorPool, FieldDescriptor, Kind as Type, MessageDescriptor};

    /// What the comment of a field in `proto/` says.
    fn comment(field: &FieldDescriptor) -> String {
        let file = field.parent_message().parent_file();
        let info = file.file_descriptor_proto().source_code_info.clone().unwrap();
        let location = info.location.iter().find(|l| l.path == field.path());
        location.unwrap().leading_comments().trim().to_owned()
    }

    /// The paths of all that can be set of a message.
    fn settable(message: &MessageDescriptor, prefix: &str, paths: &mut Vec<String>) {
        for field in message.fields() {
            let path = format!("{prefix}{}", field.name());
            let other = ["name", "etag", "applied"].contains(&path.as_str());
            let said = comment(&field);
            if other || said.starts_with("Output only.") || said.starts_with("Refused") {
                continue;
            }
            match field.kind() {
                Type::Message(of)
                    if !field.is_list()
                        && !field.is_map()
                        && of.package_name() == "millstream.v1"
                        && of.fields().len() > 0 =>
                {
                    settable(&of, &format!("{path}."), paths);
                }
                _ => paths.push(path),
            }
        }
    }

    /// Whoever adds a setting to the API adds a line for it above.
    #[test]
    fn every_setting_of_the_api_can_be_declared_and_no_other() {
        let pool = DescriptorPool::decode(millstream_api::FILE_DESCRIPTOR_SET).unwrap();
        for kind in Kind::ALL {
            let name = format!("millstream.v1.{}", kind.name());
            let mut of_api = Vec::new();
            settable(&pool.get_message_by_name(&name).unwrap(), "", &mut of_api);
            let mut of_files: Vec<&str> = kind.fields().iter().map(|f| f.path).collect();
            of_api.sort();
            of_files.sort_unstable();
            assert_eq!(of_files, of_api, "{}", kind.name());
        }
    }

    #[test]
    fn kinds_are_named_in_many_ways() {
        for (text, want) in [
            ("stream", Some(Kind::Stream)),
            ("Streams", Some(Kind::Stream)),
            ("q", Some(Kind::Queue)),
            ("Mapping", Some(Kind::Mapping)),
            ("f", Some(Kind::Function)),
            ("", None),
            ("all", None),
        ] {
            assert_eq!(Kind::parse(text), want, "{text}");
        }
    }

    #[test]
    fn a_document_is_in_the_order_of_the_settings() {
        let settings = Settings::from([
            ("timeout", Value::from("3s")),
            ("process.command", Value::from(vec!["python3", "app.py"])),
            ("process.env", serde_json::json!({"A": "1"})),
        ]);
        let text = document(Kind::Function, "default", "f", &settings, None).to_yaml();
        assert_eq!(
            text,
            "apiVersion: millstream/v1\nkind: Function\nmetadata:\n  name: f\n  namespace: default\nspec:\n  process:\n    \
             command:\n      - python3\n      - app.py\n    env:\n      A: \"1\"\n  timeout: 3s\n"
        );
    }
}
