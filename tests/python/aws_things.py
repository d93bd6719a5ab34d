"""What tests need to be there on AWS, made and read with AWS's own clients: aws_things.py URL ACCOUNT VERB [ARGUMENT...]

Whatever is printed is JSON, one value a line. The server takes the access key for the account, as its own protocol is.
"""

import io
import json
import sys
import time
import zipfile

import boto3
from botocore.config import Config

# Notes each event in a file, with the name by which it was called; does as records, or the event, say.
CODE = """
import base64, json, os, time

def told(event):
    records = event.get("Records")
    if records is None:
        return [event.get("do")]
    return [base64.b64decode(r["kinesis"]["data"]).decode() for r in records]

def handler(event, context):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps([context.invoked_function_arn, event]) + "\\n")
    for what in told(event):
        if what.startswith("bad"):
            raise ValueError("boom")
        if what == "sleep":
            time.sleep(30)
        if what == "long":
            return "x" * 6291555
        if what == "longest":
            return "x" * 6291554
    return {"batchItemFailures": []}
"""


def client(service, url, account):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=account,
        aws_secret_access_key="secret",
        config=Config(retries={"mode": "standard", "total_max_attempts": 10}),
    )


def say(value):
    print(json.dumps(value), flush=True)


def function(of, name, timeout, notes):
    """function NAME TIMEOUT FILE: with the alias `live` of its first version"""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("app.py", CODE)
    made = of("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Handler="app.handler",
        Role="arn:aws:iam::123456789012:role/orders",
        Code={"ZipFile": archive.getvalue()},
        Timeout=int(timeout),
        Environment={"Variables": {"NOTES": notes}},
    )
    version = of("lambda").publish_version(FunctionName=name)["Version"]
    of("lambda").create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    say(made["FunctionArn"])


def limit(of, name, concurrency):
    """limit NAME CONCURRENCY: `none` for no limit"""
    if concurrency == "none":
        of("lambda").delete_function_concurrency(FunctionName=name)
    else:
        of("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=int(concurrency))


def queue(of, name):
    """queue NAME"""
    url = of("sqs").create_queue(QueueName=name)["QueueUrl"]
    found = of("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    say(found["Attributes"]["QueueArn"])


def topic(of, name, queue_arn):
    """topic NAME QUEUE_ARN: with that queue as its subscriber, which gets messages as they were published"""
    arn = of("sns").create_topic(Name=name)["TopicArn"]
    of("sns").subscribe(
        TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"}
    )
    say(arn)


def bucket(of, name):
    """bucket NAME"""
    of("s3").create_bucket(Bucket=name)
    say(f"arn:aws:s3:::{name}")


def bodies(of, name):
    """bodies NAME: of what is in a queue, once there is something"""
    url = of("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    for _ in range(60):
        got = of("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        if got.get("Messages"):
            for message in got["Messages"]:
                say(message["Body"])
            return


def objects(of, name):
    """objects NAME: key, content type and content of what is in a bucket, once there is something"""
    for _ in range(60):
        found = of("s3").list_objects_v2(Bucket=name).get("Contents", [])
        for one in found:
            got = of("s3").get_object(Bucket=name, Key=one["Key"])
            say([one["Key"], got["ContentType"], got["Body"].read().decode()])
        if found:
            return
        time.sleep(1)


VERBS = {f.__name__: f for f in [function, limit, queue, topic, bucket, bodies, objects]}

if __name__ == "__main__":
    url, account, verb = sys.argv[1:4]
    VERBS[verb](lambda service: client(service, url, account), *sys.argv[4:])
