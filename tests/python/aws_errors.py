"""Every refusal of AWS that applies here, with its status, exception and exact words; sent raw, as SDKs check some of it
themselves. And whether the server's errors read as botocore's model says.

Argument: the server's address. There are a stream `orders`, the queues `jobs` and `jobs.fifo` (visibility 30 s), and the
functions `f` (3 s), `g` and `slow` (60 s). Ends with 0 if everything was as it should be.
"""

import http.client
import json
import sys

import botocore.session

ACCOUNT = "000000000000"
STREAM = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs"
FIFO = f"{QUEUE}.fifo"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/tab/stream/2026-01-01T00:00:00.000"
KAFKA = f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/c/6f9619ff-8b86-4d11-b42d-00c04fc964ff-1"
PATH = "/2015-03-31/event-source-mappings"
NOWHERE = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"
MAPPING = f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:{NOWHERE}"

INVALID = (400, "InvalidParameterValueException")
MODEL = (400, "ValidationException")
MISSING = (404, "ResourceNotFoundException")
CONFLICT = (409, "ResourceConflictException")

address = sys.argv[1]
model = botocore.session.get_session().get_service_model("lambda")


def call(method, path, body=None):
    """Status, exception, and the body of an answer."""
    connection = http.client.HTTPConnection(address, timeout=30)
    text = None if body is None else body if isinstance(body, str) else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.getheader("x-amzn-errortype"), json.loads(content) if content else None


def message(answer):
    """The message, from the member in which this exception has it by the model."""
    status, exception, body = answer
    try:
        members = model.shape_for(exception).members
    except Exception:  # noqa: BLE001 - not an exception of Lambda's own
        return body["message"]
    member = next(name for name in members if name.lower() == "message")
    assert body.get("Type") == "User" or status == 500, body
    return body[member]


def constraint(value, at, rule):
    return f"1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: Member must {rule}"


def stream(**more):
    return {"EventSourceArn": STREAM, "FunctionName": "f", "StartingPosition": "LATEST", **more}


def queue(arn=QUEUE, **more):
    return {"EventSourceArn": arn, "FunctionName": "f", **more}


def without(body, name):
    return {key: value for key, value in body.items() if key != name}


def unsupported(name):
    return f"Unsupported {name} parameter for given event source mapping type."


NULL_START = (
    "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
    "Member must not be null."
)
AGE = "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)"
WINDOW = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
NO_QUEUE = (
    "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: "
    "The specified queue does not exist."
)
POSITIONS = "satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"
METRICS = (
    "MetricsConfig is only available for Provisioned Mode. Enable Provisioned Mode by specifying MinimumPollers in "
    "ProvisionedPollerConfig."
)
RESPONSES = (
    "satisfy constraint: [Member must satisfy enum value set: [ReportBatchItemFailures], Member must not be null]"
)
SELF_MANAGED = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["h:9092"]}}
ACCESS = [{"Type": "BASIC_AUTH", "URI": "arn:aws:secretsmanager:x"}]

# The body of a create, what is answered, and its words.
CREATES = [
    (without(stream(), "StartingPosition"), INVALID, NULL_START),
    (queue(TABLE), INVALID, NULL_START),
    (stream(StartingPosition="invalid"), MODEL, constraint("invalid", "startingPosition", POSITIONS)),
    (queue(TABLE, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1),
     INVALID, f"Unsupported starting position for arn type: {TABLE}"),
    (stream(StartingPositionTimestamp=1), INVALID, "Timestamp only valid with StartingPosition AT_TIMESTAMP"),
    (stream(MaximumRecordAgeInSeconds=0), INVALID, AGE),
    (stream(MaximumRecordAgeInSeconds=59), INVALID, AGE),
    (queue(TABLE, StartingPosition="LATEST", MaximumRecordAgeInSeconds=59), INVALID, AGE),
    (stream(ParallelizationFactor=2, TumblingWindowInSeconds=60),
     INVALID, "Parallelization factor must be equal to 1 when tumbling window period is configured"),
    (queue(TumblingWindowInSeconds=60), INVALID, unsupported("TumblingWindowInSeconds")),
    (stream(ScalingConfig={"MaximumConcurrency": 5}), INVALID, unsupported("ScalingConfig")),
    (stream(DestinationConfig={"OnSuccess": {"Destination": QUEUE}}),
     INVALID, "OnSuccess configuration is not supported for event source mappings."),
    (queue(DestinationConfig={"OnFailure": {"Destination": STREAM}}), INVALID, unsupported("DestinationConfig")),
    (queue(BatchSize=11), INVALID, WINDOW),
    (queue(FIFO, MaximumBatchingWindowInSeconds=1), INVALID, "Batching window is not supported for FIFO queues"),
    (queue(FunctionName="slow"),
     INVALID, "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds"),
    (queue(QUEUE + "x"), INVALID, NO_QUEUE),
    (stream(EventSourceArn=STREAM + "x"), INVALID, f"Stream not found: {STREAM}x"),
    (stream(FunctionName="nope"), INVALID, "Function does not exist"),
    ({"FunctionName": "f"}, INVALID, "Unrecognized event source."),
    (queue("arn:aws:s3:::bucket"), INVALID, "Unrecognized event source."),
    (queue(FunctionResponseTypes=["Bad"]), MODEL, constraint("[Bad]", "functionResponseTypes", RESPONSES)),
    ({"FunctionName": "f", "SelfManagedEventSource": SELF_MANAGED},
     INVALID, "Required 'sourceAccessConfigurations' parameter is missing."),
    ({"FunctionName": "f", "SelfManagedEventSource": SELF_MANAGED, "SourceAccessConfigurations": ACCESS},
     INVALID, "Required 'topics' parameter is missing."),
    (queue(KAFKA), INVALID, "Required 'topics' parameter is missing."),
    (queue(KAFKA, Topics=["t1"], MetricsConfig={"Metrics": ["KafkaMetrics"]}), INVALID, METRICS),
    (queue(SelfManagedEventSource=SELF_MANAGED), INVALID, unsupported("'selfManagedEventSource'")),
    (stream(Topics=["t1"]), INVALID, unsupported("'topics'")),
    (queue(LoggingConfig={"SystemLogLevel": "INFO"}), INVALID, unsupported("LoggingConfig")),
    (queue(StartingPosition="LATEST"), INVALID, unsupported("StartingPosition")),
    (queue(ParallelizationFactor=2), INVALID, unsupported("ParallelizationFactor")),
    (queue(BisectBatchOnFunctionError=True), INVALID, unsupported("BisectBatchOnFunctionError")),
    (queue(MaximumRetryAttempts=1), INVALID, unsupported("MaximumRetryAttempts")),
    (queue(MaximumRecordAgeInSeconds=60), INVALID, unsupported("MaximumRecordAgeInSeconds")),
    (stream(ProvisionedPollerConfig={"MinimumPollers": 2}), INVALID, unsupported("ProvisionedPollerConfig")),
    (stream(BatchSize=10001),
     MODEL, constraint(10001, "batchSize", "have value less than or equal to 10000")),
    (queue(ScalingConfig={"MaximumConcurrency": 1}),
     MODEL, constraint(1, "scalingConfig.maximumConcurrency", "have value greater than or equal to 2")),
    (stream(ParallelizationFactor=11),
     MODEL, constraint(11, "parallelizationFactor", "have value less than or equal to 10")),
    (stream(MaximumRetryAttempts=-2),
     MODEL, constraint(-2, "maximumRetryAttempts", "have value greater than or equal to -1")),
    (stream(TumblingWindowInSeconds=901),
     MODEL, constraint(901, "tumblingWindowInSeconds", "have value less than or equal to 900")),
    (stream(BatchSize=0, MaximumBatchingWindowInSeconds=301), MODEL,
     "2 validation errors detected: Value '0' at 'batchSize' failed to satisfy constraint: Member must have value greater "
     "than or equal to 1; Value '301' at 'maximumBatchingWindowInSeconds' failed to satisfy constraint: Member must have "
     "value less than or equal to 300"),
    (without(queue(), "FunctionName"), MODEL,
     "1 validation error detected: Value null at 'functionName' failed to satisfy constraint: Member must not be null"),
]

# What is refused in words of ours: a part of them.
OURS = [
    (stream(DestinationConfig={"OnFailure": {"Destination": FIFO}}), INVALID, "DestinationConfig.OnFailure.Destination"),
    (stream(DestinationConfig={"OnFailure": {"Destination": "kafka://topic"}}), INVALID, "OnFailure.Destination"),
    (queue(FIFO, BatchSize=11), INVALID, "BatchSize '11' is not valid: 1 to 10 for a FIFO queue"),
    (queue(TABLE, StartingPosition="LATEST"), INVALID, "table/tab/stream"),
    (queue(KAFKA, Topics=["t1"]), INVALID, "Amazon MSK is not read here"),
    (queue(f"arn:aws:mq:us-east-1:{ACCOUNT}:broker:b:x"), INVALID, "Amazon MQ is not read here"),
    (queue(f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster:x"), INVALID, "Amazon DocumentDB is not read here"),
    (stream(EventSourceArn=STREAM + "/consumer/c:1"), INVALID, "have no consumers (enhanced fan-out)"),
    (stream(FunctionName="f:$LATEST"), INVALID, "functions have no versions here"),
    (stream(FunctionName="f:live"), INVALID,
     "Function does not exist: no connection serves arn:aws:lambda:*:*:function:f"),
    (stream(FunctionName="111111111111:function:f"), INVALID,
     "Function does not exist: no connection serves arn:aws:lambda:*:111111111111:function:f"),
    (stream(KMSKeyArn=f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"), INVALID, "KMSKeyArn"),
    (stream(MetricsConfig={"Metrics": ["ErrorCount"]}), INVALID, "MetricsConfig.Metrics 'ErrorCount'"),
    (queue(MetricsConfig={"Metrics": ["KafkaMetrics"]}), INVALID, "MetricsConfig.Metrics 'KafkaMetrics'"),
    (queue(ProvisionedPollerConfig={"MinimumPollers": 1}), INVALID, "ProvisionedPollerConfig.MinimumPollers '1'"),
    (queue(ProvisionedPollerConfig={"MaximumPollers": 2001}), INVALID, "ProvisionedPollerConfig.MaximumPollers '2001'"),
    (queue(ProvisionedPollerConfig={"PollerGroupName": "g"}), INVALID, "PollerGroupName 'g'"),
    (queue(ProvisionedPollerConfig={"MinimumPollers": 2}, ScalingConfig={"MaximumConcurrency": 2}), INVALID,
     "ProvisionedPollerConfig 'set' is not valid: not together with"),
    (stream(Tags={"aws:x": "y"}), INVALID, "Tags is not valid"),
    (stream(BatchSizes=1), INVALID, "Unknown member BatchSizes"),
    (stream(DestinationConfig={"OnFailure": {"Dest": "x"}}), INVALID, "Unknown member DestinationConfig.OnFailure.Dest"),
    (stream(BatchSize="10"), (400, "SerializationException"), "BatchSize: an integer is wanted"),
    ("{", (400, "SerializationException"), "Could not parse request body into json"),
]

# Of other calls: method, path, body, what is answered, and its words.
OTHERS = [
    ("GET", f"{PATH}/{NOWHERE}", None, MISSING, "The resource you requested does not exist."),
    ("GET", f"{PATH}/nonsense", None, MISSING, "The resource you requested does not exist."),
    ("PUT", f"{PATH}/{NOWHERE}", {"BatchSize": 1}, MISSING, "The resource you requested does not exist."),
    ("DELETE", f"{PATH}/{NOWHERE}", None, MISSING, "The resource you requested does not exist."),
    ("GET", f"/2017-03-31/tags/{MAPPING}", None, MISSING, f"Event source mapping not found: {MAPPING}"),
    ("POST", f"/2017-03-31/tags/{MAPPING}", {"Tags": {}}, MISSING, f"Event source mapping not found: {MAPPING}"),
    ("DELETE", f"/2017-03-31/tags/{MAPPING}?tagKeys=a", None, MISSING, f"Event source mapping not found: {MAPPING}"),
    ("GET", f"{PATH}?MaxItems=0", None, MODEL,
     constraint(0, "maxItems", "have value greater than or equal to 1")),
    ("GET", f"{PATH}?MaxItems=10001", None, MODEL,
     constraint(10001, "maxItems", "have value less than or equal to 10000")),
]


def check(what, answer, expected, words, exact=True):
    status, exception, body = answer
    assert (status, exception) == expected, f"{what}\n{answer}\nwanted {expected}: {words}"
    found = message(answer)
    assert found == words if exact else words in found, f"{what}\n{found}\nwanted\n{words}"


for body, expected, words in CREATES:
    check(body, call("POST", PATH, body), expected, words)
for body, expected, words in OURS:
    check(body, call("POST", PATH, body), expected, words, exact=False)
for method, path, body, expected, words in OTHERS:
    check((method, path), call(method, path, body), expected, words)
status, exception, body = call("GET", "/2015-03-31/layers")
assert status == 404 and exception == "UnknownOperationException" and "event-source-mappings" in body["message"], body
# What was refused was not made.
assert call("GET", PATH + "/") == (200, None, {"EventSourceMappings": []})

# Of a mapping that is there; disabled, so that nothing is in its way.
for body, words in [
    (stream(Enabled=False), 'The event source arn (" {} ") and function (" f ") provided mapping already exists. '),
    (queue(Enabled=False), 'An event source mapping with SQS arn (" {} ") and function (" f ") already exists. '),
]:
    arn = body["EventSourceArn"]
    status, _, made = call("POST", PATH + "/", body)
    assert status == 202, made
    uuid = made["UUID"]
    rest = f"Please update or delete the existing mapping with UUID {uuid}"
    check(body, call("POST", PATH, body), CONFLICT, words.format(arn) + rest)
    while call("GET", f"{PATH}/{uuid}")[2]["State"] != "Disabled":
        pass
    changes = [
        ({"MaximumRecordAgeInSeconds": 59}, INVALID, AGE),
        ({"FunctionName": "nope"}, INVALID, "Function does not exist"),
        ({"ScalingConfig": {"MaximumConcurrency": 5}}, INVALID, unsupported("ScalingConfig")),
        ({"DestinationConfig": {"OnSuccess": {"Destination": QUEUE}}},
         INVALID, "OnSuccess configuration is not supported for event source mappings."),
    ] if arn == STREAM else [
        ({"BatchSize": 11}, INVALID, WINDOW),
        ({"FunctionName": "slow"},
         INVALID, "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds"),
        ({"DestinationConfig": {"OnFailure": {"Destination": STREAM}}}, INVALID, unsupported("DestinationConfig")),
        ({"BatchSize": 0}, MODEL, constraint(0, "batchSize", "have value greater than or equal to 1")),
    ]
    for change, expected, words in changes:
        check(change, call("PUT", f"{PATH}/{uuid}", change), expected, words)
    check("source", call("PUT", f"{PATH}/{uuid}", {"EventSourceArn": arn}), INVALID, "Unknown member EventSourceArn", False)
    status, _, deleted = call("DELETE", f"{PATH}/{uuid}")
    assert status == 202 and deleted["State"] == "Deleting", deleted

print(len(CREATES) + len(OURS) + len(OTHERS))
