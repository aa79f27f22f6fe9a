"""Milliseconds from just before a bare XADD to the return of a blocking XREAD on another connection of this process."""

import asyncio
import time
from typing import Any, cast

from cody.stream.node import connect_node

_KEY = "bench:latency"


async def waits(url: str, *, rate: float, count: int, event_bytes: int) -> list[float]:
    """The milliseconds of `count` events at a steady `rate` a second."""
    writer, reader = connect_node(url), connect_node(url, blocking=True, connections=1)
    pad, took = "x" * event_bytes, list[float]()

    async def read() -> None:
        last: Any = "0-0"
        while len(took) < count:
            reply = cast("dict[bytes, Any]", await reader.xread({_KEY: last}, block=5000, count=500) or {})
            now = time.perf_counter()
            for found in reply.values():
                for entry_id, (_, sent, *_) in found:
                    last = entry_id
                    took.append((now - float(sent)) * 1000)

    try:
        await writer.delete(_KEY)
        reading = asyncio.create_task(read())
        began = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            await writer.xadd(_KEY, {"t": repr(time.perf_counter()), "event": pad})
        await reading
    finally:
        await writer.delete(_KEY)
        await writer.aclose()
        await reader.aclose()
    return took
