"""An ordinary AWS Lambda function for `awslambdaric`: the Python twin of rust-delays, standard library only.

It writes down which flights it has processed, in order, so that a checker can sum them; it knows nothing of
Millstream.

- A flight without a departure time (a cancelled one) is refused: its sequence number is returned in
  `batchItemFailures`.
- Only flights before the first refused one count as processed and are written: the batch comes again from the
  first refused one.
- DELAYS_OUT_DIR: where the file `python.log` goes, one line `n tail arr_delay sequence` per flight, one appending
  write per batch, before the function returns. All processes share the file, so that its order is the order in
  which they finished.
- DELAYS_THROW_DIR, if set: the first batch of several that holds a flight whose `n` is 5,000, 55,000, 105,000, ...
  throws, once per such `n`: a marker file remembers.
"""

import json
import os
from binascii import a2b_base64

_path = os.path.join(os.environ["DELAYS_OUT_DIR"], "python.log")
_out = os.open(_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
_throw_dir = os.environ.get("DELAYS_THROW_DIR")


def _throw_once(n):
    try:
        os.close(os.open(os.path.join(_throw_dir, f"python-{n}"), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    raise RuntimeError(f"thrown on purpose, once, for flight {n}")


def _write(lines):
    """All of it, though one call nearly always does."""
    rest = memoryview("".join(lines).encode())
    while rest:
        rest = rest[os.write(_out, rest) :]


def handler(event, context):
    lines, refused = [], []
    for record in event["Records"]:
        kinesis = record["kinesis"]
        flight = json.loads(a2b_base64(kinesis["data"]))
        n = flight["n"]
        # A batch of one has no retry left that would save its flight.
        if _throw_dir and n % 50_000 == 5_000 and len(event["Records"]) > 1:
            _throw_once(n)
        if flight.get("dep_time") is None:
            refused.append({"itemIdentifier": kinesis["sequenceNumber"]})
        elif not refused:
            delay = flight.get("arr_delay")
            shown = "-" if delay is None else f"{delay:g}"
            lines.append(f"{n} {flight.get('tail') or '-'} {shown} {kinesis['sequenceNumber']}\n")
    _write(lines)
    return {"batchItemFailures": refused}
