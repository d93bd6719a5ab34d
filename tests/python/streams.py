"""What tests do to streams, with AWS's own client: streams.py VERB [ARGUMENT...]

Where the servers are is said by AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL_DYNAMODBSTREAMS.
Whatever is printed is JSON, one value a line.
"""

import json
import sys
import time

import boto3
from botocore.config import Config

RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 10})
# Most records of one put: as many different keys, so that none overtakes an earlier one of its key.
PUT = 100


def say(value):
    print(json.dumps(value), flush=True)


def client(service):
    return boto3.client(service, config=RETRIES)


def active(kinesis, name):
    while True:
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        if summary["StreamStatus"] == "ACTIVE":
            return summary
        time.sleep(0.05)


def stream(name, shards):
    """stream NAME SHARDS: makes it; its ARN"""
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=int(shards))
    say(active(kinesis, name)["StreamARN"])


def table(name):
    """table NAME: makes it, with a stream of both images; the stream's ARN"""
    made = client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "item", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "item", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    say(made["TableDescription"]["LatestStreamArn"])


def consumer(stream_arn, name):
    """consumer STREAM_ARN NAME: registers it, for enhanced fan-out; its ARN"""
    kinesis = client("kinesis")
    made = kinesis.register_stream_consumer(StreamARN=stream_arn, ConsumerName=name)["Consumer"]
    while True:
        told = kinesis.describe_stream_consumer(ConsumerARN=made["ConsumerARN"])["ConsumerDescription"]
        if told["ConsumerStatus"] == "ACTIVE":
            break
        time.sleep(0.05)
    say(made["ConsumerARN"])


def records(name, *payloads):
    """records NAME PAYLOAD...: one record each, under the key that stands before its colon"""
    kinesis = client("kinesis")
    for payload in payloads:
        key = payload.split(":")[0]
        said = kinesis.put_record(StreamName=name, PartitionKey=key, Data=payload.encode())
        say({"shard": said["ShardId"], "sequence": said["SequenceNumber"]})


def open_shards(kinesis, name):
    found = kinesis.list_shards(StreamName=name)["Shards"]
    found = [s for s in found if "EndingSequenceNumber" not in s["SequenceNumberRange"]]
    return sorted(found, key=lambda s: int(s["HashKeyRange"]["StartingHashKey"]))


def split(kinesis, name):
    active(kinesis, name)
    shard = open_shards(kinesis, name)[0]
    low, high = (int(shard["HashKeyRange"][end + "HashKey"]) for end in ("Starting", "Ending"))
    kinesis.split_shard(StreamName=name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str((low + high) // 2))
    active(kinesis, name)


def merge(kinesis, name):
    active(kinesis, name)
    one, other = open_shards(kinesis, name)[-2:]
    kinesis.merge_shards(StreamName=name, ShardToMerge=one["ShardId"], AdjacentShardToMerge=other["ShardId"])
    active(kinesis, name)


def flood(name, count, keys, pause=0):
    """flood NAME RECORDS KEYS [PAUSE]: puts that many, and splits and merges shards on the way, with a pause of so many
    seconds after each put of 100; a line for each record, when it was acknowledged"""
    kinesis, count, keys = client("kinesis"), int(count), int(keys)
    changes = [split, merge, split, merge]
    for begin in range(0, count, PUT):
        if changes and begin >= count * (5 - len(changes)) // 6:
            changes.pop(0)(kinesis, name)
        pending = [f"k{n % keys}:{n // keys}" for n in range(begin, min(begin + PUT, count))]
        while pending:
            entries = [{"PartitionKey": p.split(":")[0], "Data": p.encode()} for p in pending]
            said = kinesis.put_records(StreamName=name, Records=entries)["Records"]
            for payload, answer in zip(pending, said):
                if "SequenceNumber" in answer:
                    say({"at": time.time_ns(), "id": payload})
            pending = [p for p, answer in zip(pending, said) if "SequenceNumber" not in answer]
        time.sleep(float(pause))


def changes(name, count, items, pause=0):
    """changes TABLE CHANGES ITEMS [PAUSE]: puts items over and over, with a pause of so many seconds after each ten; a line
    for each change, when it was acknowledged"""
    dynamodb, items = client("dynamodb"), int(items)
    for n in range(int(count)):
        item, payload = f"i{n % items}", f"i{n % items}:{n // items}"
        dynamodb.put_item(TableName=name, Item={"item": {"S": item}, "payload": {"S": payload}})
        say({"at": time.time_ns(), "id": payload})
        if n % 10 == 9:
            time.sleep(float(pause))


def rich(name):
    """rich TABLE: an item with every type of attribute, then the same without most of them, then none"""
    dynamodb = client("dynamodb")
    item = {
        "item": {"S": "one"},
        "text": {"S": "ä \"quoted\" \u2028"},
        "number": {"N": "123.450"},
        "large": {"N": "12345678901234567890123456789012345678"},
        "bytes": {"B": b"\x00\xff"},
        "yes": {"BOOL": True},
        "nothing": {"NULL": True},
        "texts": {"SS": ["a", "b"]},
        "numbers": {"NS": ["1", "2.5"]},
        "blobs": {"BS": [b"\x00", b"\x01"]},
        "list": {"L": [{"N": "1"}, {"M": {"deep": {"L": [{"B": b"\x02"}]}}}]},
        "map": {"M": {"a": {"S": "b"}}},
    }
    dynamodb.put_item(TableName=name, Item=item)
    dynamodb.put_item(TableName=name, Item={"item": {"S": "one"}})
    dynamodb.delete_item(TableName=name, Key={"item": {"S": "one"}})


def main():
    verb, *arguments = sys.argv[1:]
    verbs = [stream, table, consumer, records, flood, changes, rich]
    {each.__name__: each for each in verbs}[verb](*arguments)


main()
