"""A client that is not ours: boto3, unmodified, on mappings of streams and queues, tags and functions.

The server is named by the environment (AWS_ENDPOINT_URL_LAMBDA and AWS_ENDPOINT_URL_STS). There are a stream `orders`, the
queues `jobs` and `jobs.fifo`, and the functions `f` and `g`. Ends with 0 if everything was as it should be.
"""

import datetime
import re
import time

import boto3
from botocore.exceptions import ClientError

ACCOUNT = "000000000000"
STREAM = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs"
FIFO = f"{QUEUE}.fifo"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

aws = boto3.client("lambda")


def until(what, look, seconds=60):
    """Looks until there is an answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def refused(code, call):
    """The message of a call that must fail."""
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response["Error"]["Message"]
    raise AssertionError(f"not refused with {code}")


def state(uuid, wanted):
    """Waits for a state."""

    def look():
        found = aws.get_event_source_mapping(UUID=uuid)
        return found if found["State"] == wanted else None

    return until(f"{uuid} to be {wanted}", look)


def gone(uuid):
    """Deletes, and waits until it is done."""
    answer = aws.delete_event_source_mapping(UUID=uuid)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["State"] == "Deleting" and answer["UUID"] == uuid

    def look():
        try:
            aws.get_event_source_mapping(UUID=uuid)
        except aws.exceptions.ResourceNotFoundException:
            return True
        return False

    until(f"{uuid} to be gone", look)


def members(answer):
    """The members of a configuration."""
    return {name for name in answer if name != "ResponseMetadata"}


COMMON = {
    "UUID",
    "EventSourceMappingArn",
    "EventSourceArn",
    "FunctionArn",
    "LastModified",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "FunctionResponseTypes",
    "State",
    "StateTransitionReason",
}
OF_STREAMS = COMMON | {
    "StartingPosition",
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "TumblingWindowInSeconds",
    "DestinationConfig",
    "LastProcessingResult",
}


def streams():
    made = aws.create_event_source_mapping(EventSourceArn=STREAM, FunctionName="f", StartingPosition="TRIM_HORIZON")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    uuid = made["UUID"]
    assert UUID.fullmatch(uuid), uuid
    assert members(made) == OF_STREAMS, members(made) ^ OF_STREAMS
    assert made["EventSourceMappingArn"] == f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:{uuid}"
    assert made["FunctionArn"] == FUNCTION and made["EventSourceArn"] == STREAM
    assert made["State"] == "Creating" and made["StateTransitionReason"] == "User action"
    assert made["LastProcessingResult"] == "No records processed"
    assert made["BatchSize"] == 100 and made["MaximumBatchingWindowInSeconds"] == 0
    assert made["MaximumRetryAttempts"] == -1 and made["MaximumRecordAgeInSeconds"] == -1
    assert made["ParallelizationFactor"] == 1 and made["TumblingWindowInSeconds"] == 0
    assert made["BisectBatchOnFunctionError"] is False
    assert made["DestinationConfig"] == {"OnFailure": {}} and made["FunctionResponseTypes"] == []
    assert isinstance(made["LastModified"], datetime.datetime)
    enabled = state(uuid, "Enabled")

    # A change keeps what it does not name, and null is not named.
    changed = aws.update_event_source_mapping(
        UUID=uuid,
        BatchSize=7,
        MaximumRetryAttempts=3,
        BisectBatchOnFunctionError=True,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        DestinationConfig={"OnFailure": {"Destination": QUEUE}},
        MetricsConfig={"Metrics": ["EventCount"]},
        TumblingWindowInSeconds=60,
    )
    assert changed["ResponseMetadata"]["HTTPStatusCode"] == 202 and changed["State"] == "Updating"
    changed = state(uuid, "Enabled")
    assert members(changed) == OF_STREAMS | {"MetricsConfig"}
    assert changed["BatchSize"] == 7 and changed["MaximumRetryAttempts"] == 3 and changed["ParallelizationFactor"] == 1
    assert changed["DestinationConfig"] == {"OnFailure": {"Destination": QUEUE}}
    assert changed["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert changed["MetricsConfig"] == {"Metrics": ["EventCount"]}
    assert changed["TumblingWindowInSeconds"] == 60
    assert changed["LastModified"] >= enabled["LastModified"]

    # Empty clears.
    aws.update_event_source_mapping(
        UUID=uuid,
        DestinationConfig={"OnFailure": {"Destination": ""}},
        FunctionResponseTypes=[],
        MetricsConfig={"Metrics": []},
        TumblingWindowInSeconds=0,
    )
    cleared = state(uuid, "Enabled")
    assert cleared["DestinationConfig"] == {"OnFailure": {}} and cleared["FunctionResponseTypes"] == []
    assert "MetricsConfig" not in cleared and cleared["BatchSize"] == 7

    # Off and on again.
    answer = aws.update_event_source_mapping(UUID=uuid, Enabled=False)
    assert answer["State"] == "Disabling"
    state(uuid, "Disabled")
    answer = aws.update_event_source_mapping(UUID=uuid, Enabled=True)
    assert answer["State"] == "Enabling"
    state(uuid, "Enabled")

    # To another function.
    answer = aws.update_event_source_mapping(UUID=uuid, FunctionName=f"{ACCOUNT}:function:g")
    assert answer["FunctionArn"].endswith(":function:g")
    state(uuid, "Enabled")
    gone(uuid)

    at = datetime.datetime(2026, 1, 1, 12, 0, 0, 123000, tzinfo=datetime.timezone.utc)
    made = aws.create_event_source_mapping(
        EventSourceArn=STREAM,
        FunctionName=FUNCTION,
        StartingPosition="AT_TIMESTAMP",
        StartingPositionTimestamp=at.timestamp(),
        Enabled=False,
        FilterCriteria={"Filters": []},
    )
    assert members(made) == OF_STREAMS | {"StartingPositionTimestamp"}
    assert made["StartingPositionTimestamp"] == at, made["StartingPositionTimestamp"]
    assert made["State"] == "Creating"
    state(made["UUID"], "Disabled")
    gone(made["UUID"])


def queues():
    made = aws.create_event_source_mapping(
        EventSourceArn=QUEUE,
        FunctionName="f",
        BatchSize=100,
        MaximumBatchingWindowInSeconds=1,
        ScalingConfig={"MaximumConcurrency": 5},
        FunctionResponseTypes=["ReportBatchItemFailures"],
        Tags={"team": "a b", "empty": ""},
    )
    uuid = made["UUID"]
    assert members(made) == COMMON | {"ScalingConfig"}, members(made)
    assert made["StateTransitionReason"] == "USER_INITIATED" and made["ScalingConfig"] == {"MaximumConcurrency": 5}
    state(uuid, "Enabled")
    refused_text = refused(
        "InvalidParameterValueException",
        lambda: aws.update_event_source_mapping(UUID=uuid, ProvisionedPollerConfig={"MinimumPollers": 2}),
    )
    assert "ScalingConfig.MaximumConcurrency" in refused_text, refused_text
    aws.update_event_source_mapping(UUID=uuid, ScalingConfig={}, ProvisionedPollerConfig={"MinimumPollers": 3})
    changed = state(uuid, "Enabled")
    assert members(changed) == COMMON | {"ProvisionedPollerConfig"}
    assert changed["ProvisionedPollerConfig"] == {"MinimumPollers": 3}
    aws.update_event_source_mapping(UUID=uuid, ProvisionedPollerConfig={})
    assert members(state(uuid, "Enabled")) == COMMON
    criteria = {"Filters": [{"Pattern": '{"body":["x"]}'}, {"Pattern": '{"body":{"n":[{"numeric":[">",0]}]}}'}]}
    aws.update_event_source_mapping(UUID=uuid, FilterCriteria=criteria)
    assert state(uuid, "Enabled")["FilterCriteria"] == criteria
    bad = {"Filters": [{"Pattern": '{"body":"x"}'}]}
    refused_text = refused(
        "InvalidParameterValueException",
        lambda: aws.update_event_source_mapping(UUID=uuid, FilterCriteria=bad),
    )
    assert refused_text == "Invalid filter pattern definition.", refused_text
    aws.update_event_source_mapping(UUID=uuid, FilterCriteria={})
    assert members(state(uuid, "Enabled")) == COMMON
    tags(made["EventSourceMappingArn"], {"team": "a b", "empty": ""})
    gone(uuid)

    made = aws.create_event_source_mapping(EventSourceArn=FIFO, FunctionName="f", Enabled=False)
    assert made["State"] == "Disabled" and made["BatchSize"] == 10
    aws.get_event_source_mapping(UUID=made["UUID"])
    state(made["UUID"], "Disabled")
    gone(made["UUID"])


def tags(arn, expected):
    assert aws.list_tags(Resource=arn)["Tags"] == expected
    answer = aws.tag_resource(Resource=arn, Tags={"team": "c", "x/y": "1"})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert aws.list_tags(Resource=arn)["Tags"] == {**expected, "team": "c", "x/y": "1"}
    answer = aws.untag_resource(Resource=arn, TagKeys=["x/y", "team", "none"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    left = {name: value for name, value in expected.items() if name != "team"}
    assert aws.list_tags(Resource=arn)["Tags"] == left


def functions():
    found = aws.get_function(FunctionName="f")
    configuration = found["Configuration"]
    assert configuration["FunctionArn"] == FUNCTION and configuration["Version"] == "$LATEST"
    assert configuration["State"] == "Active" and configuration["Timeout"] == 3
    assert "Tags" not in found
    again = aws.get_function_configuration(FunctionName=FUNCTION, Qualifier="$LATEST")
    assert {**configuration, "ResponseMetadata": None} == {**again, "ResponseMetadata": None}
    aws.get_waiter("function_active_v2").wait(FunctionName="f")
    names = [f["FunctionName"] for page in aws.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1}) for f in page["Functions"]]
    assert names == ["f", "g", "slow"], names
    tags(FUNCTION, {})
    aws.tag_resource(Resource=FUNCTION, Tags={"a": "b"})
    assert aws.get_function(FunctionName="f")["Tags"] == {"a": "b"}
    aws.untag_resource(Resource=FUNCTION, TagKeys=["a"])
    for name in ["nope", "f:1"]:
        text = refused("ResourceNotFoundException", lambda: aws.get_function(FunctionName=name))
        assert text == f"Function not found: arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}", text
    answer = aws.invoke(FunctionName="f", Payload=b'{"Records": []}')
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST", answer
    assert aws.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204
    refused("InvalidParameterValueException", lambda: aws.invoke(FunctionName="f", InvocationType="Event"))
    refused("InvalidRequestContentException", lambda: aws.invoke(FunctionName="f", Payload=b"{"))
    identity = boto3.client("sts").get_caller_identity()
    assert identity["Account"] == ACCOUNT and identity["Arn"].startswith("arn:aws:iam::"), identity


def paging():
    wanted = {}
    for function in ["f", "g", "slow"]:
        made = aws.create_event_source_mapping(
            EventSourceArn=STREAM, FunctionName=function, StartingPosition="LATEST", Enabled=False
        )
        wanted[made["UUID"]] = function
    made = aws.create_event_source_mapping(EventSourceArn=QUEUE, FunctionName="f", Enabled=False)
    wanted[made["UUID"]] = "f"
    pages = aws.get_paginator("list_event_source_mappings")

    def listed(size, **filters):
        found = [p["EventSourceMappings"] for p in pages.paginate(PaginationConfig={"PageSize": size}, **filters)]
        assert all(len(page) <= size for page in found), found
        return {m["UUID"]: m["FunctionArn"].rsplit(":", 1)[1] for page in found for m in page}

    for size in [1, 3, 100, 10_000]:
        assert listed(size) == wanted, size
    of_f = {uuid: function for uuid, function in wanted.items() if function == "f"}
    for name in ["f", FUNCTION, f"{ACCOUNT}:function:f"]:
        assert listed(1, FunctionName=name) == of_f, name
    for name in ["f:1", "f:$LATEST", "nope"]:
        assert listed(1, FunctionName=name) == {}, name
    assert listed(2, EventSourceArn=QUEUE) == {made["UUID"]: "f"}
    assert listed(2, EventSourceArn=QUEUE, FunctionName="g") == {}
    first = aws.list_event_source_mappings(MaxItems=1)
    wrong = refused(
        "InvalidParameterValueException",
        lambda: aws.list_event_source_mappings(Marker=first["NextMarker"], FunctionName="g"),
    )
    assert "Marker" in wrong, wrong
    for uuid in wanted:
        state(uuid, "Disabled")
        gone(uuid)
    assert listed(100) == {}


functions()
streams()
queues()
paging()
