"""Events a second of one run, from its agent's pipe to one SSE client, against bare appends of the same batches."""

import asyncio
import time

from benchmarks.baselines import redis_append
from benchmarks.crowd import crowd
from benchmarks.figure import Figure
from benchmarks.flood import MARK, Flood
from benchmarks.stage import Stage

EVENTS = 30_000


def measure(stage: Stage) -> list[Figure]:
    """From the word to go until the client has the last event."""
    service, rounds, batches, size = stage.service, list[tuple[float, float]](), list[int](), 0
    for _ in range(stage.rounds):
        flood = Flood(service, EVENTS)
        with crowd(service.api_port, 1, [f"{flood.run.path}/stream"], MARK) as client, service.redis() as redis:
            before = _appends(redis.info("commandstats"))
            began = time.monotonic()
            flood.go()
            seen = client.seen()
            appends = _appends(redis.info("commandstats")) - before
            size = _event_bytes(redis, flood.run.id)
        if seen.frames < EVENTS:
            raise RuntimeError(f"the client saw {seen.frames} frames of {EVENTS}")
        batches.append(max(1, round(EVENTS / appends)))
        bare = redis_append.rate(service.redis_url, events=EVENTS, batch=batches[-1], event_bytes=size)
        rounds.append((EVENTS / (seen.marked - began), asyncio.run(bare)))
    what = "one run: agent's pipe → log → one SSE client; baseline: bare Lua appends in batches of the run's own size"
    notes = {"events": EVENTS, "batch": sorted(batches)[len(batches) // 2], "event_bytes": size}
    return [Figure("one_run", what, "events/s", rounds, at_least=0.5, notes=notes)]


def _appends(stats: dict) -> int:
    """Scripts that Redis has run: all but a handful of them are the flood's appends."""
    return stats.get("cmdstat_evalsha", {}).get("calls", 0)


def _event_bytes(redis, run_id: str) -> int:
    entries = redis.xrevrange(f"codex:run:{{{run_id}}}:events", count=200)
    sizes = sorted(len(fields[b"event"]) for _, fields in entries)
    return sizes[len(sizes) // 2]
