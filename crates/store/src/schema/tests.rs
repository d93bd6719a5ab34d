//! Laws of the schema: keys survive encoding, bytes sort as fields do, and ranges hold what shares a prefix.

use super::*;
use proptest::prelude::*;
use uuid::Uuid;

fn name(alphabet: &'static str) -> impl Strategy<Value = String> {
    // Short and from few letters, so that prefixes and equal fields are common.
    proptest::string::string_regex(alphabet).unwrap()
}

fn namespace() -> impl Strategy<Value = Namespace> {
    name("[ab]{1,3}").prop_map(|n| Namespace::new(n).unwrap())
}

fn shard() -> impl Strategy<Value = ShardId> {
    name("[aB_.-]{1,3}").prop_map(|n| ShardId::new(n).unwrap())
}

fn small() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..4, any::<u64>()]
}

fn uuid() -> impl Strategy<Value = Uuid> {
    prop_oneof![
        (0u128..4).prop_map(Uuid::from_u128),
        any::<u128>().prop_map(Uuid::from_u128)
    ]
}

fn mapping() -> impl Strategy<Value = MappingId> {
    uuid().prop_map(MappingId)
}

fn key() -> impl Strategy<Value = Key> {
    let discard = || uuid().prop_map(DiscardId);
    prop_oneof![
        Just(Key::Format),
        Just(Key::CatalogRevision),
        Just(Key::StreamNextId),
        (namespace(), name("[ab]{1,3}")).prop_map(|(namespace, n)| Key::CatalogMapping {
            namespace,
            name: MappingName::new(n).unwrap()
        }),
        (namespace(), name("[aB_-]{1,3}")).prop_map(|(namespace, n)| Key::CatalogFunction {
            namespace,
            name: FunctionName::new(n).unwrap()
        }),
        (mapping(), shard()).prop_map(|(mapping, shard)| Key::ShardEpoch { mapping, shard }),
        (mapping(), shard()).prop_map(|(mapping, shard)| Key::ShardRecord { mapping, shard }),
        (mapping(), small(), discard()).prop_map(|(mapping, at, id)| Key::Discard {
            mapping,
            at: Wall(at),
            id
        }),
        discard().prop_map(|id| Key::DiscardById { id }),
        discard().prop_map(|discard| Key::Outbox { discard }),
        discard().prop_map(|discard| Key::Delivery { discard }),
        (mapping(), shard(), small()).prop_map(|(mapping, shard, number)| Key::Ledger {
            mapping,
            shard,
            number
        }),
        (mapping(), small()).prop_map(|(mapping, number)| Key::QueueLedger { mapping, number }),
        (namespace(), name("[aB_-]{1,3}")).prop_map(|(namespace, n)| Key::Stream {
            namespace,
            name: StreamName::new(n).unwrap()
        }),
        (small(), 0u32..4).prop_map(|(stream, shard)| Key::StreamShard { stream, shard }),
        (small(), any::<u32>(), small()).prop_map(|(stream, shard, base)| Key::StreamBatch {
            stream,
            shard,
            base
        }),
        queue_key(),
    ]
}

fn queue_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        Just(Key::QueueNextId),
        (namespace(), name("[aB_-]{1,3}")).prop_map(|(namespace, n)| Key::Queue {
            namespace,
            name: QueueName::new(n).unwrap()
        }),
        (small(), small()).prop_map(|(queue, number)| Key::QueueMessage { queue, number }),
        (small(), name("[ab/]{1,3}"), small()).prop_map(|(queue, group, number)| Key::QueueGroupMessage {
            queue,
            group,
            number
        }),
        (small(), small()).prop_map(|(queue, number)| Key::QueueHeld { queue, number }),
        small().prop_map(|queue| Key::QueueCursor { queue }),
        (small(), small(), any::<u128>()).prop_map(|(queue, minute, digest)| Key::QueueDedup {
            queue,
            minute,
            digest
        }),
    ]
}

/// The order that the documentation promises: by table, then by the fields.
fn logical(a: &Key, b: &Key) -> std::cmp::Ordering {
    a.table().cmp(&b.table()).then_with(|| a.cmp(b))
}

proptest! {
    #[test]
    fn a_key_survives_encoding(key in key()) {
        prop_assert_eq!(Key::decode(&key.encode()).unwrap(), key);
    }

    #[test]
    fn bytes_sort_as_fields(a in key(), b in key()) {
        prop_assert_eq!(a.encode().cmp(&b.encode()), logical(&a, &b));
    }

    #[test]
    fn any_bytes_are_a_key_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..48)) {
        if let Ok(key) = Key::decode(&bytes) {
            prop_assert_eq!(key.encode(), bytes);
        }
    }

    #[test]
    fn a_mapping_range_holds_exactly_its_keys(key in key(), mapping in mapping()) {
        let range = Range::mapping(Table::Ledger, mapping);
        let mine = matches!(&key, Key::Ledger { mapping: m, .. } if *m == mapping);
        prop_assert_eq!(range.contains(&key.encode()), mine);
    }

    #[test]
    fn a_namespace_range_holds_exactly_its_keys(key in key(), wanted in namespace()) {
        let range = Range::namespace(Table::CatalogMapping, &wanted);
        let mine = matches!(&key, Key::CatalogMapping { namespace, .. } if *namespace == wanted);
        prop_assert_eq!(range.contains(&key.encode()), mine);
    }

    #[test]
    fn a_ledger_range_holds_exactly_its_keys(key in key(), m in mapping(), s in shard()) {
        let mine = matches!(&key, Key::Ledger { mapping, shard, .. } if *mapping == m && *shard == s);
        prop_assert_eq!(Range::ledger(m, &s).contains(&key.encode()), mine);
    }

    #[test]
    fn a_stream_range_holds_exactly_its_keys(key in key(), id in small(), index in 0u32..4) {
        let in_stream = matches!(&key, Key::StreamBatch { stream, .. } if *stream == id);
        prop_assert_eq!(Range::stream(Table::StreamBatch, id).contains(&key.encode()), in_stream);
        let in_shard = matches!(&key, Key::StreamBatch { stream, shard, .. } if *stream == id && *shard == index);
        prop_assert_eq!(Range::stream_shard(id, index).contains(&key.encode()), in_shard);
    }

    #[test]
    fn a_queue_range_holds_exactly_its_keys(key in key(), id in small(), of in name("[ab/]{1,3}")) {
        let in_queue = matches!(&key, Key::QueueHeld { queue, .. } if *queue == id);
        prop_assert_eq!(Range::queue(Table::QueueHeld, id).contains(&key.encode()), in_queue);
        let in_group = matches!(&key, Key::QueueGroupMessage { queue, group, .. } if *queue == id && *group == of);
        prop_assert_eq!(Range::queue_group(id, &of).contains(&key.encode()), in_group);
    }

    #[test]
    fn a_range_is_cut_at_a_key(key in key(), at in key()) {
        let whole = || Range::table(at.table());
        let bytes = key.encode();
        let inside = whole().contains(&bytes);
        prop_assert_eq!(whole().starting_at(&at).contains(&bytes), inside && key >= at);
        prop_assert_eq!(whole().after(&at).contains(&bytes), inside && key > at);
        prop_assert_eq!(whole().below(&at).contains(&bytes), inside && key < at);
    }
}

#[test]
fn the_bytes_of_tables_are_frozen() {
    let bytes: Vec<u8> = Table::ALL.iter().map(|table| *table as u8).collect();
    let frozen = [
        0x01, 0x10, 0x11, 0x12, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x30, 0x31, 0x32, 0x33, 0x40,
        0x41, 0x42, 0x43, 0x44, 0x45, 0x46,
    ];
    assert_eq!(bytes, frozen);
    assert_eq!(FORMAT_VERSION, 1);
}

#[test]
fn the_layout_is_frozen() {
    let mapping = MappingId(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10));
    let key = Key::Ledger {
        mapping,
        shard: ShardId::new("s-1").unwrap(),
        number: 258,
    };
    let want =
        b"\x25\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10s-1\0\0\0\0\0\0\0\x01\x02";
    assert_eq!(key.encode(), want);
    let key = Key::StreamBatch {
        stream: 1,
        shard: 2,
        base: 3,
    };
    assert_eq!(
        key.encode(),
        b"\x33\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\x03"
    );
    let key = Key::QueueGroupMessage {
        queue: 1,
        group: "a/b".into(),
        number: 3,
    };
    assert_eq!(key.encode(), b"\x43\0\0\0\0\0\0\0\x01a/b\0\0\0\0\0\0\0\0\x03");
}
