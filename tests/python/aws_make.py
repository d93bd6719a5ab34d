"""Makes a mapping with AWS's own client: aws_make.py ARN FUNCTION; prints its UUID, or what kept it from being made."""

import json
import sys

import boto3
from botocore.exceptions import ClientError

arn, function = sys.argv[1:]
try:
    made = boto3.client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName=function)
    print(json.dumps({"uuid": made["UUID"], "arn": made["EventSourceArn"]}))
except ClientError as e:
    print(json.dumps({"code": e.response["Error"]["Code"], "message": e.response["Error"]["Message"]}))
