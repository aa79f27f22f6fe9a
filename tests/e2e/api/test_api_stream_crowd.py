"""Many clients of one run: who reads slowly or vanishes harms nobody else, and leaves nothing behind."""

import re
import sys

from tests.service import Run, Service, Stream, eventually

CLIENTS = 20
EVENTS = 20_000
AGENT = """
import json, pathlib, time
line = json.dumps({"__cody_event__": {"type": "warning", "code": "flood", "message": "x" * 1000}})
while not pathlib.Path("go").exists():
    time.sleep(0.02)
print((line + "\\n") * %d, end="")
"""
HELD_BYTES = 60 << 20
"""What the API may grow by: far below what the clients did not read, 20 MB each; the ring and its frames are in it."""


def _flood(service: Service, events: int) -> Run:
    place = service.workspace()
    command = [sys.executable, "-c", AGENT % events]
    return service.start(command, working_dir=str(place), watch={"exclude": ["go"]})


def _open_streams(service: Service) -> int:
    found = re.search(r"^cody_hub_clients (\d+)", service.http.get("/metrics").text, re.MULTILINE)
    assert found
    return int(found[1])


def test_clients_that_do_not_read_hold_up_nobody_and_no_memory(service: Service):
    run, api = _flood(service, EVENTS), service.part("api")
    streams = [run.stream() for _ in range(CLIENTS)]
    for stream in streams:
        stream.until(lambda frame: frame.event == "response_start")
    before = api.memory_info().rss
    (run.dir / "go").touch()
    with run.stream() as quick:
        assert [frame.seq for frame in quick if frame.event][-1] > EVENTS
    run.wait("completed")
    assert api.memory_info().rss - before < HELD_BYTES
    slow, *vanishing = streams
    for stream in vanishing:
        stream.close()
    with slow:
        rest = [frame.seq for frame in slow if frame.event]
    assert rest == list(range(rest[0], rest[0] + len(rest)))
    assert rest[-1] > EVENTS
    eventually(lambda: _open_streams(service) == 0, what="no stream is open")


def test_a_client_that_vanishes_leaves_no_follower(service: Service):
    run = service.start("while test ! -e go; do sleep 0.02; done")

    def opened() -> Stream:
        stream = run.stream()
        stream.until(lambda frame: frame.event == "response_start")
        return stream

    streams = [opened() for _ in range(CLIENTS)]
    assert _open_streams(service) == CLIENTS
    for stream in streams[1:]:
        stream.close()
    eventually(lambda: _open_streams(service) == 1, what="one stream is left")
    (run.dir / "go").touch()
    with streams[0] as stream:
        assert stream.rest()[-1].event == "run_completed"
    eventually(lambda: _open_streams(service) == 0, what="no stream is open")
