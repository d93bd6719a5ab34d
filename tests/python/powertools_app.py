"""Functions of queues as users of AWS Lambda Powertools write them; what they handle goes to the file that JOURNAL names.

A message `TEXT` is handled, `TEXT flaky` fails when it is received for the first time, `TEXT bad` fails always.
"""

import os

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    SqsFifoPartialProcessor,
    process_partial_response,
)
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
