"""Milliseconds from a POST to the first event of its turn at a client, against a bare workflow's first activity."""

import asyncio
import http.client
import json
import time

from benchmarks.baselines.temporal_turns import BareTurnsClient, working
from benchmarks.figure import Figure, percentile
from benchmarks.stage import Stage
from tests.service import Service

STARTS = 20
REST_SECONDS = 0.05
"""Between starts, as in the shared baseline: a client reads of a run's end before Temporal has closed its workflow, and
that is no part of the next start.
"""


def measure(stage: Stage) -> list[Figure]:
    """One start after the other, each after the end of the one before."""
    service = stage.service
    with working(service.temporal_address):
        asyncio.run(_bare(service.temporal_address, 3))
        _ours(service)
        rounds = [
            (
                percentile([_ours(service) for _ in range(STARTS)], 0.5),
                percentile(asyncio.run(_bare(service.temporal_address, STARTS)), 0.5),
            )
            for _ in range(stage.rounds)
        ]
    what = (
        "from the POST to `turn_started` at an SSE client, p50; baseline: start_workflow to its activity's first line"
    )
    return [Figure("first_event", what, "ms", rounds, at_most=1.5, notes={"starts": STARTS})]


def _ours(service: Service) -> float:
    body = json.dumps(service.body(["true"], max_turns=1))
    door = http.client.HTTPConnection("127.0.0.1", service.api_port)
    door.connect()
    began = time.perf_counter()
    door.request("POST", "/api/runs/continuous", body, {"Content-Type": "application/json"})
    path = json.loads(door.getresponse().read())["links"]["stream"]
    with service.open(path[path.index("/api/") :]) as stream:
        stream.until(lambda frame: frame.event == "turn_started")
        took = time.perf_counter() - began
        stream.rest()
    door.close()
    time.sleep(REST_SECONDS)
    return took * 1000


async def _bare(address: str, starts: int) -> list[float]:
    client = await BareTurnsClient.connect(address)
    took = list[float]()
    for _ in range(starts):
        took.append(await client.start_to_activity_ms())
        await asyncio.sleep(REST_SECONDS)
    return took
