//! Messages of the API as JSON and YAML, straight from their descriptors: a new field appears by itself.

use super::ordered::{Ordered, has_maps};
use crate::cli::error::CliError;
use millstream_api::v1;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage, SerializeOptions};
use saphyr::{LoadableYamlNode, Yaml, YamlEmitter};
use serde::{Serialize, Serializer};
use std::sync::OnceLock;

/// A message that can be shown.
pub(crate) trait Shown: Message {
    /// Its name in `proto/`.
    const NAME: &'static str;
}

macro_rules! shown {
    ($($name:ident),* $(,)?) => {
        $(impl Shown for v1::$name {
            const NAME: &'static str = concat!("millstream.v1.", stringify!($name));
        })*
    };
}

shown! {
    ChangeMessageVisibilityResponse, DeleteMessagesResponse, Discard, Function, InvokeFunctionResponse, LedgerEntry,
    ListDiscardsResponse, ListFunctionsResponse, ListLedgerEntriesResponse, ListMappingsResponse, ListQueuesResponse,
    ListStreamsResponse, Mapping, MappingInspection, PutRecordsResponse, Queue, QueueMessage, ReceiveMessagesResponse,
    SendMessagesResponse, Stream, StreamRecord, WatchMappingsResponse,
}

/// The message as JSON: indented, or on one line for streams of messages.
///
/// # Errors
/// If the message does not fit its own descriptor, which is a fault of this program.
pub(crate) fn to_json<M: Shown>(message: &M, indented: bool) -> Result<String, CliError> {
    let dynamic = dynamic(message)?;
    let descriptor = dynamic.descriptor();
    let text = if has_maps(&descriptor) {
        // Maps come in any order, another one each time.
        text(&Mapped(&dynamic), false)
            .and_then(|text| serde_json::from_str::<Ordered>(&text))
            .and_then(|mut tree| {
                tree.sort_maps(&descriptor);
                self::text(&tree, indented)
            })
    } else {
        text(&Mapped(&dynamic), indented)
    };
    text.map_err(|e| fault(M::NAME, &e))
}

/// A message in the protobuf JSON mapping, with our choices.
struct Mapped<'a>(&'a DynamicMessage);

impl Serialize for Mapped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .stringify_64_bit_integers(false)
            .skip_default_fields(false);
        self.0.serialize_with_options(serializer, &options)
    }
}

fn text(value: &impl Serialize, indented: bool) -> serde_json::Result<String> {
    if indented {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    }
}

/// The message that this JSON is; names of fields as in `proto/`.
///
/// # Errors
/// If it is not one.
pub(crate) fn from_json<M: Shown + Default>(json: &str) -> Result<M, CliError> {
    let mut from = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(descriptor(M::NAME)?, &mut from)
        .map_err(|e| fault(M::NAME, &e))?
        .transcode_to()
        .map_err(|e| fault(M::NAME, &e))
}

/// The message as a YAML document, without a newline at its end.
///
/// # Errors
/// As [`to_json`].
pub(crate) fn to_yaml<M: Shown>(message: &M) -> Result<String, CliError> {
    // JSON is YAML 1.2: read as such, its order is kept.
    let documents = Yaml::load_from_str(&to_json(message, false)?).map_err(|e| fault(M::NAME, &e))?;
    let mut text = String::new();
    for document in &documents {
        YamlEmitter::new(&mut text)
            .dump(document)
            .map_err(|e| fault(M::NAME, &e))?;
    }
    Ok(text)
}

fn dynamic<M: Shown>(message: &M) -> Result<DynamicMessage, CliError> {
    DynamicMessage::decode(descriptor(M::NAME)?, message.encode_to_vec().as_slice())
        .map_err(|e| fault(M::NAME, &e))
}

fn descriptor(name: &str) -> Result<MessageDescriptor, CliError> {
    static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| DescriptorPool::decode(millstream_api::FILE_DESCRIPTOR_SET).ok());
    let descriptor = pool.as_ref().and_then(|pool| pool.get_message_by_name(name));
    descriptor.ok_or_else(|| fault(name, &"it has no descriptor"))
}

fn fault(name: &str, why: &dyn std::fmt::Display) -> CliError {
    CliError::failed(
        "INTERNAL",
        format!("{name} cannot be shown: {why}"),
        "use another form with -o, and report this",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> v1::Stream {
        v1::Stream {
            name: "namespaces/default/streams/orders".to_owned(),
            etag: "7".to_owned(),
            create_time: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 500_000_000,
            }),
            retention_hours: Some(24),
            shards: vec![v1::Shard {
                shard_id: "shardId-000000000000".to_owned(),
                starting_hash_key: "0".to_owned(),
                newest_sequence_number: "4961".to_owned(),
                record_count: 12,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn json_is_golden() {
        let want = r#"{"name":"namespaces/default/streams/orders","arn":"","etag":"7","create_time":"2023-11-14T22:13:20.500Z","retention_hours":24,"shards":[{"shard_id":"shardId-000000000000","parent_shard_id":"","adjacent_parent_shard_id":"","starting_hash_key":"0","ending_hash_key":"","oldest_sequence_number":"","newest_sequence_number":"4961","record_count":12}]}"#;
        assert_eq!(to_json(&stream(), false).unwrap(), want);
        let indented: serde_json::Value = serde_json::from_str(&to_json(&stream(), true).unwrap()).unwrap();
        assert_eq!(indented, serde_json::from_str::<serde_json::Value>(want).unwrap());
    }

    #[test]
    fn enums_are_names_and_zero_counts_are_there() {
        let mapping = v1::Mapping {
            state: v1::MappingState::Active.into(),
            counters: Some(v1::MappingCounters::default()),
            ..Default::default()
        };
        let json: serde_json::Value = serde_json::from_str(&to_json(&mapping, false).unwrap()).unwrap();
        assert_eq!(json["state"], "MAPPING_STATE_ACTIVE");
        assert_eq!(json["counters"]["records_done"], 0);
        assert!(
            json.get("batch_size").is_none(),
            "an optional that is not set stays away"
        );
    }

    #[test]
    fn keys_of_maps_are_sorted_and_fields_are_not() {
        let attribute = |text: &str| v1::MessageAttribute {
            data_type: "Number".to_owned(),
            value: Some(v1::message_attribute::Value::StringValue(text.to_owned())),
        };
        let names = ["f", "b", "d", "a", "e", "c"];
        let received = v1::ReceiveMessagesResponse {
            messages: vec![v1::QueueMessage {
                message_id: "id".to_owned(),
                attributes: names.map(|n| (n.to_owned(), attribute("1"))).into(),
                send_time: Some(prost_types::Timestamp::default()),
                ..Default::default()
            }],
        };
        let json = to_json(&received, false).unwrap();
        assert!(json.starts_with(r#"{"messages":[{"message_id":"id","receipt_handle":"","body":"","attributes":{"a":{"data_type":"Number","string_value":"1"},"b":"#), "{json}");
        let places: Vec<_> = ["a", "b", "c", "d", "e", "f"]
            .map(|n| json.find(&format!("\"{n}\":")).unwrap())
            .into();
        assert!(places.is_sorted(), "{json}");
        assert!(
            json.contains(r#""receive_count":0,"send_time":"1970-01-01T00:00:00Z""#),
            "{json}"
        );
        let indented = to_json(&received, true).unwrap();
        assert!(indented.contains("\n        \"a\": {"), "{indented}");
    }

    #[test]
    fn yaml_keeps_order_and_types() {
        let text = to_yaml(&stream()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "---",
                "name: namespaces/default/streams/orders",
                "arn: \"\"",
                "etag: \"7\""
            ]
        );
        assert!(
            text.contains("record_count: 12") && text.contains("newest_sequence_number: \"4961\""),
            "{text}"
        );
    }
}
