"""Functions of queues and streams as users of AWS Lambda Powertools write them; what they handle goes to the file that JOURNAL names.

A message `TEXT` is handled, `TEXT flaky` fails when it is received for the first time, `TEXT bad` fails always.
"""

import os

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord


def note(what, record: SQSRecord):
    attributes = record.attributes
    group = getattr(attributes, "message_group_id", None) or "-"
    line = f"{what} {record.body.split()[0]} {attributes.approximate_receive_count} {group}\n"
    with open(os.environ["JOURNAL"], "a", encoding="utf-8") as journal:
        journal.write(line)


def handle(record: SQSRecord):
    words = record.body.split()
    first = record.attributes.approximate_receive_count == "1"
    if "bad" in words or ("flaky" in words and first):
        note("failed", record)
        raise ValueError(f"cannot handle {record.body}")
    note("done", record)


def standard(event, context):
    processor = BatchProcessor(event_type=EventType.SQS)
    return process_partial_response(event=event, record_handler=handle, processor=processor, context=context)


def fifo(event, context):
    processor = SqsFifoPartialProcessor()
    return process_partial_response(event=event, record_handler=handle, processor=processor, context=context)


def fifo_skip(event, context):
    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    return process_partial_response(event=event, record_handler=handle, processor=processor, context=context)


seen = set()


def handle_kinesis(record: KinesisStreamRecord):
    """As `handle`; how often a record came is counted here, and noted with its partition key in place of a group."""
    data = record.kinesis
    text = data.data_as_text()
    first = data.sequence_number not in seen
    seen.add(data.sequence_number)
    words = text.split()
    failed = "bad" in words or ("flaky" in words and first)
    with open(os.environ["JOURNAL"], "a", encoding="utf-8") as journal:
        journal.write(f"{'failed' if failed else 'done'} {words[0]} {1 if first else 2} {data.partition_key}\n")
    if failed:
        raise ValueError(f"cannot handle {text}")


def kinesis(event, context):
    processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
    return process_partial_response(
        event=event, record_handler=handle_kinesis, processor=processor, context=context
    )


def handle_change(record: DynamoDBRecord):
    """Notes what Powertools makes of a change; the item `bad` fails."""
    change = record.dynamodb
    image = change.new_image
    with open(os.environ["JOURNAL"], "a", encoding="utf-8") as journal:
        journal.write(f"{record.event_name.name} {change.keys} {image} {change.sequence_number} {change.size_bytes}\n")
    if change.keys["id"] == "bad":
        raise ValueError(f"cannot handle {change.keys}")


def dynamodb(event, context):
    processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
    return process_partial_response(event=event, record_handler=handle_change, processor=processor, context=context)
