"""An ordinary AWS Lambda function for a FIFO queue, one departure per message, the destination its message group;
for `awslambdaric`, standard library only. It knows nothing of Millstream.

- A departure without a time of arrival (the flight never came where it was to go) is refused: its message id is
  returned in `batchItemFailures`, and the others of the batch are done.
- FLIGHTS_OUT_DIR: where the file `departures.log` goes, one line per departure,
  `n group dep_delay SequenceNumber receives sent handled`, one appending write per batch, before the function
  returns. All processes share the file, so that its order is the order in which they finished. `receives` is how
  often the message was received so far; `sent` and `handled` are milliseconds since 1970: when it was sent, and when
  this batch came here.
- FLIGHTS_WORK_MS, if set: how long a batch takes before that, as if another service were asked.
"""

import json
import os
import time

_path = os.path.join(os.environ["FLIGHTS_OUT_DIR"], "departures.log")
_out = os.open(_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
_work = int(os.environ.get("FLIGHTS_WORK_MS", "0")) / 1000


def _write(lines):
    """All of it, though one call nearly always does."""
    rest = memoryview("".join(lines).encode())
    while rest:
        rest = rest[os.write(_out, rest) :]


def handler(event, context):
    handled = time.time_ns() // 1_000_000
    lines, refused = [], []
    for message in event["Records"]:
        flight, attributes = json.loads(message["body"]), message["attributes"]
        if flight.get("arr_time") is None:
            refused.append({"itemIdentifier": message["messageId"]})
            continue
        group, sequence = attributes["MessageGroupId"], attributes["SequenceNumber"]
        receives, sent = attributes["ApproximateReceiveCount"], attributes["SentTimestamp"]
        lines.append(f"{flight['n']} {group} {flight['dep_delay']} {sequence} {receives} {sent} {handled}\n")
    time.sleep(_work)
    _write(lines)
    return {"batchItemFailures": refused}
