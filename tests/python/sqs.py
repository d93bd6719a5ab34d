"""What tests do to queues of SQS, with AWS's own client: sqs.py URL ACCOUNT VERB [ARGUMENT...]

Whatever is printed is JSON, one value a line. The server takes the access key for the account, as its own protocol is.
"""

import json
import sys
import time

import boto3
from botocore.config import Config

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"


def client(url, account):
    return boto3.client(
        "sqs",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=account,
        aws_secret_access_key="secret",
        config=Config(retries={"mode": "standard", "total_max_attempts": 10}),
    )


def say(value):
    print(json.dumps(value), flush=True)


def create(sqs, name, visibility, *settings):
    """create NAME VISIBILITY [SETTING=VALUE...]"""
    attributes = {"VisibilityTimeout": visibility}
    attributes.update(setting.split("=", 1) for setting in settings)
    if name.endswith(".fifo"):
        attributes["FifoQueue"] = "true"
    say(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


def delete(sqs, name):
    """delete NAME"""
    sqs.delete_queue(QueueUrl=url_of(sqs, name))


def change(sqs, name, *settings):
    """change NAME SETTING=VALUE..."""
    attributes = dict(setting.split("=", 1) for setting in settings)
    sqs.set_queue_attributes(QueueUrl=url_of(sqs, name), Attributes=attributes)


def url_of(sqs, name):
    return sqs.get_queue_url(QueueName=name)["QueueUrl"]


def count(sqs, url):
    names = ["", "NotVisible", "Delayed"]
    names = ["ApproximateNumberOfMessages" + name for name in names]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return [int(found[name]) for name in names]


def depth(sqs, name):
    """depth NAME: messages that are visible, hidden, delayed"""
    say(count(sqs, url_of(sqs, name)))


def full(sqs, name):
    """full NAME: one message with all that a message can have; what was said of it"""
    more = {}
    if name.endswith(".fifo"):
        more = {"MessageGroupId": "group", "MessageDeduplicationId": "once"}
    said = sqs.send_message(
        QueueUrl=url_of(sqs, name),
        MessageBody='{"text": "ä"}',
        MessageAttributes={
            "n": {"DataType": "Number", "StringValue": "12.5"},
            "s": {"DataType": "String.label", "StringValue": "text"},
            "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": TRACE}},
        **more,
    )
    say({name: said[name] for name in said if name != "ResponseMetadata"})


def bodies(sqs, name, *texts):
    """bodies NAME BODY...: one message each, in order; of a FIFO queue in the group that the body begins with"""
    url = url_of(sqs, name)
    for n, text in enumerate(texts):
        more = {}
        if name.endswith(".fifo"):
            more = {"MessageGroupId": text[0], "MessageDeduplicationId": f"{time.time_ns()}-{n}"}
        say(sqs.send_message(QueueUrl=url, MessageBody=text, **more)["MessageId"])


def flood(sqs, name, messages, groups, most):
    """flood NAME MESSAGES GROUPS MOST: sends that many while at most so many are in the queue; a line for each: when it
    was acknowledged, its id, and its group"""
    url, messages, groups, most = url_of(sqs, name), int(messages), int(groups), int(most)
    fifo = name.endswith(".fifo")
    sent = 0
    while sent < messages:
        while sum(count(sqs, url)) > most - 10:
            time.sleep(0.05)
        entries = []
        for n in range(sent, min(sent + 10, messages)):
            entry = {"Id": str(n), "MessageBody": str(n)}
            if fifo:
                # Neighbours are of different groups, and groups follow each other in no fixed order.
                entry["MessageGroupId"] = f"group-{(n * 7919) % groups}"
                entry["MessageDeduplicationId"] = str(n)
            entries.append(entry)
        pending = entries
        while pending:
            said = sqs.send_message_batch(QueueUrl=url, Entries=pending)
            done = {entry["Id"]: entry["MessageId"] for entry in said.get("Successful", [])}
            for entry in pending:
                if entry["Id"] in done:
                    say({"at": time.time_ns(), "id": done[entry["Id"]], "group": entry.get("MessageGroupId")})
            pending = [entry for entry in pending if entry["Id"] not in done]
        sent += len(entries)


def main():
    url, account, verb, *arguments = sys.argv[1:]
    verbs = [create, delete, change, depth, full, bodies, flood]
    {each.__name__: each for each in verbs}[verb](client(url, account), *arguments)


main()
