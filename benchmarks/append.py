"""Events a second through an attempt's writer, against one bare Lua call per batch of the size that the writer used."""

import asyncio
import time

from benchmarks.figure import ROUNDS, Figure, figure
from cody.contract.events import Speaker, TraceContext, encode
from cody.contract.payloads import ItemDelta
from cody.stream.connection import AsyncRedis, connect
from cody.stream.log import Log
from cody.stream.writer import BATCH_EVENTS, AttemptWriter

EVENTS = 50_000
BARE = "for i = 1, #ARGV do redis.call('XADD', KEYS[1], '*', 'type', 'item_delta', 'event', ARGV[i]) end"
TRACE = TraceContext(traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
TEXT = ItemDelta(item_id="msg_1", delta_content="x" * 100)


async def measure(url: str) -> Figure:
    """Both on the same Redis, in turns."""
    redis = connect(url)
    ours, baseline = [], []
    try:
        for round_ in range(ROUNDS):
            ours.append(await _ours(redis, f"bench_{round_}"))
            baseline.append(await _bare(redis, f"bench:{round_}"))
    finally:
        await redis.aclose()
    return figure(ours, baseline, "events/s")


async def _ours(redis: AsyncRedis, run_id: str) -> float:
    writer = AttemptWriter(Log(redis), Speaker(run_id=run_id, turn=1, attempt=1, trace_context=TRACE))
    task = asyncio.create_task(writer.run())
    began = time.perf_counter()
    for number in range(EVENTS):
        writer.emit("item_delta", 1, TEXT)
        if number % BATCH_EVENTS == 0:
            await writer.ready()
            await asyncio.sleep(0)
    await writer.flush()
    rate = EVENTS / (time.perf_counter() - began)
    writer.close()
    await task
    return rate


async def _bare(redis: AsyncRedis, key: str) -> float:
    script = redis.register_script(BARE)
    event = encode(Speaker(run_id="bench", turn=1, attempt=1, trace_context=TRACE), 1, "item_delta", 1, TEXT)
    began = time.perf_counter()
    for _ in range(EVENTS // BATCH_EVENTS):
        await script(keys=[key], args=[event] * BATCH_EVENTS)
    return EVENTS / (time.perf_counter() - began)
