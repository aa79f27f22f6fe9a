"""Milliseconds from a cancel to the end of the agent's process, against `os.kill` of the same process."""

import os
import select
import signal
import time

from benchmarks.figure import Figure, percentile
from benchmarks.stage import Stage
from tests.service import Run, Service

TIMES = 7
_PATIENCE_MS = 20_000


def measure(stage: Stage) -> list[Figure]:
    """One after the other, in turns."""
    rounds = [
        (
            percentile([_cancelled(stage.service) for _ in range(TIMES)], 0.5),
            percentile([_killed(stage.service) for _ in range(TIMES)], 0.5),
        )
        for _ in range(stage.rounds)
    ]
    what = "from the POST of a cancel until the agent's process is gone; baseline: os.kill of the same process"
    return [Figure("cancel", what, "ms", rounds, limit=100.0, notes={"times": TIMES})]


def _cancelled(service: Service) -> float:
    run, _, handle = _agent(service)
    began = time.perf_counter()
    run.control("cancel").raise_for_status()
    took = _until_gone(handle, began)
    run.wait("cancelled")
    return took


def _killed(service: Service) -> float:
    run, pid, handle = _agent(service)
    began = time.perf_counter()
    os.kill(pid, signal.SIGTERM)
    took = _until_gone(handle, began)
    run.cancel()
    return took


def _agent(service: Service) -> tuple[Run, int, int]:
    """A run whose agent is up, its process, and a descriptor of that."""
    run = service.start(["sleep", "1000"])
    pid = run.event("turn_started")["payload"]["pid"]
    return run, pid, os.pidfd_open(pid)


def _until_gone(handle: int, began: float) -> float:
    watch = select.poll()
    watch.register(handle, select.POLLIN)
    try:
        if not watch.poll(_PATIENCE_MS):
            raise RuntimeError("the agent's process is still there")
        return (time.perf_counter() - began) * 1000
    finally:
        os.close(handle)
