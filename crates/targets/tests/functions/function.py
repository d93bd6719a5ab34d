"""A small Lambda Runtime API client with every misbehaviour the tests ask for.

The event says what to do: {"do": "echo", ...}. INIT in the environment says how to start. Standard library only.
"""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
BASE = "/2018-06-01/runtime/"
connection = http.client.HTTPConnection(API)


def call(method, path, body=None, headers=None, fresh=False):
    global connection
    if fresh:
        connection = http.client.HTTPConnection(API)
    connection.request(method, path, body, headers or {})
    reply = connection.getresponse()
    return reply, reply.read()


def raw(data):
    host, port = API.split(":")
    stream = socket.create_connection((host, int(port)))
    stream.sendall(data)
    return stream


def post_error(path, kind, text):
    body = json.dumps({"errorType": kind, "errorMessage": text, "stackTrace": []})
    return call("POST", path, body, {"Lambda-Runtime-Function-Error-Type": "Unhandled"})


def respond(request, body):
    reply, _ = call("POST", f"{BASE}invocation/{request}/response", body)
    return reply.status


def hang():
    while True:
        time.sleep(60)


def misbehave(what, event, request):
    """Things after which nothing sensible is posted."""
    if what == "exit":
        print("about to exit", flush=True)
        os._exit(event.get("code", 3))
    if what == "kill":
        print("about to die", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "hang":
        hang()
    if what == "grandchild":  # a second process in the group, whose pid the test watches
        child = subprocess.Popen(["sleep", "600"])
        with open(event["file"], "w") as out:
            out.write(str(child.pid))
        hang()
    if what == "not-http":
        raw(b"\x00\x01\x02 not http at all\r\n\r\n")
        hang()
    if what == "wrong-path":
        call("GET", "/2018-06-01/runtime/nonsense", fresh=True)
        hang()
    if what == "other-request":
        call("POST", f"{BASE}invocation/0b5f6a8e-0000-4000-8000-000000000000/response", "{}")
        hang()
    if what == "next-again":
        call("GET", f"{BASE}invocation/next", fresh=True)
        hang()
    if what == "broken-body":
        head = f"POST {BASE}invocation/{request}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"
        raw(head.encode()).close()
        hang()
    if what == "bad-chunk":
        head = f"POST {BASE}invocation/{request}/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        raw(head.encode())
        hang()
    if what == "answer-and-exit":  # does not wait for the reply
        body = json.dumps({"pid": os.getpid()})
        head = f"POST {BASE}invocation/{request}/response HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        raw(head.encode())
        os._exit(0)


def handle(event, request, headers):
    what = event.get("do", "echo")
    if what == "raise":
        post_error(f"{BASE}invocation/{request}/error", "ValueError", "no such thing")
    elif what == "large":
        status = respond(request, b"x" * event["bytes"])
        with open(event["file"], "w") as out:
            out.write(str(status))
    elif what == "chunked":
        respond(request, iter([b'{"a":', b"1", b"}"]))  # http.client sends an iterator in chunks
    elif what == "env":
        respond(request, json.dumps({"env": dict(os.environ), "cwd": os.getcwd()}))
    elif what == "headers":
        respond(request, json.dumps({k.lower(): v for k, v in headers.items()}))
    elif what == "limits":
        with open("/proc/self/status") as status:
            fields = dict(line.partition(":")[::2] for line in status)
        with open("/proc/self/limits") as limits:
            core, files = [[int(n) for n in l.split()[-3:-1]] for l in limits if l.startswith(("Max core", "Max open"))]
        fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
        respond(request, json.dumps({"core": core, "files": files, "no_new_privs": fields["NoNewPrivs"].strip(), "fds": fds,
                                     "sid": os.getsid(0), "pgid": os.getpgid(0), "pid": os.getpid()}))
    elif what == "print":
        for n in range(event.get("lines", 1)):
            print(event["text"].replace("#", str(n)), flush=True)
        print("e:" + event["text"][:20], file=sys.stderr, flush=True)
        respond(request, "null")
    elif what == "overlap":  # how many run at once, as seen by a directory of markers
        mark = os.path.join(event["dir"], str(os.getpid()))
        open(mark, "x").close()
        time.sleep(event.get("seconds", 0.02))
        most = len(os.listdir(event["dir"]))
        os.unlink(mark)
        respond(request, json.dumps({"pid": os.getpid(), "most": most}))
    elif what == "twice":
        respond(request, json.dumps({"pid": os.getpid()}))
        respond(request, "{}")
        hang()
    elif what == "wait-for":  # until the test makes the file
        while not os.path.exists(event["file"]):
            time.sleep(0.01)
        respond(request, json.dumps({"pid": os.getpid()}))
    else:
        respond(request, json.dumps({"pid": os.getpid(), "event": event}))


def start():
    how = os.environ.get("INIT", "")
    if how == "exit":
        print("cannot start", file=sys.stderr, flush=True)
        os._exit(7)
    if how == "error":
        post_error(f"{BASE}init/error", "Runtime.ImportModuleError", "no module named x")
        os._exit(1)
    if how == "hang":
        hang()
    if how == "garbage":
        raw(b"\x00garbage\r\n\r\n")
        hang()


start()
while True:
    got, text = call("GET", f"{BASE}invocation/next")
    if got.status != 200:
        sys.exit(f"next answered {got.status}")
    event, request = json.loads(text), got.headers["Lambda-Runtime-Aws-Request-Id"]
    misbehave(event.get("do", "echo"), event, request)
    handle(event, request, got.headers)
