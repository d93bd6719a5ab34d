"""Adds up per tumbling window, as AWS's documentation shows it; what a window came to goes to the file that JOURNAL names."""

import base64
import json
import os


def handler(event, context):
    state = event["state"]
    for record in event["Records"]:
        kinesis = record["kinesis"]
        state["sum"] = state.get("sum", 0) + int(base64.b64decode(kinesis["data"]).split()[0])
        state["count"] = state.get("count", 0) + 1
        state["last"] = kinesis["sequenceNumber"]
    if event["isFinalInvokeForWindow"]:
        assert event["Records"] == []
        total = {
            "shard": event["shardId"],
            "source": event["eventSourceARN"],
            "start": event["window"]["start"],
            "end": event["window"]["end"],
            "early": event["isWindowTerminatedEarly"],
            "state": state,
        }
        with open(os.environ["JOURNAL"], "a", encoding="utf-8") as journal:
            journal.write(json.dumps(total) + "\n")
    return {"state": state}
