"""A server with access keys: boto3 with the right ones, and whatever else one may send.

Arguments: the server's address, the id and the secret of a key. Ends with 0 if everything was as it should be.
"""

import datetime
import http.client
import sys

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

address, key, secret = sys.argv[1:4]
PATH = "/2015-03-31/event-source-mappings"
ONCE = Config(retries={"total_max_attempts": 1})
MISMATCH = "The request signature we calculated does not match the signature you provided."


def client(service, key, secret):
    return boto3.client(service, aws_access_key_id=key, aws_secret_access_key=secret, config=ONCE)


def refused(codes, call):
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in codes, error
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error
        return error.response["Error"]["Message"]
    raise AssertionError(f"not refused with {codes}")


# Every kind of path, query and body is signed as the server reads it.
right = client("lambda", key, secret)
made = right.create_event_source_mapping(
    EventSourceArn="arn:aws:sqs:us-east-1:000000000000:jobs", FunctionName="f", Tags={"a b": "ä"}
)
arn = made["EventSourceMappingArn"]
assert right.list_event_source_mappings(FunctionName="000000000000:function:f", MaxItems=5)["EventSourceMappings"]
assert right.list_tags(Resource=arn)["Tags"] == {"a b": "ä"}
right.untag_resource(Resource=arn, TagKeys=["a b", "c/d=e"])
assert right.get_function(FunctionName="000000000000:function:f")["Configuration"]["FunctionName"] == "f"
assert client("sts", key, secret).get_caller_identity()["Account"] == "000000000000"

wrong = client("lambda", key, secret + "x")
assert refused(["InvalidSignatureException"], wrong.list_event_source_mappings).startswith(MISMATCH)
unknown = client("lambda", "AKIDNOBODY", secret)
refused(["UnrecognizedClientException"], unknown.list_event_source_mappings)
refused(["SignatureDoesNotMatch"], client("sts", key, secret + "x").get_caller_identity)
refused(["InvalidClientTokenId"], client("sts", "AKIDNOBODY", secret).get_caller_identity)


def send(method, path, headers, body=None):
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.getheader("x-amzn-errortype"), text


def signed(path, at=None, region="us-east-1", service="lambda"):
    """Headers of a GET, signed at a time of our own."""
    request = AWSRequest("GET", f"http://{address}{path}")

    class Auth(SigV4Auth):
        def add_auth(self, request):
            now = at or datetime.datetime.now(datetime.timezone.utc)
            request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
            self._modify_request_before_signing(request)
            canonical = self.canonical_request(request)
            signature = self.signature(self.string_to_sign(request, canonical), request)
            self._inject_signature_to_request(request, signature)

    Auth(Credentials(key, secret), service, region).add_auth(request)
    return dict(request.headers.items())


now = datetime.datetime.now(datetime.timezone.utc)
assert send("GET", PATH, signed(PATH))[0] == 200
assert send("GET", PATH, signed(PATH, region="eu-west-1"))[0] == 200
assert send("GET", PATH, signed(PATH, now - datetime.timedelta(minutes=4)))[0] == 200
for at, words in [(-6, "Signature expired: "), (6, "Signature not yet current: ")]:
    status, exception, text = send("GET", PATH, signed(PATH, now + datetime.timedelta(minutes=at)))
    assert (status, exception) == (403, "InvalidSignatureException") and words in text, text
status, exception, text = send("GET", PATH, signed(PATH, service="sqs"))
assert (status, exception) == (403, "InvalidSignatureException") and "correct service" in text, text
# A signature is of one request, and of nothing else.
assert send("GET", PATH + "?MaxItems=1", signed(PATH))[0] == 403
assert send("DELETE", f"{PATH}/{made['UUID']}", signed(f"{PATH}/{made['UUID']}"))[0] == 403
assert send("GET", PATH, {}) == (403, "MissingAuthenticationTokenException", '{"message":"Missing Authentication Token"}')
assert send("GET", PATH, {"Authorization": "Basic eDp5"})[:2] == (403, "IncompleteSignatureException")
assert right.get_event_source_mapping(UUID=made["UUID"])["UUID"] == made["UUID"]
