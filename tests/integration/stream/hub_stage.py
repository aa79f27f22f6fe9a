"""A hub on real connections, a flood for it, and followers that write down what they saw."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from activities.beside import beside
from cody.stream.budget import HUB_BYTES
from cody.stream.entry import Entry
from cody.stream.follower import Follower
from cody.stream.hub import Hub
from cody.stream.log import Log
from cody.stream.ring import RING_BYTES
from cody.stream.writer import AttemptWriter
from tests.integration.stream.stream_stage import AT, text, whole
from tests.parts import PATIENCE_SECONDS, RedisServer, connected

LONG_SECONDS = 30.0
"""What a follower is ready to wait; a test that waits for so long has failed."""


@asynccontextmanager
async def running_hub(
    server: RedisServer, *, url: str | None = None, ring_bytes: int = RING_BYTES, hub_bytes: int = HUB_BYTES
) -> AsyncGenerator[Hub]:
    """A hub and its task; `url` is where it asks, if not the server itself (its blocking reads always go there)."""
    async with connected(url or server.url) as redis, connected(server.url, blocking=True) as blocking:
        hub = Hub(Log(redis), blocking, ring_bytes=ring_bytes, hub_bytes=hub_bytes)
        async with beside(hub.run()):
            yield hub


async def flood(writer: AttemptWriter, count: int) -> None:
    """Write so many deltas as fast as the log takes them, and return when it has them."""
    for number in range(count):
        writer.emit("item_delta", AT, text(f"{number}"))
        if number % 25 == 0:
            await asyncio.sleep(0)
    await writer.flush()


async def see(follower: Follower, upto: int) -> list[Entry]:
    """Take until this SEQ was seen."""
    seen: list[Entry] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while follower.seq < upto:
            seen.extend(await follower.take(LONG_SECONDS))
    return seen


async def assert_saw_all(log: Log, run_id: str, seen: list[Entry], after: int = 0) -> None:
    """Each SEQ after that place once, in order, byte for byte."""
    entries = (await whole(log, run_id))[after:]
    assert [entry.seq for entry in seen] == [entry.seq for entry in entries]
    assert [entry.frame for entry in seen] == [entry.frame for entry in entries]
