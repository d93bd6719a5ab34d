"""The smallest useful Lambda function for a stream, for `awslambdaric`: prints what it gets, and fails on request.

A record that says `"fail": true` makes it throw, so that one can watch what becomes of a batch that fails.
"""

import json
from base64 import b64decode


def handler(event, context):
    for record in event["Records"]:
        kinesis = record["kinesis"]
        order = json.loads(b64decode(kinesis["data"]))
        if order.get("fail"):
            raise ValueError(f"order {order} of {kinesis['partitionKey']} cannot be handled")
        print(kinesis["partitionKey"], order, flush=True)
    return {"handled": len(event["Records"])}
