"""A client that is not ours: grpcio stubs generated from proto/ create, pause, resume, update and inspect a mapping.

Arguments: the directory of the .proto files, the server's address, then the command of a function. Ends with 0 if
everything was as it should be.
"""

import pathlib
import sys
import tempfile
import time

import grpc
from google.protobuf import duration_pb2, field_mask_pb2
from grpc_tools import protoc


def generate(proto: pathlib.Path) -> None:
    """Makes the stubs and puts them on the path."""
    out = tempfile.mkdtemp()
    files = sorted(str(f.relative_to(proto)) for f in proto.rglob("*.proto"))
    import grpc_tools

    includes = [f"-I{proto}", f"-I{pathlib.Path(grpc_tools.__file__).parent / '_proto'}"]
    code = protoc.main(["protoc", *includes, f"--python_out={out}", f"--grpc_python_out={out}", *files])
    assert code == 0, f"protoc ended with {code}"
    sys.path.insert(0, out)


def until(what, look, seconds=60):
    """Looks until there is an answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def refused(code, call):
    """The error of a call that must fail."""
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError(f"not refused with {code}")


def main(proto, address, command):
    generate(pathlib.Path(proto))
    from millstream.v1 import function_pb2 as fn
    from millstream.v1 import function_pb2_grpc, mapping_pb2_grpc, stream_pb2_grpc
    from millstream.v1 import mapping_pb2 as mp
    from millstream.v1 import stream_pb2 as st

    channel = grpc.insecure_channel(address)
    streams = stream_pb2_grpc.StreamServiceStub(channel)
    functions = function_pb2_grpc.FunctionServiceStub(channel)
    mappings = mapping_pb2_grpc.MappingServiceStub(channel)
    parent, name = "namespaces/default", "namespaces/default/mappings/from-python"

    stream = streams.CreateStream(
        st.CreateStreamRequest(parent=parent, stream_id="python", stream=st.Stream(shard_count=2))
    )
    functions.CreateFunction(
        fn.CreateFunctionRequest(
            parent=parent,
            function_id="python",
            function=fn.Function(
                process=fn.ProcessTarget(command=command), timeout=duration_pb2.Duration(seconds=5), concurrency=2
            ),
        )
    )
    wanted = mp.Mapping(
        source_arn=stream.arn, function="python", starting_position=mp.STARTING_POSITION_TRIM_HORIZON
    )
    create = mp.CreateMappingRequest(
        parent=parent, mapping_id="from-python", mapping=wanted, request_id="only-once"
    )
    made = mappings.CreateMapping(create)
    assert (made.name, made.batch_size, made.maximum_retry_attempts) == (name, 100, -1), made
    assert mappings.CreateMapping(create).uid == made.uid, "a repeated request makes nothing new"
    get = lambda: mappings.GetMapping(mp.GetMappingRequest(name=name))
    state = lambda wanted: until(mp.MappingState.Name(wanted), lambda: get().state == wanted and get())
    state(mp.MAPPING_STATE_ACTIVE)

    put = lambda n: streams.PutRecords(
        st.PutRecordsRequest(
            stream=stream.name,
            records=[st.PutRecordsEntry(partition_key=f"key-{i}", data=str(i).encode()) for i in range(n)],
        )
    )
    done = lambda n: until(f"{n} records done", lambda: get().counters.records_done >= n)
    assert put(50).failed_record_count == 0
    done(50)

    paused = mappings.PauseMapping(mp.PauseMappingRequest(name=name))
    assert paused.state in (mp.MAPPING_STATE_PAUSING, mp.MAPPING_STATE_PAUSED), paused
    state(mp.MAPPING_STATE_PAUSED)
    before = get().counters.attempts
    assert put(50).failed_record_count == 0
    inspection = mappings.InspectMapping(mp.InspectMappingRequest(name=name))
    assert len(inspection.shards) == 2, inspection
    assert all(s.activity == mp.SHARD_ACTIVITY_PAUSED for s in inspection.shards), inspection
    assert get().counters.attempts == before, "nothing starts while paused"
    mappings.ResumeMapping(mp.ResumeMappingRequest(name=name))
    state(mp.MAPPING_STATE_ACTIVE)
    until("the records of the pause", lambda: not lag(mappings, mp, name))

    etag = get().etag
    change = mp.Mapping(name=name, etag=etag, parallelization_factor=4, batch_size=7)
    only = lambda *paths: field_mask_pb2.FieldMask(paths=paths)
    updated = mappings.UpdateMapping(
        mp.UpdateMappingRequest(mapping=change, update_mask=only("parallelization_factor"))
    )
    assert (updated.parallelization_factor, updated.batch_size) == (4, 100), "the mask decides"
    refused(
        grpc.StatusCode.ABORTED,
        lambda: mappings.UpdateMapping(mp.UpdateMappingRequest(mapping=change, update_mask=only("batch_size"))),
    )
    bad = mp.Mapping(name=name, batch_size=0, parallelization_factor=11)
    mask = only("batch_size", "parallelization_factor")
    error = refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        lambda: mappings.UpdateMapping(mp.UpdateMappingRequest(mapping=bad, update_mask=mask)),
    )
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
    assert b"batch_size" in details and b"parallelization_factor" in details, error
    until("the change taken up", lambda: get().observed_generation == get().generation)
    lanes = lambda: [len(s.lanes) for s in inspect(mappings, mp, name).shards]
    until("four lanes per shard", lambda: lanes() == [4, 4])
    assert put(50).failed_record_count == 0
    until("the records after the update", lambda: not lag(mappings, mp, name))
    lease = inspect(mappings, mp, name).shards[0].lease
    assert lease.epoch > 1, "every new owner has a new epoch"


def inspect(mappings, mp, name):
    return mappings.InspectMapping(mp.InspectMappingRequest(name=name))


def lag(mappings, mp, name):
    """Records that are not finished; unknown counts as some."""
    shards = inspect(mappings, mp, name).shards
    return sum(s.lag_records if s.HasField("lag_records") else 1 for s in shards)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
