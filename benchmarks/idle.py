"""What 1,000 idle streams cost the API's process, against a bare ASGI app with as many, both at the same time."""

import time
from pathlib import Path

import httpx
import psutil

from benchmarks.baselines import asgi
from benchmarks.crowd import crowd
from benchmarks.figure import Figure
from benchmarks.flood import Flood
from benchmarks.stage import Stage
from tests.service import Service, eventually

CLIENTS = 1_000
RUNS = 5
"""Their turns stay under way, so no more than a worker takes at once."""
HOLD_SECONDS = 45.0
"""Three keepalives of every stream; the bare app sends none."""
WARM = 50
"""Streams that came and went before: what a first request leaves behind is not what a stream costs."""
SETTLE_SECONDS = 35.0
"""So that all that the API does in the background, every 30 seconds at most, was done before, for the same reason."""


def measure(stage: Stage) -> list[Figure]:
    """Memory is what the process grew by, so the API is a fresh one in every round."""
    service = stage.service
    floods = [Flood(service, 1) for _ in range(RUNS)]
    targets = [f"{flood.run.path}/stream" for flood in floods]
    cpu, memory = list[tuple[float, float]](), list[tuple[float, float]]()
    for _ in range(stage.rounds):
        api = _fresh_api(service)
        with asgi.serving() as server:
            both = (api, server.process)
            with crowd(service.api_port, WARM, targets), crowd(server.port, WARM, ["/idle"]):
                time.sleep(SETTLE_SECONDS)
            before = [process.memory_info().rss for process in both]
            with crowd(service.api_port, CLIENTS, targets), crowd(server.port, CLIENTS, ["/idle"]):
                opened = [_cpu(process) for process in both]
                time.sleep(HOLD_SECONDS)
                used = [_cpu(process) - was for process, was in zip(both, opened, strict=True)]
                grown = [process.memory_info().rss - was for process, was in zip(both, before, strict=True)]
        per_minute = 60 / HOLD_SECONDS * 1000 / CLIENTS
        cpu.append((used[0] * per_minute, used[1] * per_minute))
        memory.append((grown[0] / 1e6 * 1000 / CLIENTS, grown[1] / 1e6 * 1000 / CLIENTS))
    for flood in floods:
        flood.go()
        flood.run.wait("completed")
    what = f"1,000 idle streams of {RUNS} runs; baseline: a bare ASGI app with as many, at the same time"
    kept = {"keepalives": f"ours sends one to each stream every {HOLD_SECONDS:g} s, the baseline none"}
    return [
        Figure("idle_cpu", what, "CPU s/min", cpu, at_most=1.5, notes=kept),
        Figure("idle_memory", what, "MB", memory, at_most=1.5),
    ]


def _fresh_api(service: Service) -> psutil.Process:
    """Let `cody dev` start the API again, and see that it has grown to its size."""
    old = service.part("api")
    old.kill()
    eventually(lambda: all(each.pid != old.pid for each in service.parts("api")), what="the end of the old API")
    new = service.part("api")
    eventually(lambda: _ready(service), what="a new API that is ready")
    return new


def _ready(service: Service) -> bool:
    try:
        return service.http.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def _cpu(process: psutil.Process) -> float:
    """Seconds on a core, of all threads, from the scheduler: `cpu_times` counts in ticks of 10 ms."""
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
