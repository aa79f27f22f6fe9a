"""Milliseconds from an append to the socket of a client at 50 events a second, against a bare XADD and XREAD."""

import asyncio
import time

import uvloop

from benchmarks.baselines import redis_latency
from benchmarks.figure import Figure, percentile
from benchmarks.stage import Stage
from cody.contract.events import Speaker, TraceContext
from cody.contract.payloads import Warned
from cody.stream.connection import connect
from cody.stream.log import Log
from cody.stream.writer import AttemptWriter
from tests.service import Run

RATE = 50.0
COUNT = 300
EVENT_BYTES = 340
_TRACE = TraceContext(traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


def measure(stage: Stage) -> list[Figure]:
    """Both at the same time, so that they meet the same machine.

    What is appended is the next attempt of a turn that was paused: nobody else writes it, and the log takes it.
    """
    p50, p99 = list[tuple[float, float]](), list[tuple[float, float]]()
    run = stage.service.start("sleep 1000")
    run.event("turn_started")
    run.control("pause", mode="now")
    run.wait("paused")
    writing = _Writing(run)
    for _ in range(stage.rounds):
        ours, bare = uvloop.run(_both(writing))
        p50.append((percentile(ours, 0.5), percentile(bare, 0.5)))
        p99.append((percentile(ours, 0.99), percentile(bare, 0.99)))
    what = f"from the append to a client's socket at {RATE:g} events/s; baseline: bare XADD to XREAD, at the same time"
    notes = {"events": COUNT, "event_bytes": EVENT_BYTES}
    return [
        Figure("latency_p50", what, "ms", p50, at_most=2.0, notes=notes),
        Figure("latency_p99", what, "ms", p99, at_most=2.0, notes=notes),
    ]


class _Writing:
    """Attempts of a paused turn, one a round."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.url = run.service.redis_url
        self._attempt = 1

    def speaker(self) -> Speaker:
        self._attempt += 1
        return Speaker(run_id=self.run.id, turn=1, attempt=self._attempt, trace_context=_TRACE)


async def _both(writing: _Writing) -> tuple[list[float], list[float]]:
    bare = redis_latency.waits(writing.url, rate=RATE, count=COUNT, event_bytes=EVENT_BYTES)
    ours, other = await asyncio.gather(_ours(writing), bare)
    return ours, other


async def _ours(writing: _Writing) -> list[float]:
    service, redis = writing.run.service, connect(writing.url)
    reader, socket = await asyncio.open_connection("127.0.0.1", service.api_port)
    writer = AttemptWriter(Log(redis), writing.speaker())
    sending = asyncio.create_task(writer.run())
    said, took = list[float](), list[float]()

    async def read() -> None:
        while len(took) < COUNT:
            line = await reader.readuntil(b"\n")
            if line.startswith(b"data: ") and b'"bench"' in line:
                took.append((time.perf_counter() - said[len(took)]) * 1000)

    try:
        target = f"{writing.run.path}/stream?from=latest"
        socket.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        reading = asyncio.create_task(read())
        payload = Warned(code="bench", message="x" * (EVENT_BYTES - 200))
        began = time.perf_counter() + 0.5 / RATE  # between the baseline's
        for number in range(COUNT):
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            said.append(time.perf_counter())
            writer.emit("warning", 1, payload)
        await reading
    finally:
        writer.close()
        await sending
        socket.close()
        await redis.aclose()
    return took
