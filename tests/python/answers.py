"""A function that answers as its records tell it to, and notes every invocation in the file that JOURNAL names.

A record or message `NAME` is handled; `NAME raise` makes the function throw, `NAME report` is reported as failed, and
`NAME answer TEXT` makes TEXT the answer, byte by byte, `$ID` in it being the record's own identifier.
"""

import base64
import json
import os


def identifier_and_text(record):
    if "kinesis" in record:
        kinesis = record["kinesis"]
        return kinesis["sequenceNumber"], base64.b64decode(kinesis["data"]).decode()
    return record["messageId"], record["body"]


def handler(event, context):
    records = [identifier_and_text(record) for record in event["Records"]]
    source = event["Records"][0]["eventSourceARN"].split(":")[-1].split("/")[-1]
    note = {
        "source": source,
        "request": context.aws_request_id,
        "records": [text.split()[0] for _, text in records],
    }
    with open(os.environ["JOURNAL"], "a", encoding="utf-8") as journal:
        journal.write(json.dumps(note) + "\n")
    failed = []
    for record_id, text in records:
        name, _, what = text.partition(" ")
        if what == "raise":
            raise ValueError(f"cannot handle {name}")
        if what == "report":
            failed.append({"itemIdentifier": record_id})
        if what.startswith("answer"):
            return what.removeprefix("answer ").replace("$ID", record_id).encode()
    return {"batchItemFailures": failed}
