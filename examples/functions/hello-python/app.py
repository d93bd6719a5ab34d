"""The smallest useful Lambda function for a stream or queue, for `awslambdaric`: prints what it gets, and fails on request.

A record that says `"fail": true` makes it throw, so that one can watch what becomes of a batch that fails.
"""

import json
from base64 import b64decode


def content(record):
    """Who a record is about, and what it says."""
    if "kinesis" in record:
        kinesis = record["kinesis"]
        return kinesis["partitionKey"], b64decode(kinesis["data"])
    return record["attributes"].get("MessageGroupId", "somebody"), record["body"]


def handler(event, context):
    for record in event["Records"]:
        who, text = content(record)
        order = json.loads(text)
        if order.get("fail"):
            raise ValueError(f"order {order} of {who} cannot be handled")
        print(who, order, flush=True)
    return {"handled": len(event["Records"])}
