//! Messages in and out.

use super::*;
use millstream_types::message::{FifoAttributes, MessageAttributes, SystemAttributes};
use std::collections::HashMap;

fn send(change: impl Fn(&mut v1::SendMessagesEntry)) -> v1::SendMessagesEntry {
    let mut m = v1::SendMessagesEntry {
        body: "hi".into(),
        ..v1::SendMessagesEntry::default()
    };
    change(&mut m);
    m
}

fn number(text: &str) -> v1::MessageAttribute {
    v1::MessageAttribute {
        data_type: "Number".into(),
        value: Some(Value::StringValue(text.into())),
    }
}

#[test]
fn messages_are_read_all_or_none() {
    let good = vec![
        send(|_| ()),
        send(|m| {
            m.attributes = HashMap::from([("n".to_owned(), number("1"))]);
            m.delay_seconds = Some(901);
            m.message_group_id = "g".into();
            m.message_deduplication_id = "d".into();
            m.aws_trace_header = "Root=1".into();
        }),
    ];
    let read = entries(good).unwrap();
    let plain = SendEntry {
        body: Bytes::from_static(b"hi"),
        attributes: MessageAttributes::new(),
        delay: None,
        group: None,
        deduplication: None,
        trace_header: None,
        trace: None,
    };
    assert_eq!(read[0], plain);
    let full = SendEntry {
        attributes: MessageAttributes::from([(
            "n".into(),
            MessageAttribute {
                data_type: "Number".into(),
                value: AttributeValue::Text("1".into()),
            },
        )]),
        // Too long, which is for the broker to say of this message alone.
        delay: Some(Duration::from_secs(901)),
        group: Some("g".into()),
        deduplication: Some("d".into()),
        trace_header: Some("Root=1".into()),
        ..plain
    };
    assert_eq!(read[1], full);

    let bad = vec![
        send(|_| ()),
        send(|m| m.delay_seconds = Some(-1)),
        send(|m| m.attributes = HashMap::from([("n".to_owned(), v1::MessageAttribute::default())])),
        send(|m| m.trace_context = Some(v1::TraceContext::default())),
    ];
    assert_eq!(
        entries(bad).unwrap_err().fields(),
        [
            "messages[1].delay_seconds",
            "messages[2].attributes[n]",
            "messages[3].trace_context.traceparent",
        ]
    );
    for n in [0, 11] {
        assert_eq!(entries(vec![send(|_| ()); n]).unwrap_err().fields(), ["messages"]);
    }
}

#[test]
fn every_message_has_its_answer() {
    let invalid = SendError::Invalid {
        field: "delay_seconds",
        value: "901".into(),
        allowed: "0 to 900".into(),
    };
    let response = send_response(vec![
        Ok(SendReceipt {
            id: "id".into(),
            md5_of_body: "md5".into(),
            md5_of_attributes: None,
            sequence: Some("5".into()),
        }),
        Err(invalid),
        Err(SendError::DiskFull { free: 1, floor: 2 }),
        Err(SendError::Unavailable("io".into())),
    ]);
    assert_eq!(response.failed_message_count, 3);
    let codes: Vec<_> = response.results.iter().map(|r| r.error_code.as_str()).collect();
    assert_eq!(codes, ["", "INVALID_MESSAGE", "DISK_FULL", "UNAVAILABLE"]);
    let stored = &response.results[0];
    assert_eq!(
        (stored.message_id.as_str(), stored.sequence_number.as_str()),
        ("id", "5")
    );
    assert!(
        response.results[1..]
            .iter()
            .all(|r| r.message_id.is_empty() && !r.error_message.is_empty())
    );
}

#[test]
fn a_receive_is_read_or_refused_by_field() {
    let request = |max, wait, hidden| v1::ReceiveMessagesRequest {
        max_messages: max,
        wait_time_seconds: wait,
        visibility_timeout_seconds: hidden,
        ..v1::ReceiveMessagesRequest::default()
    };
    for (asked, max, wait, visibility) in [
        (request(0, None, None), 1, None, None),
        (
            request(10, Some(0), Some(0)),
            10,
            Some(Duration::ZERO),
            Some(Duration::ZERO),
        ),
        (
            request(1, Some(20), Some(43_200)),
            1,
            Some(MAX_WAIT),
            Some(Duration::from_secs(43_200)),
        ),
    ] {
        let mut refusals = Refusals::default();
        let got = receive(&asked, &mut refusals);
        assert!(refusals.is_empty());
        assert_eq!((got.max, got.wait, got.visibility), (max, wait, visibility));
    }
    let mut refusals = Refusals::default();
    receive(&request(11, Some(21), Some(43_201)), &mut refusals);
    receive(&request(-1, Some(-1), Some(-1)), &mut refusals);
    let fields = ["wait_time_seconds", "visibility_timeout_seconds", "max_messages"];
    assert_eq!(refusals.fields(), [fields, fields].concat());
}

#[test]
fn receipts_and_visibilities_are_counted_and_checked() {
    assert_eq!(receipts(vec!["a".into()]).unwrap(), [Receipt("a".into())]);
    let entry = |n| v1::ChangeMessageVisibilityEntry {
        receipt_handle: "a".into(),
        visibility_timeout_seconds: n,
    };
    let read = visibilities(vec![entry(0), entry(43_200)]).unwrap();
    assert_eq!(read[1], (Receipt("a".into()), Duration::from_secs(43_200)));
    assert_eq!(
        visibilities(vec![entry(0), entry(43_201), entry(-1)])
            .unwrap_err()
            .fields(),
        [
            "entries[1].visibility_timeout_seconds",
            "entries[2].visibility_timeout_seconds"
        ]
    );
    for n in [0, 11] {
        assert_eq!(
            receipts(vec![String::new(); n]).unwrap_err().field,
            "receipt_handles"
        );
        assert_eq!(visibilities(vec![entry(0); n]).unwrap_err().fields(), ["entries"]);
    }
    let answers = results(vec![
        Ok(()),
        Err(EntryError::Receipt("old".into())),
        Err(EntryError::Unavailable("io".into())),
    ]);
    let codes: Vec<_> = answers.iter().map(|r| r.error_code.as_str()).collect();
    assert_eq!(codes, ["", "INVALID_RECEIPT", "UNAVAILABLE"]);
}

fn message() -> Message {
    Message {
        id: "id".into(),
        receipt: Receipt("r".into()),
        body: Bytes::from_static(b"hi"),
        attributes: Arc::new(MessageAttributes::from([(
            "b".into(),
            MessageAttribute {
                data_type: "Binary.png".into(),
                value: AttributeValue::Binary(Bytes::from_static(&[1])),
            },
        )])),
        md5_of_body: "m".into(),
        md5_of_attributes: Some("n".into()),
        system: SystemAttributes {
            receive_count: 2,
            sent: Wall(1_000),
            first_received: Wall(2_000),
            sender: "s".into(),
            trace_header: Some("Root=1".into()),
            dead_letter_source: Some("arn".into()),
            group: Some("g".into()),
            fifo: Some(FifoAttributes {
                sequence: "5".into(),
                deduplication: "d".into(),
            }),
        },
        trace: None,
    }
}

#[test]
fn a_received_message_tells_all_that_is_known() {
    let m = to_api(&message());
    assert_eq!(
        (m.message_id.as_str(), m.receipt_handle.as_str(), m.body.as_str()),
        ("id", "r", "hi")
    );
    assert_eq!(m.attributes["b"].value, Some(Value::BinaryValue(vec![1].into())));
    assert_eq!((m.md5_of_body.as_str(), m.md5_of_attributes.as_str()), ("m", "n"));
    assert_eq!((m.receive_count, m.send_time.unwrap().seconds), (2, 1));
    assert_eq!(m.first_receive_time.unwrap().seconds, 2);
    assert_eq!(
        (
            m.message_group_id.as_str(),
            m.message_deduplication_id.as_str(),
            m.sequence_number.as_str()
        ),
        ("g", "d", "5")
    );
    assert_eq!(
        (m.aws_trace_header.as_str(), m.dead_letter_source_arn.as_str()),
        ("Root=1", "arn")
    );
    assert_eq!(m.state, 0);
}

#[test]
fn a_peeked_message_has_a_state_and_no_receipt() {
    use v1::MessageState as Told;
    for (state, told, until) in [
        (MessageState::Visible, Told::Visible, None),
        (MessageState::InFlight(Wall(3_000)), Told::InFlight, Some(3)),
        (MessageState::Delayed(Wall(4_000)), Told::Delayed, Some(4)),
        (MessageState::Blocked, Told::Blocked, None),
    ] {
        let mut message = message();
        message.system.receive_count = 0;
        let m = peeked_to_api(&PeekedMessage { message, state });
        assert_eq!((m.state(), m.visible_time.map(|t| t.seconds)), (told, until));
        assert_eq!((m.receipt_handle.as_str(), m.first_receive_time), ("", None));
    }
}
